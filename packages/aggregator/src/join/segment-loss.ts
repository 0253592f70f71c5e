import { Kind } from '@skybraid/shared'
import { Counter } from '../topology/counters.ts'
import type { EdgeBook } from '../topology/edge-book.ts'
import type { ConnectionStore } from './connection-store.ts'
import { Head, reachedAt, Side, SideFlag, SlotClass, SlotFlag, sideAt } from './slot-layout.ts'
import { slotStart } from './slot-pool.ts'

const lostCounter = Int32Array.of(Counter.clientToServerLost, Counter.serverToClientLost)
const comparedCounter = Int32Array.of(Counter.clientToServerCompared, Counter.serverToClientCompared)

/**
 * Segments that the sender counted and the receiver did not, or -1 where the difference can't be loss: segments were
 * merged or split on the way. All arguments are totals modulo 2^32.
 */
export function segmentsMissing(sent: number, received: number, retransmitted: number): number {
  const difference = (sent - received) >>> 0
  return difference <= retransmitted >>> 0 ? difference : -1
}

/**
 * Compares both ends of a joined TCP connection, each direction by itself, when nothing is under way: both readings
 * quiet and equal in bytes, or both ends closed. Books on `row` what changed since the last comparison.
 */
export class SegmentLoss {
  readonly #store: ConnectionStore
  readonly #book: EdgeBook

  constructor(store: ConnectionStore, book: EdgeBook) {
    this.#store = store
    this.#book = book
  }

  compare(slot: number, row: number): void {
    const store = this.#store
    const words = store.words(slot)
    const at = slotStart(slot)
    const both = SlotFlag.present * 3
    const flags = words[at + Head.flags]
    if ((flags & both) !== both || (flags & SlotFlag.classMask) !== SlotClass.tcp) return
    const clientFlags = words[at + sideAt(0) + Side.flags]
    const serverFlags = words[at + sideAt(1) + Side.flags]
    const together = clientFlags & serverFlags
    const ended = (together & SideFlag.ended) !== 0
    const quiet = (together & Kind.quiet) !== 0
    if (!ended && !quiet) return
    const midway = (clientFlags | serverFlags) & SideFlag.midway
    const fromStart = (together & SideFlag.sawOpen) !== 0 && midway === 0
    this.#compareDirection(slot, 0, ended, quiet, fromStart, row)
    this.#compareDirection(slot, 1, ended, quiet, fromStart, row)
  }

  #compareDirection(
    slot: number,
    side: number,
    ended: boolean,
    quiet: boolean,
    fromStart: boolean,
    row: number,
  ): void {
    const words = this.#store.words(slot)
    const doubles = this.#store.doubles(slot)
    const at = slotStart(slot)
    const from = at + sideAt(side)
    const to = at + sideAt(1 - side)
    const level = quiet && doubles[reachedAt(at, side)] === doubles[reachedAt(at, 1 - side) + 1]
    if (!level && !ended) return
    const sent = words[from + Side.dataSentTotal]
    const lost = segmentsMissing(
      sent,
      words[to + Side.dataReceivedTotal],
      words[from + Side.retransmittedTotal],
    )
    const baseline = SlotFlag.baseline << side
    if (lost >= 0 && !fromStart && (words[at + Head.flags] & baseline) === 0) {
      if (level) this.#setBaseline(words, at, from, side, lost, sent)
      return
    }
    if (lost < 0) this.#markCoalesced(words, at, from, side, row)
    else this.#bookComparison(words, at, from, side, lost, sent, row)
  }

  /** An adopted connection is compared from its first level reading on. */
  #setBaseline(words: Uint32Array, at: number, from: number, side: number, lost: number, sent: number): void {
    words[at + Head.flags] |= SlotFlag.baseline << side
    words[from + Side.lossBaseDiff] = lost
    words[from + Side.lossDiff] = lost
    words[from + Side.lossBaseSent] = sent
    words[from + Side.lossSent] = sent
  }

  #markCoalesced(words: Uint32Array, at: number, from: number, side: number, row: number): void {
    const { counters } = this.#book
    const flags = words[at + Head.flags]
    if ((flags & (SlotFlag.compared << side)) !== 0) {
      // the earlier figures came from the same merged segments: take them back
      counters[row + lostCounter[side]] -= (words[from + Side.lossDiff] - words[from + Side.lossBaseDiff]) | 0
      counters[row + comparedCounter[side]] -=
        (words[from + Side.lossSent] - words[from + Side.lossBaseSent]) >>> 0
      words[from + Side.lossDiff] = words[from + Side.lossBaseDiff]
      words[from + Side.lossSent] = words[from + Side.lossBaseSent]
    }
    if ((flags & (SlotFlag.coalesced << side)) === 0) counters[row + Counter.lossCoalesced] += 1
    words[at + Head.flags] = (flags & ~(SlotFlag.compared << side)) | (SlotFlag.coalesced << side)
  }

  #bookComparison(
    words: Uint32Array,
    at: number,
    from: number,
    side: number,
    lost: number,
    sent: number,
    row: number,
  ): void {
    const { counters } = this.#book
    const flags = words[at + Head.flags]
    if ((flags & (SlotFlag.coalesced << side)) !== 0) counters[row + Counter.lossCoalesced] -= 1
    counters[row + lostCounter[side]] += (lost - words[from + Side.lossDiff]) | 0
    counters[row + comparedCounter[side]] += (sent - words[from + Side.lossSent]) >>> 0
    words[from + Side.lossDiff] = lost
    words[from + Side.lossSent] = sent
    words[at + Head.flags] = (flags & ~(SlotFlag.coalesced << side)) | (SlotFlag.compared << side)
  }
}
