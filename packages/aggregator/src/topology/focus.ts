import type { Fold } from './fold.ts'

/** Slots of `candidates` within `depth` edges of a group, whichever way the edges point. */
export function withinReach(fold: Fold, candidates: Int32Array, group: number, depth: number): Int32Array {
  const reached = new Uint8Array(fold.groups.length)
  reached[group] = 1
  let frontier = [group]
  const { source: sources, target: targets } = fold
  for (let step = 1; step < depth && frontier.length > 0; step++) {
    const next: number[] = []
    const isFrontier = new Uint8Array(fold.groups.length)
    for (const g of frontier) isFrontier[g] = 1
    for (const slot of candidates) {
      const source = sources[slot]
      const target = targets[slot]
      if (isFrontier[source] && !reached[target]) next.push(target)
      if (isFrontier[target] && !reached[source]) next.push(source)
      if (isFrontier[source] || isFrontier[target]) {
        reached[source] = 1
        reached[target] = 1
      }
    }
    frontier = next
  }
  return candidates.filter(slot => reached[sources[slot]] || reached[targets[slot]])
}
