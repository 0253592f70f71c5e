import type { MinuteTake } from './export-book.ts'
import { noPairs, type PackedPairs, unpackPairs } from './packed-pairs.ts'
import { createPairSums, roleOffset } from './pair-sums.ts'
import { amountCount, Role } from './pod-pair.ts'

/** Several lists as one, the older minutes first: what is about the same two ends and role is added up. */
export function mergeTakes(lists: readonly (readonly MinuteTake[])[]): readonly MinuteTake[] {
  const filled = lists.filter(list => list.length > 0)
  if (filled.length <= 1) return filled[0] ?? []
  const minutes = Map.groupBy(filled.flat(), ({ unixMinute }) => unixMinute)
  return [...minutes]
    .sort(([a], [b]) => a - b)
    .map(([unixMinute, all]) => ({
      unixMinute,
      pairs: all.length === 1 ? all[0].pairs : mergePairs(all.map(({ pairs }) => pairs)),
      requests: all.flatMap(({ requests }) => requests),
      figures: all.flatMap(({ figures }) => figures),
      otlp: all.flatMap(({ otlp = [] }) => otlp),
    }))
}

function mergePairs(all: readonly PackedPairs[]): PackedPairs {
  const sums = createPairSums(Number.POSITIVE_INFINITY)
  const ofMinute = sums.ofMinute(0)
  for (const packed of all)
    for (const { role, local, remote, amounts } of unpackPairs(packed)) {
      const [client, server] = role === Role.client ? [local, remote] : [remote, local]
      const first = ofMinute.placeOf(client, server) + roleOffset[role]
      for (let i = 0; i < amountCount; i++) ofMinute.amounts[first + i] += amounts[i]
    }
  return sums.drain()[0]?.pairs ?? noPairs
}
