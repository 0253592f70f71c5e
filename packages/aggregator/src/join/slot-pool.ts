import { lineAligned } from '../topology/line-aligned.ts'
import { coldWords, hotWords, slotWords } from './slot-layout.ts'

export const slotChunkShift = 17
const chunkSlots = 1 << slotChunkShift
const slotMask = chunkSlots - 1
const wordBytes = Uint32Array.BYTES_PER_ELEMENT

/** Slots that may still be taken, shared by the partitions of one process. */
export interface SlotAllowance {
  left: number
}

const maxSlots = (1 << 24) - 1

/**
 * Slots in chunks, so that growing never copies: 272 bytes a slot. In a chunk the hot parts of all slots come first,
 * then the cold ones. A chunk is large, so that it lies where lines of words are lines of memory; what of it was never
 * used takes no memory. A released slot is reused first. Slot numbers are below 2^24.
 */
export class SlotPool {
  readonly words: Uint32Array[] = []
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
      this.#free = this.words[slot >>> slotChunkShift][slotStart(slot) + 1] - 1
      this.#clear(slot)
    } else {
      if (this.top >= maxSlots) return -1
      slot = this.top++
      if (slot >>> slotChunkShift >= this.words.length) this.#addChunk()
    }
    this.live++
    this.#allowance.left--
    return slot
  }

  release(slot: number): void {
    this.#clear(slot)
    this.words[slot >>> slotChunkShift][slotStart(slot) + 1] = this.#free + 1
    this.#free = slot
    this.live--
    this.#allowance.left++
  }

  /** Memory of all slots ever handed out. */
  bytes(): number {
    return this.top * slotWords * wordBytes
  }

  #clear(slot: number): void {
    const chunk = this.words[slot >>> slotChunkShift]
    const at = slotStart(slot)
    const cold = coldStart(slot)
    chunk.fill(0, at, at + hotWords)
    chunk.fill(0, cold, cold + coldWords)
  }

  #addChunk(): void {
    const { buffer, at } = lineAligned(chunkSlots * slotWords * wordBytes)
    this.words.push(new Uint32Array(buffer, at, chunkSlots * slotWords))
  }
}

export function chunkOf(slot: number): number {
  return slot >>> slotChunkShift
}

/** First word of a slot in its chunk. */
export function slotStart(slot: number): number {
  return (slot & slotMask) * hotWords
}

/** First word of a slot's cold part in its chunk. */
export function coldStart(slot: number): number {
  return chunkSlots * hotWords + (slot & slotMask) * coldWords
}
