import { L7Cause, lossPlaces } from '@skybraid/shared'

const names = new Map<number, string>(Object.entries(lossPlaces).map(([name, place]) => [place, name]))

/** What a place where records are lost is called; a collector may be newer than this program. */
export function lossName(place: number): string {
  return names.get(place) ?? `place_${place}`
}

const causes = new Map<number, string>(Object.entries(L7Cause).map(([name, cause]) => [cause, name]))

/** Why something of an application protocol is in no operation. */
export function causeName(cause: number): string {
  return causes.get(cause) ?? `cause_${cause}`
}
