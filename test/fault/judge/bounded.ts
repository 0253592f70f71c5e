import type { Told } from '../world/truth-book.ts'
import { type DeliveredBook, type EndSums, endKey, openedKey } from './delivered-book.ts'
import { clock, countersByEdge, type Difference, minutesOf, outside } from './judge.ts'
import type { Witness } from './witness.ts'

export interface Bounds {
  /** Names that edges may have while only one end of them reported. */
  readonly oneSided: readonly string[]
  readonly delivered: DeliveredBook
  /** From this minute on nothing is lost any more. */
  readonly exactFrom?: number
}

/**
 * For runs in which records are lost. Then a connection may have lost one end, and its edge goes by another name; so
 * counters are summed by the end that reported them. Each sum is what was delivered of it, to the byte, and never above
 * what was invented; from `exactFrom` on it is what was invented.
 */
export async function compareBounded(truth: Told, witness: Witness, bounds: Bounds): Promise<Difference[]> {
  const { delivered, exactFrom = Number.POSITIVE_INFINITY } = bounds
  const differences: Difference[] = []
  const allowed = new Set([...bounds.oneSided, ...Object.values(truth).flatMap(Object.keys)])
  for (const minute of minutesOf(truth)) {
    const { counters, openOnly } = countersByEdge(await witness.edges(minute * 60_000, (minute + 1) * 60_000))
    const unknown = [...Object.keys(counters), ...openOnly].filter(edge => !allowed.has(edge))
    const at = clock(minute)
    for (const edge of unknown)
      differences.push({ minute: at, edge, counter: 'nobody invented it', truth: 0, seen: 1 })
    const [invented, came, seen] = [byEnd(truth[minute] ?? {}), delivered.sums(minute), byEnd(counters)]
    for (const key of new Set([...invented.keys(), ...came.keys(), ...seen.keys()])) {
      const most = invented.get(key) ?? 0
      const wanted = minute >= exactFrom ? most : (came.get(key) ?? 0)
      const have = seen.get(key) ?? 0
      const [edge, counter] = key.split('\t') as [string, string]
      if (have !== wanted || have > most)
        differences.push({ minute: at, edge, counter, truth: Math.min(wanted, most), seen: have })
    }
  }
  return [...differences, ...(await outside(truth, witness, allowed))]
}

/** Sums of what each end reported, of all its edges together. */
function byEnd(edges: Told[string]): EndSums {
  const sums: EndSums = new Map()
  for (const [edge, counters] of Object.entries(edges)) {
    const [source, target] = edge.replace(/ via .*/, '').split(' > ') as [string, string]
    for (const [counter, value] of Object.entries(counters)) {
      const key = keyOf(counter, source, target)
      sums.set(key, (sums.get(key) ?? 0) + value)
    }
  }
  return sums
}

function keyOf(counter: string, source: string, target: string): string {
  if (counter.startsWith('tcp.opened')) return openedKey
  return endKey(counter.includes('.server.') ? target : source, counter)
}
