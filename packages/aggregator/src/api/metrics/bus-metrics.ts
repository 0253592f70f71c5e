import type { BusStatus } from '../../bus/bus-status.ts'
import type { MetricSet } from './metric-set.ts'

/** The bus and its partitions, as this process sees them. */
export function writeBusMetrics(out: MetricSet, status: BusStatus): void {
  out.family('skybraid_bus_connected', 'gauge', '1 while the bus is reached.')(status.connected ? 1 : 0)
  out.family('skybraid_bus_disconnects_total', 'counter', 'Connections lost.')(status.disconnects)
  const owned = out.family('skybraid_partition_owned', 'gauge', '1 for a partition that is booked here.')
  const lagMessages = out.family('skybraid_partition_lag_messages', 'gauge', 'Batches that wait to be read.')
  const lagSeconds = out.family('skybraid_partition_lag_seconds', 'gauge', 'How far behind the stream.')
  const closed = out.family(
    'skybraid_partition_closed_through_seconds',
    'gauge',
    'Unix time of the end of the last closed minute in whole rounds.',
  )
  const appended = out.family(
    'skybraid_partition_appended_total',
    'counter',
    'What was appended for a partition, by whoever did.',
  )
  const refused = out.family(
    'skybraid_partition_refused_total',
    'counter',
    'What was refused, by what it is.',
  )
  const midway = out.family(
    'skybraid_partition_came_midway_total',
    'counter',
    'Flows first heard of in the middle when the partition was taken.',
  )
  const trims = out.family(
    'skybraid_partition_trims_total',
    'counter',
    'Times that the stream reached back less far than the partition had been read.',
  )
  const replacements = out.family(
    'skybraid_partition_stream_replacements_total',
    'counter',
    'Times that the stream was another than the one the partition had been read from.',
  )
  for (const each of status.partitions) {
    const labels = { partition: String(each.partition) }
    owned(each.phase === 'owning' || each.phase === 'catching_up' ? 1 : 0, labels)
    lagMessages(each.lagMessages, labels)
    lagSeconds(each.lagMs / 1000, labels)
    if (each.closedThrough >= 0) closed((each.closedThrough + 1) * 60, labels)
    appended(each.rounds, { ...labels, kind: 'round' })
    appended(each.claims, { ...labels, kind: 'claim' })
    appended(each.abandonedRounds, { ...labels, kind: 'abandoned' })
    refused(each.rejectedAppends, { ...labels, kind: 'append' })
    refused(each.refusedMessages, { ...labels, kind: 'message' })
    refused(each.refusedSegments, { ...labels, kind: 'segment' })
    refused(each.refusedBatches, { ...labels, kind: 'batch' })
    midway(each.cameMidway, labels)
    trims(each.trims, labels)
    replacements(each.replacements, labels)
  }
}
