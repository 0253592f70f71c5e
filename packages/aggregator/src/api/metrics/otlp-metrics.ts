import type { OtlpStatus } from '../../export/otlp-push/otlp-status.ts'
import type { MetricSet } from './metric-set.ts'

/** The export to OpenTelemetry. */
export function writeOtlpMetrics(out: MetricSet, status: OtlpStatus): void {
  out.family('skybraid_otlp_connected', 'gauge', '1 while the receiver answers.')(status.isConnected ? 1 : 0)
  const points = out.family('skybraid_otlp_points_total', 'counter', 'Points, by what became of them.')
  for (const [result, count] of Object.entries(status.points)) points(count, { result })
  if (status.notes) {
    out.family(
      'skybraid_otlp_intervals_unknown_before_total',
      'counter',
      'Intervals that former owners of partitions took, and of which nobody knows the rest.',
    )(status.notes.unknownBefore)
    out.family(
      'skybraid_otlp_requests_unknown_before_total',
      'counter',
      'Requests in those intervals.',
    )(status.notes.unknownRequestsBefore)
    out.family(
      'skybraid_otlp_intervals_unnoted_total',
      'counter',
      'How often what there was of a partition was thrown away, because the bus took no note of it.',
    )(status.notes.unnoted)
  }
  out.family('skybraid_otlp_queued_points', 'gauge', 'Points that wait.')(status.queued.points)
  out.family('skybraid_otlp_queued_bytes', 'gauge', 'Their bytes.')(status.queued.bytes)
  out.family(
    'skybraid_otlp_oldest_queued_seconds',
    'gauge',
    'Age of the oldest of them.',
  )((status.oldestQueuedMs ?? 0) / 1000)
  out.family('skybraid_otlp_series', 'gauge', 'Sets of attributes that are told apart.')(status.series.series)
  out.family('skybraid_otlp_series_limit', 'gauge', 'Most of them.')(status.series.limit)
  out.family(
    'skybraid_otlp_folded_total',
    'counter',
    'Figures told as {other} because there were too many series.',
  )(status.series.folded)
  const leftOut = out.family(
    'skybraid_otlp_left_out_total',
    'counter',
    'By how much sums differ from those of /topology, by reason.',
  )
  leftOut(status.unnamed, { reason: 'unnamed' })
  leftOut(status.overstated.requests, { reason: 'overstated_requests' })
  leftOut(status.overstated.connections, { reason: 'overstated_connections' })
  const owed = out.family(
    'skybraid_otlp_owed',
    'gauge',
    'Told and taken back: as much less is told of what comes.',
  )
  owed(status.owed.requests, { of: 'requests' })
  owed(status.owed.connections, { of: 'connections' })
}
