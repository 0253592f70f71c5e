import type { LossPlace } from '@skybraid/shared'
import type { BatchStore, BatchStoreCounts } from './batch/batch-store.ts'
import type { Publisher } from './batch/publisher.ts'
import { collectorCounters } from './counters.ts'
import type { Intake } from './intake.ts'
import type { Sampling, SamplingStatus } from './sampling/sampling-driver.ts'
import type { Capture, CaptureCounters, HookReport } from './source/open-capture.ts'
import type { Spool } from './spool/spool.ts'

export interface CollectorStatus {
  readonly node: string
  readonly cluster: string
  readonly bootId: string
  readonly startedUnixMs: number
  readonly lastFlushUnixMs: number
  readonly capabilities: number
  readonly hooks: readonly HookReport[]
  readonly ring: RingIdentity
  readonly records: RecordsIdentity
  readonly spool: SpoolStatus
  readonly publish: { readonly batches: number; readonly unacknowledged: number; readonly rejections: number }
  /** What lies in the spool's directory, if there is one, and what came from there. */
  readonly store?: BatchStoreCounts & {
    readonly publishedFormerBatches: number
    readonly publishedFormerRecords: number
  }
  /** What the kernel programs and the table of open flows count beside the two identities. */
  readonly flows: Omit<
    CaptureCounters,
    'ringProduced' | 'ringConsumed' | 'ringFull' | 'recordsEncoded' | 'recordsMerged' | 'recordsSampledOut'
  >
  readonly sampling: SamplingStatus
  readonly brokenFlushes: number
}

export interface SpoolStatus {
  readonly batches: number
  readonly bytes: number
  readonly capacityBytes: number
  readonly mergedRecords: number
  /** Not 0 is a bug: batches that could not be merged because they could not be read. */
  readonly unmergeableBatches: number
}

/** produced = consumed + full + waiting; `waiting` rows are in the ring. */
export interface RingIdentity {
  readonly produced: number
  readonly consumed: number
  readonly full: number
  readonly waiting: number
  readonly holds: boolean
}

/**
 * encoded = published + merged + sampledOut + queued + lost.spool_full + lost.sequence_gap (batches of the spool's
 * directory that could not be read again). The other places come before a record is one.
 */
export interface RecordsIdentity {
  readonly encoded: number
  readonly published: number
  readonly merged: number
  readonly sampledOut: number
  readonly queued: number
  readonly lost: Readonly<Partial<Record<LossPlace, number>>>
  readonly holds: boolean
}

export interface StatusParts {
  readonly node: string
  readonly cluster: string
  readonly bootId: string
  readonly startedUnixMs: number
  readonly spoolBytes: number
  readonly capture: Capture
  readonly intake: Intake
  readonly spool: Spool
  readonly publisher: Publisher
  readonly store: BatchStore | undefined
  readonly sampling: Sampling
}

export function collectorStatus(parts: StatusParts): CollectorStatus {
  const { node, cluster, bootId, startedUnixMs, capture, intake, publisher } = parts
  const counters = capture.counters()
  const {
    ringProduced: _p,
    ringConsumed: _c,
    ringFull: _f,
    recordsEncoded: _e,
    recordsMerged: _m,
    recordsSampledOut: _s,
    ...flows
  } = counters
  const { publishedBatches, sealedBatches, rejections } = publisher.counts
  return {
    node,
    cluster,
    bootId,
    startedUnixMs,
    lastFlushUnixMs: intake.counts.lastFlushUnixMs,
    capabilities: capture.capabilities,
    hooks: capture.hooks,
    ring: ringIdentity(counters),
    records: recordsIdentity(counters, parts),
    spool: spoolStatus(parts),
    publish: { batches: publishedBatches, unacknowledged: sealedBatches, rejections },
    ...(parts.store === undefined ? {} : { store: storeStatus(parts.store, publisher) }),
    flows,
    sampling: parts.sampling.status(),
    brokenFlushes: intake.counts.brokenFlushes,
  }
}

function spoolStatus({ spool: { counts }, spoolBytes }: StatusParts): SpoolStatus {
  const { waitingBatches: batches, waitingBytes: bytes, mergedRecords, unmergeableBatches } = counts
  return { batches, bytes, capacityBytes: spoolBytes, mergedRecords, unmergeableBatches }
}

function storeStatus(store: BatchStore, publisher: Publisher): NonNullable<CollectorStatus['store']> {
  const { formerBatches, formerRecords } = publisher.counts
  return { ...store.counts, publishedFormerBatches: formerBatches, publishedFormerRecords: formerRecords }
}

function ringIdentity({
  ringProduced,
  ringConsumed: consumed,
  ringFull: full,
}: CaptureCounters): RingIdentity {
  const waiting = ringProduced - consumed
  return { produced: ringProduced + full, consumed, full, waiting, holds: waiting >= 0 }
}

function recordsIdentity(capture: CaptureCounters, parts: StatusParts): RecordsIdentity {
  const { intake, spool, publisher, store } = parts
  const totals = collectorCounters(capture, intake.counts.received, spool.counts)
  const { recordsEncoded: encoded, recordsMerged: merged, recordsSampledOut: sampledOut } = totals
  const sequence_gap = store?.counts.lostRecords ?? 0
  const lost = sequence_gap === 0 ? totals.lost : { ...totals.lost, sequence_gap }
  const published = publisher.counts.publishedRecords
  const stored = store?.counts.waitingRecords ?? 0
  const queued = spool.counts.waitingRecords + publisher.counts.sealedRecords + stored
  const holds = encoded === published + merged + sampledOut + queued + lost.spool_full + sequence_gap
  return { encoded, published, merged, sampledOut, queued, lost, holds }
}
