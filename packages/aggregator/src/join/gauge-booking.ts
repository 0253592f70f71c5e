import type { EdgeBook } from '../topology/edge-book.ts'
import { type ConnectionStore, minuteOf, unixMsOf } from './connection-store.ts'
import { jointWeight } from './sampling-rate.ts'
import { Head, openedMsAt, Side, SlotClass, SlotFlag, sideAt } from './slot-layout.ts'
import { slotStart } from './slot-pool.ts'

const Gauge = { none: 0, client: 1, server: 2, joined: 3 } as const
const gaugeNames = ['client', 'client', 'server', 'joined'] as const

/** Books how long a connection counts as open. It follows from its slot alone, like everything that is booked. */
export class GaugeBooking {
  /** Open connections by how they are counted: (unused), client only, server only, joined. */
  readonly openCounts = new Float64Array(4)
  readonly #store: ConnectionStore
  readonly #book: EdgeBook

  constructor(store: ConnectionStore, book: EdgeBook) {
    this.#store = store
    this.#book = book
  }

  /** Books (or takes back) that it was open from its first minute on, to the one in which one of its ends ended. */
  book(slot: number, sign: 1 | -1, nowMs: number): void {
    const gauge = this.#gauge(slot)
    if (gauge === Gauge.none) return
    const endedMs = this.#endedMs(slot, nowMs)
    if (endedMs === undefined) this.openCounts[gauge] += sign
    const edge = this.#edgeOf(slot)
    if (edge < 0) return
    const first = gauge === Gauge.server ? 1 : 0
    const opened = minuteOf(openedMsAt(this.#store.words(slot), slotStart(slot) + sideAt(first)))
    const ended = endedMs === undefined ? undefined : Math.max(opened, minuteOf(endedMs))
    if (ended === opened) return
    const change = sign * this.#weight(slot)
    this.#book.open(edge, gaugeNames[gauge], change, opened)
    if (ended !== undefined) this.#book.open(edge, gaugeNames[gauge], -change, ended)
  }

  /** From now on the connection is taken as gone, although nobody said so. */
  expire(slot: number, nowMs: number): void {
    this.#toggle(slot, -1, nowMs)
    this.#store.setFlag(slot, SlotFlag.expired)
  }

  /** Something came of a connection that was taken as gone. */
  revive(slot: number, nowMs: number): void {
    this.#store.clearFlag(slot, SlotFlag.expired)
    this.#toggle(slot, 1, nowMs)
  }

  /** How the connection counts while it is open. */
  #gauge(slot: number): number {
    const store = this.#store
    const flags = store.flags(slot)
    if ((flags & SlotFlag.expired) !== 0 || (flags & SlotFlag.classMask) === SlotClass.failedDial) {
      return Gauge.none
    }
    if (!store.isPresent(slot, 0)) return Gauge.server
    return store.isPresent(slot, 1) ? Gauge.joined : Gauge.client
  }

  #toggle(slot: number, sign: 1 | -1, nowMs: number): void {
    const gauge = this.#gauge(slot)
    if (gauge === Gauge.none || this.#endedMs(slot, nowMs) !== undefined) return
    this.openCounts[gauge] += sign
    const edge = this.#edgeOf(slot)
    if (edge >= 0) this.#book.open(edge, gaugeNames[gauge], sign * this.#weight(slot), minuteOf(nowMs))
  }

  /** When the first of its ends ended, of those that are known. */
  #endedMs(slot: number, nowMs: number): number | undefined {
    const store = this.#store
    let first: number | undefined
    for (let side = 0; side < 2; side++) {
      if (!store.isPresent(slot, side) || !store.hasEnded(slot, side)) continue
      const endedMs = unixMsOf(store.words(slot)[slotStart(slot) + sideAt(side) + Side.lastAt], nowMs)
      if (first === undefined || endedMs < first) first = endedMs
    }
    return first
  }

  #edgeOf(slot: number): number {
    return this.#store.words(slot)[slotStart(slot) + Head.edge] - 1
  }

  #weight(slot: number): number {
    return jointWeight(this.#store.words(slot), slotStart(slot))
  }
}
