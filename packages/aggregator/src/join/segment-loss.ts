import { Counter } from '../topology/counters.ts'
import type { EdgeBook } from '../topology/edge-book.ts'
import type { ConnectionStore } from './connection-store.ts'
import { jointWeight } from './sampling-rate.ts'
import {
  Cold,
  coldSideAt,
  Head,
  HeadSide,
  headSideAt,
  receivedAt,
  Side,
  SideFlag,
  SlotClass,
  SlotFlag,
  sentAt,
  sideAt,
} from './slot-layout.ts'
import { coldStart, slotStart } from './slot-pool.ts'

const lostCounter = Int32Array.of(Counter.clientToServerLost, Counter.serverToClientLost)
const bothQuiet = SlotFlag.quiet * 3
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
    const quiet = (flags & bothQuiet) === bothQuiet
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
    const at = slotStart(slot)
    const from = at + sideAt(side)
    const to = at + sideAt(1 - side)
    const level = quiet && sentAt(words, from) === receivedAt(words, to)
    if (!level && !ended) return
    const sent = words[from + Side.dataSentTotal]
    const lost = segmentsMissing(
      sent,
      words[to + Side.dataReceivedTotal],
      words[from + Side.retransmittedTotal],
    )
    const baseline = SlotFlag.baseline << side
    if (lost >= 0 && !fromStart && (words[at + Head.flags] & baseline) === 0) {
      if (level) this.#setBaseline(slot, side, lost, sent)
      return
    }
    if (lost < 0) this.#markCoalesced(slot, side, row)
    else this.#bookComparison(words, at, side, lost, sent, row)
  }

  /** An adopted connection is compared from its first level reading on. */
  #setBaseline(slot: number, side: number, lost: number, sent: number): void {
    const words = this.#store.words(slot)
    const h = slotStart(slot) + headSideAt(side)
    const c = coldStart(slot) + coldSideAt(side)
    words[slotStart(slot) + Head.flags] |= SlotFlag.baseline << side
    words[c + Cold.lossBaseDiff] = lost
    words[h + HeadSide.lossDiff] = lost
    words[c + Cold.lossBaseSent] = sent
    words[h + HeadSide.lossSent] = sent
  }

  #markCoalesced(slot: number, side: number, row: number): void {
    const { counters } = this.#book
    const words = this.#store.words(slot)
    const at = slotStart(slot)
    const h = at + headSideAt(side)
    const c = coldStart(slot) + coldSideAt(side)
    const flags = words[at + Head.flags]
    const weight = jointWeight(words, at)
    if ((flags & (SlotFlag.compared << side)) !== 0) {
      // the earlier figures came from the same merged segments: take them back
      counters[row + lostCounter[side]] -=
        weight * ((words[h + HeadSide.lossDiff] - words[c + Cold.lossBaseDiff]) | 0)
      counters[row + comparedCounter[side]] -=
        weight * ((words[h + HeadSide.lossSent] - words[c + Cold.lossBaseSent]) >>> 0)
      words[h + HeadSide.lossDiff] = words[c + Cold.lossBaseDiff]
      words[h + HeadSide.lossSent] = words[c + Cold.lossBaseSent]
    }
    if ((flags & (SlotFlag.coalesced << side)) === 0) counters[row + Counter.lossCoalesced] += weight
    words[at + Head.flags] = (flags & ~(SlotFlag.compared << side)) | (SlotFlag.coalesced << side)
  }

  #bookComparison(
    words: Uint32Array,
    at: number,
    side: number,
    lost: number,
    sent: number,
    row: number,
  ): void {
    const { counters } = this.#book
    const h = at + headSideAt(side)
    const flags = words[at + Head.flags]
    const weight = jointWeight(words, at)
    if ((flags & (SlotFlag.coalesced << side)) !== 0) counters[row + Counter.lossCoalesced] -= weight
    counters[row + lostCounter[side]] += weight * ((lost - words[h + HeadSide.lossDiff]) | 0)
    counters[row + comparedCounter[side]] += weight * ((sent - words[h + HeadSide.lossSent]) >>> 0)
    words[h + HeadSide.lossDiff] = lost
    words[h + HeadSide.lossSent] = sent
    words[at + Head.flags] = (flags & ~(SlotFlag.coalesced << side)) | (SlotFlag.compared << side)
  }
}
