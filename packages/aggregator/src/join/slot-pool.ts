import { slotWords } from './slot-layout.ts'

const chunkShift = 14
const chunkSlots = 1 << chunkShift

/** Slots that may still be taken, shared by the partitions of one process. */
export interface SlotAllowance {
  left: number
}

const maxSlots = (1 << 24) - 1

/**
 * Slots in chunks, so that growing never copies: 272 bytes a slot. A released slot is reused first. Slot numbers are
 * below 2^24.
 */
export class SlotPool {
  readonly words: Uint32Array[] = []
  readonly doubles: Float64Array[] = []
  /** Slots ever handed out: the range to walk over. */
  top = 0
  live = 0
  #free = -1
  readonly #allowance: SlotAllowance

  constructor(allowance: SlotAllowance) {
    this.#allowance = allowance
  }

  /** A zeroed slot; -1 when the allowance is used up. */
  take(): number {
    if (this.#allowance.left <= 0) return -1
    let slot = this.#free
    if (slot >= 0) {
      const chunk = this.words[slot >>> chunkShift]
      const at = slotStart(slot)
      this.#free = chunk[at + 1] - 1
      chunk.fill(0, at, at + slotWords)
    } else {
      if (this.top >= maxSlots) return -1
      slot = this.top++
      if (slot >>> chunkShift >= this.words.length) this.#addChunk()
    }
    this.live++
    this.#allowance.left--
    return slot
  }

  release(slot: number): void {
    const chunk = this.words[slot >>> chunkShift]
    const at = slotStart(slot)
    chunk.fill(0, at, at + slotWords)
    chunk[at + 1] = this.#free + 1
    this.#free = slot
    this.live--
    this.#allowance.left++
  }

  bytes(): number {
    return this.words.length * chunkSlots * slotWords * 4
  }

  #addChunk(): void {
    const buffer = new ArrayBuffer(chunkSlots * slotWords * 4)
    this.words.push(new Uint32Array(buffer))
    this.doubles.push(new Float64Array(buffer))
  }
}

export function chunkOf(slot: number): number {
  return slot >>> chunkShift
}

/** First word of a slot in its chunk. */
export function slotStart(slot: number): number {
  return (slot & (chunkSlots - 1)) * slotWords
}
