import type { BatchHeader } from '@skybraid/shared'
import type { BootState } from './ingest-state.ts'
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
  /** What is in no operation, by number of L7Cause, and connections by what they were found to speak. */
  readonly unread: Map<number, number>
  readonly verdicts: Map<number, number>
}

const maxLossPlaces = 64
const maxMarkers = 4
/** What overtook other batches waits this long for them; it is as long as batches are believed to be under way. */
const patienceMs = 20_000
/** The same for batches of another epoch's partition, whose numbers do not tell that one is outstanding. */
const switchMs = 2 * 60_000

export type BootLimits = SequenceLimits & { readonly maxPartitions: number }

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
    unread: new Map(),
    verdicts: new Map(),
  }
  capabilities = 0
  batches = 0
  records = 0
  duplicates = 0
  /** Grows whenever what is known to be lost changes. */
  lossChanges = 0
  readonly #partitions = new Map<number, Partition>()
  /** While catching up: what came again, by partition. */
  #again: Map<number, SequenceLog> | undefined
  /** What came of other epochs' partitions, which are accounted for elsewhere. */
  readonly #elsewhere = new Map<number, SequenceLog>()
  /** When the first batch came, and the latest one by partition. */
  #sinceMs = Number.POSITIVE_INFINITY
  readonly #heardMs = new Map<number, number>()
  readonly #limits: BootLimits

  constructor(bootId: string, firstSentMs: number, ordinal: number, limits: BootLimits) {
    this.bootId = bootId
    this.firstSentMs = firstSentMs
    this.ordinal = ordinal
    this.#limits = limits
  }

  static restored(state: BootState, ordinal: number, limits: BootLimits): BootLog {
    const log = new BootLog(state.bootId, state.firstSentMs, ordinal, limits)
    const { counters } = log
    counters.encoded = state.encoded
    counters.merged = state.merged
    counters.sampledOut = state.sampledOut
    counters.ringProduced = state.ringProduced
    counters.ringConsumed = state.ringConsumed
    for (const [place, records] of state.lost.slice(0, maxLossPlaces)) counters.lost.set(place, records)
    log.capabilities = state.capabilities
    log.batches = state.batches
    log.records = state.records
    log.duplicates = state.duplicates
    for (const { partition, stopped, ...rest } of state.logs.slice(0, limits.maxPartitions))
      log.#partitions.set(partition, { log: SequenceLog.restored(limits, rest), stopped, markers: [] })
    return log
  }

  state(): BootState {
    const { bootId, firstSentMs, capabilities, batches, records, duplicates } = this
    // those of application protocols come with the next batch
    const { lost, unread: _unread, verdicts: _verdicts, ...counters } = this.counters
    const logs = [...this.#partitions].map(([partition, { log, stopped }]) => ({
      partition,
      stopped,
      ...log.state(),
    }))
    const own = { bootId, firstSentMs, capabilities, batches, records, duplicates }
    return { ...own, ...counters, lost: [...lost], logs }
  }

  /** Notes a batch's number in a log that begins with the first one and is forgotten by `endAgain`. */
  noteAgain(header: BatchHeader, nowMs: number): Arrival {
    this.#again ??= new Map()
    let log = this.#again.get(header.partition)
    if (log === undefined) {
      log = new SequenceLog(this.#limits, true)
      this.#again.set(header.partition, log)
    }
    return log.note(header.sequence, header.firstRecord, header.recordCount, nowMs)
  }

  endAgain(): void {
    this.#again = undefined
  }

  /** Notes a batch of a partition that is accounted for elsewhere. `undefined` if the boot has too many already. */
  noteElsewhere(header: BatchHeader, nowMs: number): Arrival | undefined {
    let log = this.#elsewhere.get(header.partition)
    if (log === undefined) {
      if (this.#elsewhere.size >= this.#limits.maxPartitions) return undefined
      log = new SequenceLog(this.#limits, true)
      this.#elsewhere.set(header.partition, log)
    }
    this.#hear(header, nowMs)
    const arrival = log.note(header.sequence, header.firstRecord, header.recordCount, nowMs)
    if (arrival === 'new') this.#takeCounters(header)
    return arrival
  }

  /** Notes a batch's number. `undefined` if the boot has too many partitions already. */
  note(header: BatchHeader, nowMs: number): Arrival | undefined {
    let partition = this.#partitions.get(header.partition)
    if (partition === undefined) {
      if (this.#partitions.size >= this.#limits.maxPartitions) return undefined
      partition = { log: new SequenceLog(this.#limits), stopped: false, markers: [] }
      this.#partitions.set(header.partition, partition)
    }
    this.#hear(header, nowMs)
    const missingBefore = partition.log.missingRecords
    const arrival = partition.log.note(header.sequence, header.firstRecord, header.recordCount, nowMs)
    if (partition.log.missingRecords !== missingBefore) this.lossChanges++
    if (arrival === 'duplicate') this.duplicates += header.recordCount
    if (arrival !== 'new' && arrival !== 'late') return arrival
    this.batches++
    this.records += header.recordCount
    if (arrival === 'late') return arrival
    if (header.sequence === partition.log.highest) partition.stopped = header.cleanStop
    this.#takeCounters(header)
    return arrival
  }

  isContiguous(partition: number): boolean {
    if (this.#again?.get(partition)?.contiguous === false) return false
    const log = this.#partitions.get(partition)?.log ?? this.#elsewhere.get(partition)
    return log?.contiguous ?? false
  }

  /**
   * Whether all that this boot still says of a connection comes in this partition: not while it changes from the one of
   * one epoch to that of another, since then an earlier record may come after a later one and nothing tells so.
   */
  isSettled(partition: number, nowMs: number): boolean {
    if (nowMs - this.#sinceMs < switchMs) return false
    for (const [other, heardMs] of this.#heardMs)
      if (other !== partition && nowMs - heardMs < switchMs) return false
    return true
  }

  #hear({ partition }: BatchHeader, nowMs: number): void {
    this.#sinceMs = Math.min(this.#sinceMs, nowMs)
    this.#heardMs.set(partition, nowMs)
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
      const before = counters.lost.get(place) ?? 0
      if (records > before) this.lossChanges++
      counters.lost.set(place, Math.max(before, records))
    }
    for (const { cause, count } of header.l7Counts) raise(counters.unread, cause, count)
    for (const { protocol, connections } of header.l7Verdicts) raise(counters.verdicts, protocol, connections)
    this.capabilities = header.capabilities
  }
}

/** There are fewer protocols and causes than this. */
const mostKinds = 64

function raise(counts: Map<number, number>, kind: number, count: number): void {
  if (!counts.has(kind) && counts.size >= mostKinds) return
  counts.set(kind, Math.max(counts.get(kind) ?? 0, count))
}
