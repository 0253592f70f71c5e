import { formatExposition, type Metric, type Sample } from '@skybraid/shared'
import type { BusStatus } from '../bus/jetstream-publisher.ts'
import type { CollectorStatus } from '../status.ts'

export interface ProcessFigures {
  readonly rssBytes: number
  readonly heapUsedBytes: number
  readonly cpuSeconds: number
}

/** What one collector says about itself. Labels come from closed sets; the families are those of the aggregator. */
export function collectorMetrics(
  version: string,
  status: CollectorStatus,
  bus: BusStatus,
  figures: ProcessFigures,
): string {
  return formatExposition([
    gauge('skybraid_build_info', 'The version that runs.', [{ value: 1, labels: { version } }]),
    ...recordMetrics(status),
    ...spoolMetrics(status),
    ...busMetrics(status, bus),
    ...flowMetrics(status),
    ...processMetrics(figures),
  ])
}

type Samples = number | readonly Sample[]

function metric(name: string, help: string, type: 'counter' | 'gauge', samples: Samples): Metric {
  return { name, help, type, samples: typeof samples === 'number' ? [{ value: samples }] : samples }
}

function counter(name: string, help: string, samples: Samples): Metric {
  return metric(name, help, 'counter', samples)
}

function gauge(name: string, help: string, samples: Samples): Metric {
  return metric(name, help, 'gauge', samples)
}

function labelled(label: string, values: Readonly<Record<string, number | undefined>>): Sample[] {
  return Object.entries(values).map(([name, value]) => ({ value: value ?? 0, labels: { [label]: name } }))
}

function recordMetrics({ records, ring, brokenFlushes }: CollectorStatus): Metric[] {
  const { encoded, published, merged, sampledOut: sampled_out } = records
  return [
    counter(
      'skybraid_collector_records_total',
      'Records of this boot, by what became of them.',
      labelled('result', { encoded, published, merged, sampled_out }),
    ),
    gauge(
      'skybraid_collector_records_queued',
      'Records that the bus did not acknowledge yet.',
      records.queued,
    ),
    counter(
      'skybraid_collector_lost_records_total',
      'Records lost, by place.',
      labelled('place', records.lost),
    ),
    counter('skybraid_collector_ring_lost_total', 'Kernel events that found the ring full.', ring.full),
    gauge(
      'skybraid_collector_identity_holds',
      '1 while a node’s numbers add up.',
      labelled('identity', { ring: Number(ring.holds), records: Number(records.holds) }),
    ),
    counter(
      'skybraid_collector_broken_flushes_total',
      'Flushes that could not be read: a bug.',
      brokenFlushes,
    ),
  ]
}

function spoolMetrics({ spool, store }: CollectorStatus): Metric[] {
  const metrics = [
    gauge('skybraid_collector_spool_bytes', 'Memory of what waits in the spool.', spool.bytes),
    gauge('skybraid_collector_spool_capacity_bytes', 'Memory that the spool may take.', spool.capacityBytes),
    counter(
      'skybraid_collector_spool_merged_records_total',
      'Records that the spool joined with another of their flow and minute.',
      spool.mergedRecords,
    ),
  ]
  if (store === undefined) return metrics
  const { bytes, capacityBytes, broken, failedWrites, publishedFormerRecords } = store
  return [
    ...metrics,
    gauge('skybraid_collector_store_bytes', 'What lies in the spool’s directory.', bytes),
    gauge('skybraid_collector_store_capacity_bytes', 'What may lie there.', capacityBytes),
    counter(
      'skybraid_collector_store_broken_total',
      'Files that were torn or changed, and left out.',
      broken,
    ),
    counter(
      'skybraid_collector_store_failed_writes_total',
      'Batches that could not be written.',
      failedWrites,
    ),
    counter(
      'skybraid_collector_store_former_records_total',
      'Records of a former process that were published from there.',
      publishedFormerRecords,
    ),
  ]
}

function busMetrics({ publish }: CollectorStatus, bus: BusStatus): Metric[] {
  return [
    gauge(
      'skybraid_collector_bus_connected',
      '1 while there is a connection to the bus.',
      Number(bus.connected),
    ),
    counter(
      'skybraid_collector_bus_disconnects_total',
      'Connections to the bus that were lost.',
      bus.disconnects,
    ),
    counter(
      'skybraid_collector_bus_permission_violations_total',
      'What the server refused for want of permission.',
      bus.permissionViolations,
    ),
    counter(
      'skybraid_collector_batches_published_total',
      'Batches that the bus acknowledged.',
      publish.batches,
    ),
    gauge(
      'skybraid_collector_batches_unacknowledged',
      'Batches that are under way to the bus.',
      publish.unacknowledged,
    ),
    counter(
      'skybraid_collector_bus_refusals_total',
      'Attempts that the bus did not take, by reason; each is tried again.',
      labelled('kind', bus.refusals),
    ),
    counter(
      'skybraid_collector_bus_duplicates_total',
      'Acknowledged batches that the stream had already.',
      bus.duplicates,
    ),
    counter(
      'skybraid_collector_bus_batch_bytes_total',
      'Acknowledged bytes before compression.',
      bus.batchBytes,
    ),
    counter(
      'skybraid_collector_bus_payload_bytes_total',
      'Acknowledged bytes as they went over the wire, headers left out.',
      bus.payloadBytes,
    ),
  ]
}

function flowMetrics({ flows, hooks, sampling }: CollectorStatus): Metric[] {
  return [
    gauge('skybraid_collector_open_flows', 'Flows that are open.', flows.openFlows),
    gauge(
      'skybraid_collector_sampling_one_in',
      'New connections are recorded one in so many.',
      sampling.oneIn,
    ),
    gauge(
      'skybraid_collector_hook_attached',
      '1 for a hook that is attached to the kernel.',
      hooks.map(({ hook, attached }) => ({ value: Number(attached), labels: { hook } })),
    ),
  ]
}

function processMetrics({ rssBytes, heapUsedBytes, cpuSeconds }: ProcessFigures): Metric[] {
  return [
    gauge('process_resident_memory_bytes', 'Memory of the process.', rssBytes),
    gauge('nodejs_heap_used_bytes', 'JavaScript heap in use.', heapUsedBytes),
    counter('process_cpu_seconds_total', 'User and system time.', cpuSeconds),
  ]
}
