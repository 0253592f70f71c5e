import type { BatchHeader } from '@skybraid/shared'
import { type Arrival, type SequenceLimits, SequenceLog } from './sequence-log.ts'

interface Partition {
  readonly log: SequenceLog
  /** The batch with the highest number said that the collector stops. */
  stopped: boolean
  /** Batches that say that a minute is complete, oldest first, before which something may still come. */
  markers: { readonly minute: number; readonly sequence: number }[]
}

/** Cumulative counters of a collector's boot, from the batch sealed last. */
export interface BootCounters {
  encoded: number
  merged: number
  sampledOut: number
  ringProduced: number
  ringConsumed: number
  /** By number of LossPlace. */
  readonly lost: Map<number, number>
}

const maxLossPlaces = 64
const maxMarkers = 4
/** What overtook other batches waits this long for them; it is as long as batches are believed to be under way. */
const patienceMs = 20_000

/** What came from one start of one collector. Bounded: at most `maxPartitions` partitions. */
export class BootLog {
  readonly bootId: string
  /** Position among the node's boots, modulo 256. */
  readonly ordinal: number
  /** When its first batch that came was sent, by the node's clock. */
  readonly firstSentMs: number
  readonly counters: BootCounters = {
    encoded: 0,
    merged: 0,
    sampledOut: 0,
    ringProduced: 0,
    ringConsumed: 0,
    lost: new Map(),
  }
  capabilities = 0
  batches = 0
  records = 0
  duplicates = 0
  readonly #partitions = new Map<number, Partition>()
  readonly #limits: SequenceLimits & { readonly maxPartitions: number }

  constructor(
    header: BatchHeader,
    ordinal: number,
    limits: SequenceLimits & { readonly maxPartitions: number },
  ) {
    this.bootId = header.bootId
    this.firstSentMs = header.sentUnixMs
    this.ordinal = ordinal
    this.#limits = limits
  }

  /** Notes a batch's number. `undefined` if the boot has too many partitions already. */
  note(header: BatchHeader, nowMs: number): Arrival | undefined {
    let partition = this.#partitions.get(header.partition)
    if (partition === undefined) {
      if (this.#partitions.size >= this.#limits.maxPartitions) return undefined
      partition = { log: new SequenceLog(this.#limits), stopped: false, markers: [] }
      this.#partitions.set(header.partition, partition)
    }
    const arrival = partition.log.note(header.sequence, header.firstRecord, header.recordCount, nowMs)
    if (arrival === 'duplicate') this.duplicates += header.recordCount
    if (arrival !== 'new') return arrival
    if (header.sequence === partition.log.highest) partition.stopped = header.cleanStop
    this.batches++
    this.records += header.recordCount
    this.#takeCounters(header)
    return arrival
  }

  isContiguous(partition: number): boolean {
    return this.#partitions.get(partition)?.log.contiguous ?? false
  }

  /**
   * The latest minute of which nothing is missing any more in a partition, after the batch that was just noted; -1 if
   * that is none. A marker that overtook a batch counts once that batch came, or once nobody waits for it any more.
   */
  completedMinute(header: BatchHeader, nowMs: number): number {
    const partition = this.#partitions.get(header.partition)
    if (partition === undefined) return -1
    const { log, markers } = partition
    if (header.minuteComplete) {
      markers.push({ minute: Math.floor(header.baseUnixMs / 60_000), sequence: header.sequence })
      if (markers.length > maxMarkers) markers.shift()
    }
    let minute = -1
    partition.markers = markers.filter(marker => {
      if (log.awaits(marker.sequence, nowMs - patienceMs)) return true
      minute = Math.max(minute, marker.minute)
      return false
    })
    return minute
  }

  get missingRecords(): number {
    let missing = 0
    for (const { log } of this.#partitions.values()) missing += log.missingRecords
    return missing
  }

  /** Records with a sequence number, come or not. */
  get publishedRecords(): number {
    let records = 0
    for (const { log } of this.#partitions.values()) records += log.records
    return records
  }

  /** The last thing heard of every partition was that the collector stops, and nothing is missing. */
  get endedCleanly(): boolean {
    for (const { log, stopped } of this.#partitions.values()) {
      if (!stopped || log.missingRecords > 0) return false
    }
    return true
  }

  // The counters only grow, so the largest are the newest, whatever order batches come in.
  #takeCounters(header: BatchHeader): void {
    const { counters } = this
    counters.encoded = Math.max(counters.encoded, header.recordsEncoded)
    counters.merged = Math.max(counters.merged, header.recordsMerged)
    counters.sampledOut = Math.max(counters.sampledOut, header.recordsSampledOut)
    counters.ringProduced = Math.max(counters.ringProduced, header.ringProduced)
    counters.ringConsumed = Math.max(counters.ringConsumed, header.ringConsumed)
    for (const { place, records } of header.losses) {
      if (!counters.lost.has(place) && counters.lost.size >= maxLossPlaces) continue
      counters.lost.set(place, Math.max(counters.lost.get(place) ?? 0, records))
    }
    this.capabilities = header.capabilities
  }
}
