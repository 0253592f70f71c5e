import type { SaidView, TopologyEdge } from '../../topology/answer.ts'
import { saidBlockNames } from '../../topology/said-view.ts'
import type { Labels, MetricSet } from './metric-set.ts'

const sides = ['client', 'server'] as const
const quantiles = [
  ['0.5', 'p50Us'],
  ['0.99', 'p99Us'],
] as const

/** What one end of a pair said in one kind of protocol. Of the times of several ports the longest. */
interface SideRequests {
  ok: number
  error: number
  unanswered: number
  p50Us: number | undefined
  p99Us: number | undefined
}

interface PairRequests {
  readonly labels: Labels
  readonly sides: Map<(typeof sides)[number], SideRequests>
  requests: number
}

/** Requests by outcome and end, of at most so many pairs and kinds of protocol, those with the most first. */
export function writeEdgeRequests(out: MetricSet, edges: readonly TopologyEdge[], most: number): void {
  const pairs = requestsOf(edges)
  const shown = pairs.sort((a, b) => b.requests - a.requests).slice(0, most)
  out.family(
    'skybraid_edge_requests_not_shown',
    'gauge',
    'Pairs and application protocols left out of the per-edge series.',
  )(pairs.length - shown.length)
  const requests = out.family(
    'skybraid_edge_minute_requests',
    'gauge',
    'Requests of application protocols, by outcome, as either end saw them. In the newest closed minute.',
  )
  const times = out.family(
    'skybraid_edge_minute_request_duration_seconds',
    'gauge',
    'Time to the first byte of the answer, as either end saw it. In the newest closed minute.',
  )
  for (const pair of shown)
    for (const [side, seen] of pair.sides) {
      const labels = { ...pair.labels, side }
      for (const outcome of ['ok', 'error', 'unanswered'] as const)
        requests(seen[outcome], { ...labels, outcome })
      for (const [quantile, figure] of quantiles)
        if (seen[figure] !== undefined) times(seen[figure] / 1e6, { ...labels, quantile })
    }
}

function requestsOf(edges: readonly TopologyEdge[]): PairRequests[] {
  const pairs = new Map<string, PairRequests>()
  for (const edge of edges)
    for (const protocol of saidBlockNames) {
      const block = edge[protocol]
      if (block === undefined) continue
      const labels = { source: edge.source, destination: edge.target, protocol }
      const key = JSON.stringify(labels)
      const pair = pairs.get(key) ?? { labels, sides: new Map(), requests: 0 }
      pairs.set(key, pair)
      for (const side of sides) if (block[side]) addView(pair, side, block[side])
      pair.requests += Math.max(block.client?.requests ?? 0, block.server?.requests ?? 0)
    }
  return [...pairs.values()]
}

function addView(pair: PairRequests, side: (typeof sides)[number], view: SaidView): void {
  const seen = pair.sides.get(side) ?? { ok: 0, error: 0, unanswered: 0, p50Us: undefined, p99Us: undefined }
  pair.sides.set(side, seen)
  // the short form leaves out what is 0 for most
  const {
    requests,
    errors,
    unknown = 0,
    firstByteUs,
  } = view as Omit<SaidView, 'unknown'> & { unknown?: number }
  seen.error += errors
  seen.unanswered += unknown
  seen.ok += Math.max(0, requests - errors - unknown)
  if (firstByteUs === undefined) return
  seen.p50Us = Math.max(seen.p50Us ?? 0, firstByteUs.p50)
  seen.p99Us = Math.max(seen.p99Us ?? 0, firstByteUs.p99)
}
