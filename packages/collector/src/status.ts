import type { LossPlace } from '@skybraid/shared'
import type { Publisher } from './batch/publisher.ts'
import { collectorCounters } from './counters.ts'
import type { Intake } from './intake.ts'
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
  readonly spool: { readonly batches: number; readonly bytes: number; readonly capacityBytes: number }
  readonly publish: { readonly batches: number; readonly unacknowledged: number; readonly rejections: number }
  /** What the kernel programs and the table of open flows count beside the two identities. */
  readonly flows: Omit<
    CaptureCounters,
    'ringProduced' | 'ringConsumed' | 'ringFull' | 'recordsEncoded' | 'recordsMerged' | 'recordsSampledOut'
  >
  readonly brokenFlushes: number
}

/** produced = consumed + full + waiting; `waiting` rows are in the ring. */
export interface RingIdentity {
  readonly produced: number
  readonly consumed: number
  readonly full: number
  readonly waiting: number
  readonly holds: boolean
}

/** encoded = published + merged + sampledOut + queued + lost.spool_full. The other places come before a record is one. */
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
}

export function collectorStatus(parts: StatusParts): CollectorStatus {
  const { node, cluster, bootId, startedUnixMs, capture, intake, spool, publisher } = parts
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
  const { waitingBatches, waitingBytes } = spool.counts
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
    spool: { batches: waitingBatches, bytes: waitingBytes, capacityBytes: parts.spoolBytes },
    publish: { batches: publishedBatches, unacknowledged: sealedBatches, rejections },
    flows,
    brokenFlushes: intake.counts.brokenFlushes,
  }
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
  const { intake, spool, publisher } = parts
  const totals = collectorCounters(capture, intake.counts.received, spool.counts.lostRecords)
  const { recordsEncoded: encoded, recordsMerged: merged, recordsSampledOut: sampledOut, lost } = totals
  const published = publisher.counts.publishedRecords
  const queued = spool.counts.waitingRecords + publisher.counts.sealedRecords
  const holds = encoded === published + merged + sampledOut + queued + lost.spool_full
  return { encoded, published, merged, sampledOut, queued, lost, holds }
}
