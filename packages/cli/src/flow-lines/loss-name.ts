import { lossPlaces } from '@skybraid/shared'

const names = new Map<number, string>(Object.entries(lossPlaces).map(([name, place]) => [place, name]))

/** What a place where records are lost is called; a collector may be newer than this program. */
export function lossName(place: number): string {
  return names.get(place) ?? `place_${place}`
}
