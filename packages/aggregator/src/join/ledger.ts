/**
 * What one side booked in one minute, kept as long as the booking may still have to move to another edge: its amounts
 * and its RTT samples. Entries of one side form a chain. More than six samples in a minute take another entry.
 */
export const ledgerWords = 28
export const ledgerSamples = 6

export const Ledger = {
  // doubles, at half the word index
  amounts: 0, // bytes sent, received, segments sent, received, data sent, received, retransmits, out of order
  missing: 8,
  // words
  next: 18,
  minute: 19,
  sampleCount: 20,
  samples: 21,
} as const

export const ledgerAmounts = 8

const chunkShift = 10
const chunkEntries = 1 << chunkShift

/** A pool of ledger entries in chunks of 112 bytes each; entry numbers are 1-based, 0 ends a chain. */
export class LedgerPool {
  readonly words: Uint32Array[] = []
  readonly doubles: Float64Array[] = []
  live = 0
  #top = 0
  #free = 0

  /** A zeroed entry for a minute, put in front of `next`. */
  take(minute: number, next: number): number {
    let entry = this.#free
    if (entry > 0) {
      this.#free = this.words[(entry - 1) >>> chunkShift][ledgerStart(entry) + Ledger.next]
      const at = ledgerStart(entry)
      this.words[(entry - 1) >>> chunkShift].fill(0, at, at + ledgerWords)
    } else {
      entry = ++this.#top
      if ((entry - 1) >>> chunkShift >= this.words.length) this.#addChunk()
    }
    const words = this.words[(entry - 1) >>> chunkShift]
    words[ledgerStart(entry) + Ledger.minute] = minute
    words[ledgerStart(entry) + Ledger.next] = next
    this.live++
    return entry
  }

  /** Releases a whole chain. */
  release(first: number): void {
    for (let entry = first; entry > 0; ) {
      const words = this.words[(entry - 1) >>> chunkShift]
      const at = ledgerStart(entry) + Ledger.next
      const next = words[at]
      words[at] = this.#free
      this.#free = entry
      this.live--
      entry = next
    }
  }

  bytes(): number {
    return this.words.length * chunkEntries * ledgerWords * 4
  }

  #addChunk(): void {
    const buffer = new ArrayBuffer(chunkEntries * ledgerWords * 4)
    this.words.push(new Uint32Array(buffer))
    this.doubles.push(new Float64Array(buffer))
  }
}

export function ledgerChunk(entry: number): number {
  return (entry - 1) >>> chunkShift
}

/** First word of an entry in its chunk. */
export function ledgerStart(entry: number): number {
  return ((entry - 1) & (chunkEntries - 1)) * ledgerWords
}
