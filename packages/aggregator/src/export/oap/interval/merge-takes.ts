import type { EndName } from './end-name.ts'
import type { MinuteTake } from './export-book.ts'
import { amountCount, type PodPair } from './pod-pair.ts'

/** Several lists as one, the older minutes first: what is about the same two ends and role is added up. */
export function mergeTakes(lists: readonly (readonly MinuteTake[])[]): readonly MinuteTake[] {
  const filled = lists.filter(list => list.length > 0)
  if (filled.length <= 1) return filled[0] ?? []
  const minutes = Map.groupBy(filled.flat(), ({ unixMinute }) => unixMinute)
  return [...minutes]
    .sort(([a], [b]) => a - b)
    .map(([unixMinute, all]) => ({
      unixMinute,
      pairs: all.length === 1 ? all[0].pairs : mergeMinute(all.flatMap(({ pairs }) => pairs)),
      requests: all.flatMap(({ requests }) => requests),
      figures: all.flatMap(({ figures }) => figures),
    }))
}

function mergeMinute(pairs: readonly PodPair[]): PodPair[] {
  const merged: PodPair[] = []
  const roles = [new Map(), new Map()] as Map<EndName, Map<EndName, PodPair>>[]
  for (const pair of pairs) {
    const { role, local, remote, amounts } = pair
    const remotes = roles[role].get(local) ?? new Map<EndName, PodPair>()
    roles[role].set(local, remotes)
    const known = remotes.get(remote)
    if (known === undefined) {
      const own = { ...pair, amounts: amounts.slice() }
      remotes.set(remote, own)
      merged.push(own)
    } else for (let i = 0; i < amountCount; i++) known.amounts[i] += amounts[i]
  }
  return merged
}
