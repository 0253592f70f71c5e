import type { OapStatus } from '../../export/oap/oap-status.ts'
import { leftOutByReason } from '../oap-figures.ts'
import type { MetricSet } from './metric-set.ts'

/** The export to OAP; every reason is of a closed set. */
export function writeOapMetrics(out: MetricSet, status: OapStatus): void {
  const { sent, queue } = status
  const connected = out.family('skybraid_oap_connected', 'gauge', '1 while OAP takes what it is sent.')
  for (const address of status.addresses) connected(address === status.connectedTo ? 1 : 0, { address })
  out.family(
    'skybraid_oap_failed_openings',
    'gauge',
    'Streams that failed in a row, opened or not; 0 once OAP read one with messages.',
  )(status.failures)
  const intervals = out.family(
    'skybraid_oap_intervals_total',
    'counter',
    'Intervals, by what became of them.',
  )
  intervals(sent?.intervals ?? 0, { result: 'sent' })
  intervals(sent?.unknownIntervals ?? 0, { result: 'unknown' })
  intervals(queue.droppedIntervals, { result: 'dropped' })
  if (status.notes) {
    intervals(status.notes.unknownBefore, { result: 'unknown_before' })
    intervals(status.notes.unnoted, { result: 'unnoted' })
  }
  out.family(
    'skybraid_oap_dropped_pairs_total',
    'counter',
    'Pairs of instances and groups of requests in the intervals dropped.',
  )(queue.droppedPairs)
  out.family('skybraid_oap_messages_total', 'counter', 'Messages that OAP read.')(sent?.messages ?? 0)
  const logs = out.family('skybraid_oap_logs_total', 'counter', 'Logs, by what became of them.')
  logs(sent?.logs ?? 0, { result: 'sent' })
  logs(sent?.unknownLogs ?? 0, { result: 'unknown' })
  const refused = out.family('skybraid_oap_refused_total', 'counter', 'What OAP could not bear, by reason.')
  for (const [reason, count] of Object.entries(sent?.refused ?? {})) refused(count, { reason })
  const leftOut = out.family('skybraid_oap_left_out_total', 'counter', 'Seen, but not for OAP, by reason.')
  for (const [reason, count] of Object.entries(leftOutByReason(status))) leftOut(count, { reason })
  out.family('skybraid_oap_queued_intervals', 'gauge', 'Intervals that wait for OAP.')(queue.intervals)
  out.family('skybraid_oap_queued_bytes', 'gauge', 'Their memory, about.')(queue.bytes)
  out.family(
    'skybraid_oap_oldest_queued_seconds',
    'gauge',
    'Age of the oldest of them.',
  )((status.oldestQueuedMs ?? 0) / 1000)
  const http = out.family(
    'skybraid_oap_http_requests_total',
    'counter',
    'Logs of HTTP requests, one for each end that saw it: those there would be, and those sent.',
  )
  http(status.http.seen, { result: 'seen' })
  http(status.http.sent, { result: 'sent' })
  const points = out.family(
    'skybraid_oap_metric_points_total',
    'counter',
    'Points of OpenTelemetry metrics, by what became of them.',
  )
  points(sent?.metricPoints ?? 0, { result: 'sent' })
  points(sent?.unknownMetricPoints ?? 0, { result: 'unknown' })
  points(sent?.droppedMetricPoints ?? 0, { result: 'dropped' })
  out.family(
    'skybraid_oap_http_sampling_factor',
    'gauge',
    'Requests seen for each one sent, in the latest interval with any; 1 if there were none for over a minute.',
  )(status.http.factor)
  out.family('skybraid_oap_pods', 'gauge', 'Instances that OAP is told by name.')(status.pods)
  const announced = out.family(
    'skybraid_oap_announcements_total',
    'counter',
    'Calls that tell OAP an instance by name, by what became of them.',
  )
  announced(sent?.announced ?? 0, { result: 'sent' })
  announced(sent?.announceFailures ?? 0, { result: 'failed' })
  out.family(
    'skybraid_oap_pods_turned_away_total',
    'counter',
    'How often an instance came up that OAP is not told by name, because too many are known.',
  )(status.podsTurnedAway)
  if (status.notes)
    out.family(
      'skybraid_oap_partitions_without_notes',
      'gauge',
      'Partitions whose notes on the bus cannot be had: nothing of them is sent.',
    )(status.notes.without.length)
}
