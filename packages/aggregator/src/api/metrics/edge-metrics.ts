import type { ViewScope } from '../../resolve/view-scope.ts'
import type { TopologyEdge, TopologyQuery } from '../../topology/answer.ts'
import type { ApiContext } from '../api-deps.ts'
import { edgeBytes } from '../format/edge-figures.ts'
import { writeEdgeRequests } from './edge-requests.ts'
import type { Labels, MetricSet } from './metric-set.ts'

/**
 * The edges of the newest closed minute, the largest first, at most `options.edgeMetrics` of them; how many were left
 * out is a series of its own. Gauges: a minute's amount, not a running total. Ports and addresses are no labels.
 */
export function writeEdgeMetrics(out: MetricSet, context: ApiContext, scope: ViewScope | undefined): void {
  const closed = context.reader.closedMinute()
  if (context.options.edgeMetrics <= 0 || closed < 0) return
  const nowMs = context.now()
  const query: TopologyQuery = {
    fromMs: closed * 60_000,
    toMs: (closed + 1) * 60_000,
    groupBy: 'process',
    limit: Number.MAX_SAFE_INTEGER,
    ...(scope && { scope }),
  }
  const answer = context.cache.answer(query, context.cache.version(query, nowMs), nowMs)
  const series = mergePorts(answer.edges)
  const shown = [...series.values()].sort((a, b) => b.bytes - a.bytes).slice(0, context.options.edgeMetrics)
  out.family(
    'skybraid_edges_not_shown',
    'gauge',
    'Edges left out of the per-edge series.',
  )(series.size - shown.length)
  for (const [name, help, figure] of figures) {
    const sample = out.family(`skybraid_edge_minute_${name}`, 'gauge', `${help} In the newest closed minute.`)
    for (const edge of shown) sample(edge[figure], edge.labels)
  }
  writeEdgeRequests(out, answer.edges, context.options.edgeMetrics)
}

interface EdgeSeries {
  readonly labels: Labels
  bytes: number
  opened: number
  failed: number
  retransmits: number
}

const figures = [
  ['bytes', 'Payload bytes both ways.', 'bytes'],
  ['connections_opened', 'Connections opened.', 'opened'],
  ['connections_failed', 'Dials that never connected.', 'failed'],
  ['retransmits', 'Segments sent again, both ends.', 'retransmits'],
] as const

function mergePorts(edges: readonly TopologyEdge[]): Map<string, EdgeSeries> {
  const series = new Map<string, EdgeSeries>()
  for (const edge of edges) {
    const { source, target: destination, protocol, observed } = edge
    const labels = { source, destination, protocol, observed }
    const key = JSON.stringify(labels)
    const sum = series.get(key) ?? { labels, bytes: 0, opened: 0, failed: 0, retransmits: 0 }
    sum.bytes += edgeBytes(edge)
    sum.opened += edge.tcp?.opened ?? 0
    sum.failed += edge.tcp?.failed ?? 0
    sum.retransmits += (edge.tcp?.client?.retransmits ?? 0) + (edge.tcp?.server?.retransmits ?? 0)
    series.set(key, sum)
  }
  return series
}
