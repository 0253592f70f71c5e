import type { Told } from '../world/truth-book.ts'
import { clock, countersByEdge, type Difference } from './judge.ts'
import type { Witness } from './witness.ts'

export interface Bounds {
  /** Names that edges may have while only one end of them reported. */
  readonly oneSided: readonly string[]
  /** From this minute on nothing is lost any more. */
  readonly exactFrom?: number
}

/**
 * For runs in which records are lost. Then a connection may have lost one end, and its edge goes by another name; so
 * counters are summed by the end that reported them. None may be above the truth, and from `exactFrom` on all are equal.
 */
export async function compareBounded(truth: Told, witness: Witness, bounds: Bounds): Promise<Difference[]> {
  const differences: Difference[] = []
  const allowed = new Set([...bounds.oneSided, ...Object.values(truth).flatMap(Object.keys)])
  for (const minute of Object.keys(truth).map(Number)) {
    const edges = await witness.edges(minute * 60_000, (minute + 1) * 60_000)
    const { counters: seen, openOnly } = countersByEdge(edges)
    const at = clock(minute)
    for (const edge of [...Object.keys(seen), ...openOnly]) {
      if (!allowed.has(edge))
        differences.push({ minute: at, edge, counter: 'nobody invented it', truth: 0, seen: 1 })
    }
    const wanted = byEnd(truth[minute])
    const found = byEnd(seen)
    const isExact = minute >= (bounds.exactFrom ?? Number.POSITIVE_INFINITY)
    for (const key of new Set([...wanted.keys(), ...found.keys()])) {
      const want = wanted.get(key) ?? 0
      const have = found.get(key) ?? 0
      const [edge, counter] = key.split('\t') as [string, string]
      if (isExact ? have !== want : have > want)
        differences.push({ minute: at, edge, counter, truth: want, seen: have })
    }
  }
  return differences
}

/** Sums of what each end reported, of all its edges together. */
function byEnd(edges: Told[string]): Map<string, number> {
  const sums = new Map<string, number>()
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
  if (counter.startsWith('tcp.opened')) return 'all\ttcp.opened'
  const isServer = counter.includes('.server.')
  return `${isServer ? target : source}\t${counter}`
}
