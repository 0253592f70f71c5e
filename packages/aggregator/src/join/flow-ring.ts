import type { SlotWords } from './flow-sums.ts'
import { coldWords, hotWords, slotWords } from './slot-layout.ts'
import { WideSums } from './wide-sums.ts'

/**
 * The last flows that ended, as copies of their slots: bounded, oldest overwritten. IPv6 addresses are copied beside
 * them, because the table's own are released. A copy can be refreshed while it is still there.
 */
export class FlowRing {
  readonly capacity: number
  readonly words: Uint32Array
  /** Local and remote address of the client's side, then of the server's: four words each. */
  readonly addresses: Uint32Array
  /** By position * 2 + side. */
  readonly wideSums = new WideSums()
  /** Unix milliseconds when the copy was made, by position. */
  readonly writtenMs: Float64Array
  /** Copies made so far; copy n is at n % capacity while n >= next - capacity. */
  next = 0

  constructor(capacity: number) {
    this.capacity = capacity
    this.words = new Uint32Array(capacity * slotWords)
    this.addresses = new Uint32Array(capacity * 16)
    this.writtenMs = new Float64Array(capacity)
  }

  /** A place for a slot that has none yet, or its own while it is not overwritten. Numbers begin at 1. */
  placeFor(known: number): number {
    return known > 0 && this.has(known) ? known : ++this.next
  }

  has(number: number): boolean {
    return number > 0 && number <= this.next && number > this.next - this.capacity
  }

  position(number: number): number {
    return (number - 1) % this.capacity
  }

  slotAt(position: number): SlotWords {
    const cold = this.capacity * hotWords + position * coldWords
    return { words: this.words, start: position * hotWords, cold }
  }
}
