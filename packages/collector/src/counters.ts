import type { Publisher } from './batch/publisher.ts'
import type { SealCounters } from './batch/seal.ts'
import type { CaptureCounters } from './source/open-capture.ts'
import type { Spool } from './spool/spool.ts'

/** What the collector's two identities are made of, as of one moment. */
export interface CollectorCounters extends SealCounters {
  /** Records that wait in the spool or that the bus hasn't acknowledged yet. */
  readonly queued: number
  readonly published: number
}

/**
 * Counters of both identities.
 * Ring: produced = consumed + ring_full, once the ring is empty.
 * Records: encoded = published + merged + sampled out + queued + spool_full. What is lost before there is a record
 * (ring_full, storage_refused, flow_table_full) is not part of encoded and is told beside it.
 */
export function collectorCounters(
  capture: CaptureCounters,
  recordsReceived: number,
  spool: Spool,
  publisher: Publisher,
): CollectorCounters {
  const sampledOut = 0
  return {
    recordsEncoded: recordsReceived + capture.recordsMerged + sampledOut,
    recordsMerged: capture.recordsMerged,
    recordsSampledOut: sampledOut,
    ringProduced: capture.ringProduced + capture.ringFull,
    ringConsumed: capture.ringConsumed,
    queued: spool.counts.waitingRecords + publisher.counts.sealedRecords,
    published: publisher.counts.publishedRecords,
    lost: {
      ring_full: capture.ringFull,
      storage_refused: capture.storageRefused + capture.udpMapFull,
      flow_table_full: capture.flowTableFull,
      spool_full: spool.counts.lostRecords,
    },
  }
}
