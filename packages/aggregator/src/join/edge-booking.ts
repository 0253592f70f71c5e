import { EndReason, Kind, reasonOf } from '@skybraid/shared'
import { type EntitySource, v4MappedWord } from '../resolve/entity-source.ts'
import { Counter, Histogram } from '../topology/counters.ts'
import type { EdgeBook, EntityId } from '../topology/edge-book.ts'
import { type ConnectionStore, minuteOf, unixMsOf } from './connection-store.ts'
import { failureCounter } from './failure-counter.ts'
import { GaugeBooking } from './gauge-booking.ts'
import { Ledger, ledgerAmounts, ledgerChunk, ledgerStart } from './ledger.ts'
import { addEntry, findEntry } from './ledger-chain.ts'
import { jointWeight, sideWeight } from './sampling-rate.ts'
import {
  Cold,
  coldSideAt,
  Head,
  HeadSide,
  headSideAt,
  openedMsAt,
  Side,
  SideFlag,
  SlotClass,
  sideAt,
} from './slot-layout.ts'
import { coldStart, slotStart } from './slot-pool.ts'

/** Where each of the eight amounts of a record goes; the server's counters follow the client's by this stride. */
const amountCounters = Int32Array.of(
  Counter.clientBytesSent,
  Counter.clientBytesReceived,
  Counter.clientSegmentsSent,
  Counter.clientSegmentsReceived,
  Counter.clientDataSegmentsSent,
  Counter.clientDataSegmentsReceived,
  Counter.clientRetransmits,
  Counter.clientOutOfOrder,
  Counter.serverBytesSent,
  Counter.serverBytesReceived,
  Counter.serverSegmentsSent,
  Counter.serverSegmentsReceived,
  Counter.serverDataSegmentsSent,
  Counter.serverDataSegmentsReceived,
  Counter.serverRetransmits,
  Counter.serverOutOfOrder,
)
const clientRttUs = Histogram.clientRttUs

/** Minutes for which a one-sided booking can still move to the joined edge. */
export const movableMinutes = 15

/**
 * Books a connection on its edge. What is booked follows from the slot and its ledger alone, so that taking it back
 * before a change and booking it again afterwards leaves no trace: `withdraw(slot)`, change, `enter(slot)`.
 */
export class EdgeBooking {
  /** Scratch: the eight amounts of the record being applied. */
  readonly amounts = new Float64Array(ledgerAmounts)
  readonly gauge: GaugeBooking
  readonly #store: ConnectionStore
  readonly #book: EdgeBook
  readonly #entities: EntitySource

  constructor(store: ConnectionStore, book: EdgeBook, entities: EntitySource) {
    this.#store = store
    this.#book = book
    this.#entities = entities
    this.gauge = new GaugeBooking(store, book)
  }

  /** How many connections the side's figures stand for. */
  #weight(slot: number, side: number): number {
    return sideWeight(this.#store.sideFlags(slot, side))
  }

  #jointWeight(slot: number): number {
    return jointWeight(this.#store.words(slot), slotStart(slot))
  }

  edgeOf(slot: number): number {
    return this.#store.words(slot)[slotStart(slot) + Head.edge] - 1
  }

  withdraw(slot: number, nowMs: number): void {
    this.gauge.book(slot, -1, nowMs)
    this.#bookLifecycle(slot, -1, nowMs)
    this.#bookLedgers(slot, -1)
  }

  /** Finds the edge anew and books everything on it. */
  enter(slot: number, nowMs: number): void {
    this.#chooseEdge(slot)
    this.#bookLifecycle(slot, 1, nowMs)
    this.#bookLedgers(slot, 1)
    this.gauge.book(slot, 1, nowMs)
  }

  /** Around a change of openings and ends alone, when edge and traffic stay. */
  withdrawLifecycle(slot: number, nowMs: number): void {
    this.gauge.book(slot, -1, nowMs)
    this.#bookLifecycle(slot, -1, nowMs)
  }

  enterLifecycle(slot: number, nowMs: number): void {
    this.#bookLifecycle(slot, 1, nowMs)
    this.gauge.book(slot, 1, nowMs)
  }

  /** Adds the scratch amounts and one RTT sample to a row of the slot's edge that is already known. */
  addTraffic(row: number, slot: number, side: number, srttUs: number): void {
    const { counters } = this.#book
    const { amounts } = this
    const weight = this.#weight(slot, side)
    const first = side * ledgerAmounts
    for (let i = 0; i < ledgerAmounts; i++) {
      if (amounts[i] !== 0) counters[row + amountCounters[first + i]] += amounts[i] * weight
    }
    if (weight > 1 && !this.#store.isMovable(slot)) counters[row + Counter.sampled] += 1
    if (srttUs > 0) this.#book.sample(row, clientRttUs + side, srttUs, 1)
  }

  /** Notes the scratch amounts and the sample, so that they can move. */
  keep(slot: number, side: number, minute: number, srttUs: number): void {
    const entry = this.#ledgerEntry(slot, side, minute, srttUs > 0)
    const doubles = this.#store.ledger.doubles[ledgerChunk(entry)]
    const at = ledgerStart(entry)
    for (let i = 0; i < ledgerAmounts; i++) doubles[(at >>> 1) + i] += this.amounts[i]
    if (srttUs === 0) return
    const words = this.#store.ledger.words[ledgerChunk(entry)]
    words[at + Ledger.samples + words[at + Ledger.sampleCount]++] = srttUs
  }

  /** Books (or with a negative amount takes back) bytes that never arrived. */
  addMissing(slot: number, side: number, minute: number, bytes: number): void {
    const edge = this.edgeOf(slot)
    if (edge < 0) return
    const row = this.#book.row(edge, minute)
    if (row < 0) return
    this.#book.counters[row + Counter.missingBytes] += bytes * this.#weight(slot, side)
    if (!this.#store.isMovable(slot)) return
    const entry = this.#ledgerEntry(slot, side, minute, false)
    this.#store.ledger.doubles[ledgerChunk(entry)][(ledgerStart(entry) >>> 1) + Ledger.missing] += bytes
  }

  #chooseEdge(slot: number): void {
    const words = this.#store.words(slot)
    const at = slotStart(slot) + Head.edge
    const edge = this.#edgeFor(slot)
    // Over the cap the connection stays on the edge that it has: its numbers are not lost.
    if (edge >= 0) words[at] = edge + 1
  }

  #edgeFor(slot: number): number {
    const store = this.#store
    const protocol = store.protocol(slot)
    const clientEntity = store.isPresent(slot, 0) ? this.#owner(slot, 0) : this.#remote(slot, 1)
    const serverEntity = store.isPresent(slot, 1) ? this.#owner(slot, 1) : this.#remote(slot, 0)
    if (clientEntity < 0 || serverEntity < 0) return -1
    if (!store.isPresent(slot, 1)) {
      const dialled = this.#cold(slot, 0, Cold.ports) & 0xffff
      return this.#book.edge(clientEntity, serverEntity, protocol, dialled, -1, 0)
    }
    const serverPort = this.#cold(slot, 1, Cold.ports) >>> 16
    if (!store.isPresent(slot, 0) || this.#reachedDirectly(slot)) {
      return this.#book.edge(clientEntity, serverEntity, protocol, serverPort, -1, 0)
    }
    const via = this.#remote(slot, 0)
    return this.#book.edge(
      clientEntity,
      serverEntity,
      protocol,
      serverPort,
      via,
      via < 0 ? 0 : this.#cold(slot, 0, Cold.ports) & 0xffff,
    )
  }

  /** The acceptor's own endpoint is the one that was dialled. */
  #reachedDirectly(slot: number): boolean {
    const family = this.#store.sideFlags(slot, 0) & Kind.v6
    if (family !== (this.#store.sideFlags(slot, 1) & Kind.v6)) return false
    if ((this.#cold(slot, 0, Cold.ports) & 0xffff) !== this.#cold(slot, 1, Cold.ports) >>> 16) return false
    const dialled = this.#cold(slot, 0, Cold.remote)
    const own = this.#cold(slot, 1, Cold.local)
    if (family === 0) return dialled === own
    return this.#store.addresses.same(dialled, own)
  }

  #cold(slot: number, side: number, word: number): number {
    return this.#store.words(slot)[coldStart(slot) + coldSideAt(side) + word]
  }

  #owner(slot: number, side: number): EntityId {
    return this.#store.words(slot)[slotStart(slot) + headSideAt(side) + HeadSide.entity] | 0
  }

  /** The entity of the remote address of a side, as its node calls it. */
  #remote(slot: number, side: number): EntityId {
    const words = this.#store.words(slot)
    const s = slotStart(slot) + sideAt(side)
    const node = words[s + Side.session] >>> 8
    const address = this.#cold(slot, side, Cold.remote)
    const openedMs = openedMsAt(words, s)
    if ((words[s + Side.flags] & Kind.v6) === 0) {
      return this.#entities.ofAddress(node, 0, 0, v4MappedWord, address, openedMs)
    }
    const pool = this.#store.addresses
    return this.#entities.ofAddress(
      node,
      pool.word(address, 0),
      pool.word(address, 1),
      pool.word(address, 2),
      pool.word(address, 3),
      openedMs,
    )
  }

  #bookLifecycle(slot: number, sign: 1 | -1, nowMs: number): void {
    const edge = this.edgeOf(slot)
    if (edge < 0) return
    if (this.#store.isPresent(slot, 0)) this.#bookSide(slot, 0, edge, sign, nowMs)
    if (this.#store.isPresent(slot, 1)) this.#bookSide(slot, 1, edge, sign, nowMs)
    this.#bookOpened(slot, edge, sign)
  }

  #bookOpened(slot: number, edge: number, sign: 1 | -1): void {
    const store = this.#store
    if (store.slotClass(slot) === SlotClass.failedDial) return
    const client = store.isPresent(slot, 0)
    const server = store.isPresent(slot, 1)
    const seen = client && (store.sideFlags(slot, 0) & SideFlag.sawOpen) !== 0 ? 0 : 1
    if (seen === 1 && (!server || (store.sideFlags(slot, 1) & SideFlag.sawOpen) === 0)) return
    const openedMs = openedMsAt(store.words(slot), slotStart(slot) + sideAt(seen))
    const row = this.#book.row(edge, minuteOf(openedMs))
    if (row < 0) return
    const counter = client
      ? server
        ? Counter.openedJoined
        : Counter.openedClientOnly
      : Counter.openedServerOnly
    this.#book.counters[row + counter] += sign * this.#jointWeight(slot)
  }

  #bookSide(slot: number, side: number, edge: number, sign: 1 | -1, nowMs: number): void {
    const words = this.#store.words(slot)
    const s = slotStart(slot) + sideAt(side)
    const flags = words[s + Side.flags]
    const openedMs = openedMsAt(words, s)
    const failed = this.#store.slotClass(slot) === SlotClass.failedDial
    const weight = sign * sideWeight(flags)
    if (!failed) {
      const handshakeUs = this.#cold(slot, side, Cold.handshakeUs)
      this.#bookOpening(side, edge, minuteOf(openedMs), flags, handshakeUs, sign, weight)
    }
    if ((flags & SideFlag.ended) === 0) return
    const endedMs = unixMsOf(words[s + Side.lastAt], nowMs)
    const row = this.#book.row(edge, minuteOf(endedMs))
    if (row < 0) return
    if (failed) {
      this.#book.counters[row + failureCounter(flags)] += sign
      return
    }
    this.#bookEnd(row, side, flags, weight)
    if (weight !== sign) this.#book.counters[row + Counter.sampled] += sign
    const durationMs = endedMs - openedMs
    if ((flags & SideFlag.sawOpen) !== 0 && durationMs >= 0) {
      this.#book.sample(row, Histogram.clientDurationMs + side, durationMs, sign)
    }
    const minRttUs = this.#cold(slot, side, Cold.minRttUs)
    if (minRttUs > 0) this.#book.sample(row, Histogram.clientMinRttUs + side, minRttUs, sign)
  }

  #bookOpening(
    side: number,
    edge: number,
    minute: number,
    flags: number,
    handshakeUs: number,
    sign: 1 | -1,
    weight: number,
  ): void {
    const row = this.#book.row(edge, minute)
    if (row < 0) return
    const { counters } = this.#book
    if ((flags & SideFlag.sawOpen) === 0) {
      counters[row + Counter.clientAdopted + side] += weight
    } else {
      counters[row + (side === 0 ? Counter.clientOpened : Counter.serverAccepted)] += weight
      if (handshakeUs > 0) {
        this.#book.sample(row, Histogram.clientHandshakeUs + side, handshakeUs, sign)
        counters[row + Counter.clientHandshakeUsSum + side] += sign * handshakeUs
      }
    }
    if ((flags & Kind.roleGuessed) !== 0) counters[row + Counter.guessedRoles] += weight
    if (weight !== sign) counters[row + Counter.sampled] += sign
  }

  #bookEnd(row: number, side: number, flags: number, weight: number): void {
    const { counters } = this.#book
    counters[row + (side === 0 ? Counter.clientClosed : Counter.serverClosed)] += weight
    const first = side === 0 ? Counter.clientEndedFin : Counter.serverEndedFin
    const reason = reasonOf(flags)
    // fin, rst sent, rst received, kernel timeout are numbered 1 to 4 and their counters follow each other
    if (reason >= EndReason.fin && reason <= EndReason.kernelTimeout) {
      counters[row + first + reason - EndReason.fin] += weight
    }
  }

  #bookLedgers(slot: number, sign: 1 | -1): void {
    const edge = this.edgeOf(slot)
    if (edge < 0) return
    if (!this.#store.said.isEmpty) this.#bookSaid(slot, edge, sign)
    for (let side = 0; side < 2; side++) {
      let entry = this.#store.words(slot)[slotStart(slot) + headSideAt(side) + HeadSide.ledger]
      const weight = entry > 0 ? this.#weight(slot, side) : 1
      while (entry > 0) entry = this.#bookEntry(entry, edge, side, sign, weight)
    }
  }

  #bookSaid(slot: number, edge: number, sign: 1 | -1): void {
    const rowsOf = (minute: number) =>
      this.#book.row(edge, minute) < 0 ? undefined : this.#book.said(minute)
    for (let side = 0; side < 2; side++)
      this.#store.said.book(slot * 2 + side, edge, sign, this.#weight(slot, side), rowsOf)
  }

  /** Books one ledger entry and returns the next one. */
  #bookEntry(entry: number, edge: number, side: number, sign: 1 | -1, weight: number): number {
    const words = this.#store.ledger.words[ledgerChunk(entry)]
    const doubles = this.#store.ledger.doubles[ledgerChunk(entry)]
    const at = ledgerStart(entry)
    const row = this.#book.row(edge, words[at + Ledger.minute])
    if (row >= 0) {
      const { counters } = this.#book
      const first = side * ledgerAmounts
      for (let i = 0; i < ledgerAmounts; i++) {
        counters[row + amountCounters[first + i]] += sign * weight * doubles[(at >>> 1) + i]
      }
      counters[row + Counter.missingBytes] += sign * weight * doubles[(at >>> 1) + Ledger.missing]
      if (weight > 1) counters[row + Counter.sampled] += sign
      for (let i = 0; i < words[at + Ledger.sampleCount]; i++) {
        this.#book.sample(row, clientRttUs + side, words[at + Ledger.samples + i], sign)
      }
    }
    return words[at + Ledger.next]
  }

  /** The entry of a side and minute, with room for a sample if one is to be added. */
  #ledgerEntry(slot: number, side: number, minute: number, withSample: boolean): number {
    const words = this.#store.words(slot)
    const head = slotStart(slot) + headSideAt(side) + HeadSide.ledger
    const { ledger } = this.#store
    const known = findEntry(ledger, words, head, minute, withSample)
    if (known > 0) return known
    const added = addEntry(ledger, words, head, minute, movableMinutes + 1)
    this.#markSampled(slot, side, minute)
    return added
  }

  /** An entry of a sampled side is marked once on its row, and the mark moves with it. */
  #markSampled(slot: number, side: number, minute: number): void {
    if (this.#weight(slot, side) === 1) return
    const row = this.#book.row(this.edgeOf(slot), minute)
    if (row >= 0) this.#book.counters[row + Counter.sampled] += 1
  }
}
