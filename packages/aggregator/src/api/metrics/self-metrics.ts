import type { IngestStatus } from '../../topology/answer.ts'
import type { ApiContext } from '../api-deps.ts'
import { processFigures } from '../process-figures.ts'
import { writeBusMetrics } from './bus-metrics.ts'
import { writeKubernetesMetrics } from './kubernetes-metrics.ts'
import type { MetricSet } from './metric-set.ts'
import { writeOapMetrics } from './oap-metrics.ts'
import { writeOtlpMetrics } from './otlp-metrics.ts'

/** What the aggregator and its collectors say about themselves. Labels come from closed sets and node names. */
export function writeSelfMetrics(out: MetricSet, context: ApiContext): void {
  const nowMs = context.now()
  const status = context.reader.ingestStatus(nowMs)
  out.family('skybraid_build_info', 'gauge', 'The version that runs.')(1, { version: context.version })
  writeCollectors(out, status)
  writeAggregator(out, status)
  if (context.kubernetes) writeKubernetesMetrics(out, context.kubernetes())
  if (context.bus) writeBusMetrics(out, context.bus())
  const lag = out.family(
    'skybraid_aggregator_window_lag_seconds',
    'gauge',
    'Age of the newest closed minute’s end.',
  )
  const closed = context.reader.closedMinute()
  if (closed >= 0) lag(Math.max(0, nowMs - (closed + 1) * 60_000) / 1000)
  out.family('skybraid_api_stream_clients', 'gauge', 'Live clients.')(context.streams.clients())
  const cut = out.family(
    'skybraid_api_stream_clients_cut_total',
    'counter',
    'Live clients cut for not reading.',
  )
  cut(context.streams.cut())
  if (context.oap) writeOapMetrics(out, context.oap())
  if (context.otlp) writeOtlpMetrics(out, context.otlp())
  writeProcess(out)
}

function writeCollectors(out: MetricSet, { nodes }: IngestStatus): void {
  const reporting = out.family(
    'skybraid_collector_reporting',
    'gauge',
    '1 while a node’s collector is heard.',
  )
  for (const { node, reporting: heard } of nodes) reporting(heard ? 1 : 0, { node })
  const records = out.family(
    'skybraid_collector_records_total',
    'counter',
    'Records of this boot, by what became of them.',
  )
  for (const { node, identity } of nodes) {
    records(identity.records.encoded, { node, result: 'encoded' })
    records(identity.records.received, { node, result: 'received' })
    records(identity.records.merged, { node, result: 'merged' })
    records(identity.records.sampledOut, { node, result: 'sampled_out' })
  }
  const lost = out.family('skybraid_collector_lost_records_total', 'counter', 'Records lost, by place.')
  for (const { node, identity } of nodes) {
    for (const [place, count] of Object.entries(identity.records.lost)) lost(count, { node, place })
  }
  const ring = out.family(
    'skybraid_collector_ring_lost_total',
    'counter',
    'Kernel events that found the ring full.',
  )
  for (const { node, identity } of nodes) ring(identity.ring.full, { node })
  const spoken = out.family(
    'skybraid_collector_application_connections_total',
    'counter',
    'Connections by the application protocol that they were found to speak.',
  )
  const unread = out.family(
    'skybraid_collector_application_unread_total',
    'counter',
    'What of application protocols is in no operation, by cause.',
  )
  for (const { node, applications } of nodes) {
    for (const [protocol, count] of Object.entries(applications.connections))
      spoken(count, { node, protocol })
    for (const [cause, count] of Object.entries(applications.unread)) unread(count, { node, cause })
  }
  const holds = out.family('skybraid_collector_identity_holds', 'gauge', '1 while a node’s numbers add up.')
  for (const { node, identity } of nodes) {
    holds(identity.ring.holds ? 1 : 0, { node, identity: 'ring' })
    holds(identity.records.holds ? 1 : 0, { node, identity: 'records' })
  }
}

function writeAggregator(out: MetricSet, { identity, join, ...status }: IngestStatus): void {
  const records = out.family(
    'skybraid_aggregator_records_total',
    'counter',
    'Records, by what became of them.',
  )
  records(identity.received, { result: 'received' })
  records(identity.applied, { result: 'applied' })
  records(identity.duplicates, { result: 'duplicate' })
  const lost = out.family('skybraid_aggregator_lost_records_total', 'counter', 'Records lost here, by place.')
  for (const [place, count] of Object.entries(identity.lost)) lost(count, { place })
  out.family(
    'skybraid_aggregator_identity_holds',
    'gauge',
    '1 while the numbers add up.',
  )(identity.holds ? 1 : 0)
  const joined = out.family(
    'skybraid_aggregator_join_connections',
    'gauge',
    'Connections held, by the ends that reported.',
  )
  joined(join.joined, { result: 'both' })
  joined(join.clientOnly, { result: 'client_only' })
  joined(join.serverOnly, { result: 'server_only' })
  out.family('skybraid_aggregator_join_capacity', 'gauge', 'Connections that fit.')(join.capacity)
  out.family(
    'skybraid_aggregator_join_tombstones',
    'gauge',
    'Closed one-sided connections still waited for.',
  )(join.tombstones)
  out.family('skybraid_aggregator_edges', 'gauge', 'Different edges known.')(status.edges)
  out.family('skybraid_aggregator_open_minutes', 'gauge', 'Minutes that still fill.')(status.openMinutes)
  out.family('skybraid_aggregator_closed_segments', 'gauge', 'Closed segments kept.')(status.closedSegments)
}

function writeProcess(out: MetricSet): void {
  const figures = processFigures()
  out.family('process_resident_memory_bytes', 'gauge', 'Memory of the process.')(figures.rssBytes)
  out.family('nodejs_heap_used_bytes', 'gauge', 'JavaScript heap in use.')(figures.heapUsedBytes)
  out.family('process_cpu_seconds_total', 'counter', 'User and system time.')(figures.cpuSeconds)
  out.family(
    'nodejs_eventloop_delay_p99_seconds',
    'gauge',
    'Event-loop delay over the life of the process.',
  )(figures.eventLoopDelayP99Ms / 1000)
}
