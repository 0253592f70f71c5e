import type { GapState, SequenceState } from './ingest-state.ts'

/** What a batch's sequence number says about it. `late`: it came, and is not missing any more, but too late to be applied. */
export type Arrival = 'new' | 'duplicate' | 'late' | 'inconsistent'

interface Gap {
  /** First and last sequence number that is missing. */
  from: number
  to: number
  /** Records that the earlier batches held before the gap, and up to its end. */
  fromRecord: number
  toRecord: number
  readonly sinceMs: number
  /** What comes now is late. */
  settled: boolean
  /** Lies before the first number that this log has seen: not known to be missing. */
  readonly isBefore?: boolean
}

/** A log's state, without whose it is. */
export type LogState = Omit<SequenceState, 'partition' | 'stopped'>

/** Most records that one batch may hold. */
export interface SequenceLimits {
  readonly recordsPerBatch: number
  readonly maxGaps: number
  readonly settleMs: number
}

/**
 * Which batches of one node, boot and partition came: everything up to the highest number except a bounded list of
 * gaps. Counts missing records exactly, because every batch says how many records came before it.
 */
export class SequenceLog {
  highest = 0
  /** Records in batches that never came, so far. */
  missingRecords = 0
  #nextRecord = 0
  readonly #gaps: Gap[] = []
  readonly #limits: SequenceLimits
  readonly #joinsIn: boolean

  /** With `joinsIn` the first number that comes is where the log begins: what lies before it may come, or not. */
  constructor(limits: SequenceLimits, joinsIn = false) {
    this.#limits = limits
    this.#joinsIn = joinsIn
  }

  static restored(limits: SequenceLimits, state: LogState): SequenceLog {
    const log = new SequenceLog(limits)
    log.highest = state.highest
    log.missingRecords = state.missingRecords
    log.#nextRecord = state.records
    log.#gaps.push(...state.gaps.slice(-limits.maxGaps).map(gap => ({ ...gap })))
    return log
  }

  state(): LogState {
    const gaps: GapState[] = this.#gaps.map(({ isBefore: _, ...gap }) => gap)
    return { highest: this.highest, records: this.#nextRecord, missingRecords: this.missingRecords, gaps }
  }

  /** Nothing before the highest number is outstanding. */
  get contiguous(): boolean {
    return this.#gaps.every(gap => gap.settled || gap.isBefore)
  }

  /** Something before this number is missing that was noticed after `sinceMs`, so that it may still be on its way. */
  awaits(sequence: number, sinceMs: number): boolean {
    return this.#gaps.some(gap => !gap.settled && gap.from < sequence && gap.sinceMs > sinceMs)
  }

  /** Records in all batches up to the highest number, come or not. */
  get records(): number {
    return this.#nextRecord
  }

  /** Notes a batch unless it is refused. `inconsistent`: its figures contradict what is known; nothing was noted. */
  note(sequence: number, firstRecord: number, count: number, nowMs: number): Arrival {
    this.#settle(nowMs)
    return sequence > this.highest
      ? this.#append(sequence, firstRecord, count, nowMs)
      : this.#fill(sequence, firstRecord, count)
  }

  #append(sequence: number, firstRecord: number, count: number, nowMs: number): Arrival {
    const skipped = sequence - this.highest - 1
    const records = firstRecord - this.#nextRecord
    if (records < 0 || records > skipped * this.#limits.recordsPerBatch) return 'inconsistent'
    const isBefore = this.#joinsIn && this.highest === 0
    if (skipped > 0) {
      this.#gaps.push({
        from: this.highest + 1,
        to: sequence - 1,
        fromRecord: this.#nextRecord,
        toRecord: firstRecord,
        sinceMs: nowMs,
        settled: false,
        isBefore,
      })
      if (!isBefore) this.missingRecords += records
      // The oldest gap is given up: its records stay missing, and what comes of it counts as a duplicate.
      if (this.#gaps.length > this.#limits.maxGaps) this.#gaps.shift()
    }
    this.highest = sequence
    this.#nextRecord = firstRecord + count
    return 'new'
  }

  #fill(sequence: number, firstRecord: number, count: number): Arrival {
    const index = this.#gaps.findIndex(gap => gap.from <= sequence && sequence <= gap.to)
    if (index < 0) return 'duplicate'
    const gap = this.#gaps[index]
    const { recordsPerBatch } = this.#limits
    const before = firstRecord - gap.fromRecord
    const after = gap.toRecord - firstRecord - count
    if (before < 0 || before > (sequence - gap.from) * recordsPerBatch) return 'inconsistent'
    if (after < 0 || after > (gap.to - sequence) * recordsPerBatch) return 'inconsistent'
    const pieces: Gap[] = []
    if (gap.from < sequence) pieces.push({ ...gap, to: sequence - 1, toRecord: firstRecord })
    if (sequence < gap.to) pieces.push({ ...gap, from: sequence + 1, fromRecord: firstRecord + count })
    this.#gaps.splice(index, 1, ...pieces)
    while (this.#gaps.length > this.#limits.maxGaps) this.#gaps.shift()
    if (!gap.isBefore) this.missingRecords -= count
    return gap.settled ? 'late' : 'new'
  }

  #settle(nowMs: number): void {
    for (const gap of this.#gaps) {
      if (!gap.settled && nowMs - gap.sinceMs >= this.#limits.settleMs) gap.settled = true
    }
  }
}
