import { type FlowColumns, Kind, State, samplingOf, stateOf } from '@skybraid/shared'
import type { EntitySource } from '../resolve/entity-source.ts'
import type { EdgeBook } from '../topology/edge-book.ts'
import { ConnectionStore } from './connection-store.ts'
import { copyToRing } from './copy-to-ring.ts'
import { EdgeBooking, movableMinutes } from './edge-booking.ts'
import { conflict, FlowLocator } from './flow-locator.ts'
import type { FlowRing } from './flow-ring.ts'
import { FlowState } from './flow-state.ts'
import type { ApplyOutcome, JoinCounts } from './join-outcome.ts'
import { MissingBytes } from './missing-bytes.ts'
import { NativeUsualRecords, type OpenNativeUsual } from './native-usual.ts'
import { type BatchOrigin, RecordBatch } from './record-batch.ts'
import { SaidBooking } from './said-booking.ts'
import { type SamplingRates, sampleHash, setJointRate } from './sampling-rate.ts'
import { SegmentLoss } from './segment-loss.ts'
import { swapSides } from './side-swap.ts'
import { Head, Side, SideFlag, SlotClass, SlotFlag, sideAt } from './slot-layout.ts'
import { chunkOf, type SlotAllowance, slotStart } from './slot-pool.ts'
import { UdpPairs } from './udp-pairs.ts'
import { type UsualBooking, UsualRecords } from './usual-records.ts'

export interface JoinTableOptions {
  readonly book: EdgeBook
  readonly entities: EntitySource
  /** Connections and remembered ends of connections; 272 bytes each. */
  readonly allowance: SlotAllowance
  /** Where ended flows are kept for the list of flows. */
  readonly ring: FlowRing
  /** Random, so that keys can't be made to collide on purpose. */
  readonly hashSeed: number
  readonly rates: SamplingRates
  /** Takes every record the general way: what the tests compare the quicker way with. */
  readonly oneByOne?: boolean
  /** The library that books usual records, where there is one. */
  readonly openNative?: OpenNativeUsual | undefined
}

const forgetSilentOpenSeconds = 11 * 60
/** After this nothing of a connection's minutes can be corrected any more, so nothing can be counted twice. */
const forgetSeconds = (movableMinutes + 1) * 60
const forgetCompleteSeconds = 10
/** The clock hand goes round in this time. */
const roundMs = 10_000
const roomSearch = 512

/** Joins the records of one partition: two views, one connection, booked once. */
export class JoinTable {
  readonly store: ConnectionStore
  readonly ring: FlowRing
  readonly missing: MissingBytes
  readonly #book: EdgeBook
  readonly #booking: EdgeBooking
  readonly #rates: SamplingRates
  readonly #locator: FlowLocator
  readonly #state: FlowState
  readonly #loss: SegmentLoss
  readonly #udp: UdpPairs
  readonly #batch: RecordBatch
  readonly #usual: UsualBooking | undefined
  readonly #said: SaidBooking
  readonly #outcome: ApplyOutcome = { applied: 0, late: 0, tableFull: 0, cardinalityCap: 0, malformed: 0 }
  #hand = 0
  #evicted = 0
  #handMs = 0

  constructor(options: JoinTableOptions) {
    this.store = new ConnectionStore(options.allowance, options.hashSeed)
    this.ring = options.ring
    this.#book = options.book
    this.#rates = options.rates
    this.#booking = new EdgeBooking(this.store, options.book, options.entities)
    this.missing = new MissingBytes((flow, minute, bytes) =>
      this.#booking.addMissing(flow >>> 1, flow & 1, minute, bytes),
    )
    this.#locator = new FlowLocator(this.store)
    this.#said = new SaidBooking(this.store, options.book, this.#locator)
    this.#state = new FlowState(this.store, options.entities, this.missing)
    this.#loss = new SegmentLoss(this.store, options.book)
    this.#udp = new UdpPairs(this.store, this.#booking, this.missing)
    this.#batch = new RecordBatch(options.entities)
    const { openNative } = options
    if (options.oneByOne === true) this.#usual = undefined
    else if (openNative)
      this.#usual = new NativeUsualRecords(this.store, options.book, this.#loss, openNative)
    else this.#usual = new UsualRecords(this.store, options.book, this.#loss)
  }

  /** Adds a batch that was not seen before. The answer is overwritten by the next call. Does not keep `columns`. */
  apply(columns: FlowColumns, origin: BatchOrigin, nowMs: number): ApplyOutcome {
    const outcome = this.#outcome
    outcome.applied = outcome.late = outcome.tableFull = outcome.cardinalityCap = outcome.malformed = 0
    const batch = this.#batch
    batch.begin(columns, origin, nowMs)
    if (batch.minute < Math.floor(nowMs / 60_000) - movableMinutes) {
      outcome.late = batch.count
      this.#said.refuse(batch)
    } else {
      const block = this.#usual?.blockRecords ?? batch.count
      for (let from = 0; from < batch.count; from += block)
        this.#applyBlock(from, Math.min(batch.count, from + block))
      this.#said.apply(batch)
    }
    this.tick(nowMs)
    return outcome
  }

  /** Lets time pass: forgets what is over, settles what never arrived. Cheap; call it at least every second. */
  tick(nowMs: number): void {
    if (this.#handMs === 0) this.#handMs = nowMs
    const elapsed = Math.min(roundMs, Math.max(0, nowMs - this.#handMs))
    const { top } = this.store.slots
    const steps = Math.floor((top * elapsed) / roundMs)
    if (steps === 0 && elapsed < 1000) return
    this.#handMs = nowMs
    for (let step = 0; step < Math.max(1, steps) && top > 0; step++) {
      if (++this.#hand >= top) this.#hand = 0
      this.#visit(this.#hand, nowMs)
    }
    this.missing.settle(nowMs)
  }

  /** Records come again from this time on, see `FlowState`; -Infinity when that is over. */
  set againFromMs(unixMs: number) {
    this.#state.againFromMs = unixMs
  }

  get cameMidway(): number {
    return this.#state.cameMidway
  }

  /** How many connections are open, by which ends are known, and how many ended ones are remembered. */
  counts(): JoinCounts {
    const [, clientOnly, serverOnly, joined] = this.#booking.gauge.openCounts
    const connections = clientOnly + serverOnly + joined
    const tombstones = this.store.slots.live - connections
    const { unbooked, other } = this.#said
    const said = { unbooked, other, unmovable: this.store.said.unmovable }
    return { connections, joined, clientOnly, serverOnly, tombstones, evicted: this.#evicted, said }
  }

  #applyBlock(from: number, to: number): void {
    const usual = this.#usual
    if (usual === undefined) {
      for (let i = from; i < to; i++) this.#applyRecord(i)
      return
    }
    this.#outcome.applied += usual.apply(this.#batch, from, to)
    for (let n = 0; n < usual.restCount; n++) this.#applyRecord(usual.rest[n])
  }

  #applyRecord(i: number): void {
    const batch = this.#batch
    const hash = this.#locator.hash(batch, i)
    let flow = this.#locator.find(batch, i, hash)
    if (flow < 0) {
      flow = this.#admit(i, hash)
      if (flow < 0) return
    } else {
      this.#advance(flow, i)
    }
    const slot = flow >>> 1
    const words = this.store.slots.words[chunkOf(slot)]
    const start = slotStart(slot)
    words[start + Head.heard] = Math.floor(batch.nowMs / 1000)
    const edge = words[start + Head.edge] - 1
    batch.amounts(i, this.#booking.amounts)
    const row = edge < 0 ? -1 : this.#book.row(edge, batch.minute)
    if (row < 0) {
      if (edge < 0) this.#outcome.cardinalityCap++
      else this.#outcome.late++
      this.#state.leaveOut(slot, flow & 1, this.#booking.amounts)
      return
    }
    this.#outcome.applied++
    this.#bookTraffic(flow, i, row)
    this.#loss.compare(slot, row)
    this.#afterwards(flow, i)
  }

  #bookTraffic(flow: number, i: number, row: number): void {
    const batch = this.#batch
    const booking = this.#booking
    const { u32 } = batch.columns
    const srttUs = (u32.kind[i] & Kind.announcedAgain) === 0 ? u32.srttUs[i] : 0
    booking.addTraffic(row, flow >>> 1, flow & 1, srttUs)
    if (this.store.isMovable(flow >>> 1)) booking.keep(flow >>> 1, flow & 1, batch.minute, srttUs)
    this.#state.add(flow >>> 1, flow & 1, booking.amounts)
  }

  #afterwards(flow: number, i: number): void {
    const batch = this.#batch
    let slot = flow >>> 1
    const ended = (this.store.sideFlags(slot, flow & 1) & SideFlag.ended) !== 0
    const isUdp = this.store.slotClass(slot) === SlotClass.udp
    if (isUdp && (ended || this.#isNew)) slot = this.#udp.regroup(flow, batch.nowMs) >>> 1
    if (ended || this.#isInRing(slot)) copyToRing(this.store, this.ring, slot, batch.nowMs)
    this.#isNew = false
    if (stateOf(batch.kind(i)) === State.open) this.#revive(slot)
  }

  #isNew = false

  #revive(slot: number): void {
    if ((this.store.flags(slot) & SlotFlag.expired) === 0) return
    this.#booking.gauge.revive(slot, this.#batch.nowMs)
  }

  /** A record of a flow that is known. */
  #advance(flow: number, i: number): void {
    const batch = this.#batch
    const slot = flow >>> 1
    const side = flow & 1
    if (!this.#state.changesLifecycle(slot, side, batch, i)) {
      this.#state.update(slot, side, batch, i)
    } else {
      this.#booking.withdrawLifecycle(slot, batch.nowMs)
      this.#state.update(slot, side, batch, i)
      this.#booking.enterLifecycle(slot, batch.nowMs)
    }
    const words = this.store.words(slot)
    const session = slotStart(slot) + sideAt(side) + Side.session
    // the same socket, reported by the collector's next boot; UDP flows change theirs in #admit
    if (this.store.slotClass(slot) !== SlotClass.udp && isNewerBoot(batch.session, words[session])) {
      words[session] = batch.session
    }
  }

  /** A record of a flow that is not known: a new connection, or the other end of one. Returns the flow or -1. */
  #admit(i: number, hash: number): number {
    const batch = this.#batch
    const other = this.#locator.findOther(batch, i, hash)
    if (other >= 0) return this.#attach(other, i)
    const slot = this.#takeSlot()
    if (slot < 0) {
      this.#outcome.tableFull++
      return -1
    }
    const words = this.store.words(slot)
    const start = slotStart(slot)
    const slotClass = batch.slotClass(i)
    const side = batch.side(i)
    const { diallerIsn, acceptorIsn } = batch.columns.u32
    words[start + Head.flags] = slotClass
    words[start + Head.keyA] = diallerIsn[i]
    words[start + Head.keyB] = slotClass === SlotClass.tcp ? acceptorIsn[i] : 0
    this.#state.begin(slot, side, batch, i)
    const flow = slot * 2 + side
    this.store.index.add(hash, slotClass === SlotClass.udp ? flow : slot * 2)
    this.#state.update(slot, side, batch, i)
    this.#rate(slot, i)
    this.#booking.enter(slot, batch.nowMs)
    if (slotClass !== SlotClass.udp) return flow
    this.#isNew = true
    this.#udp.link(flow)
    return this.#succeed(flow, i)
  }

  /** How many connections a lone view stands for. A dial that failed is never left out, whatever the rates. */
  #rate(slot: number, i: number): void {
    const { coarsest } = this.#rates
    if (coarsest === 0 && samplingOf(this.#batch.kind(i)) === 0) return
    if (this.store.slotClass(slot) === SlotClass.failedDial) return
    setJointRate(this.store.words(slot), slotStart(slot), coarsest, sampleHash(this.#batch, i))
  }

  /** The other end of a connection that was one-sided so far. */
  #attach(slot: number, i: number): number {
    const batch = this.#batch
    const side = this.#locator.sideToTake(slot, batch, i)
    if (side === conflict) {
      this.#outcome.malformed++
      return -1
    }
    this.#booking.withdraw(slot, batch.nowMs)
    if (this.store.isPresent(slot, side)) swapSides(this.store, this.missing, slot)
    this.#state.begin(slot, side, batch, i)
    this.#state.update(slot, side, batch, i)
    setJointRate(this.store.words(slot), slotStart(slot))
    this.#booking.enter(slot, batch.nowMs)
    this.store.releaseLedger(slot, 0)
    this.store.releaseLedger(slot, 1)
    return slot * 2 + side
  }

  /** A UDP flow that an earlier boot of its collector reported goes on under its new identity. */
  #succeed(flow: number, i: number): number {
    const earlier = this.#udp.predecessor(flow, this.#batch.nowMs)
    if (earlier < 0) return flow
    const { store } = this
    const batch = this.#batch
    const slot = flow >>> 1
    this.missing.discard(flow)
    this.#booking.withdraw(slot, batch.nowMs)
    this.#udp.unlink(flow)
    store.index.remove(store.hashOfFlow(flow), flow)
    store.releaseSide(slot, flow & 1)
    store.slots.release(slot)
    const s = slotStart(earlier >>> 1) + sideAt(earlier & 1)
    const words = store.words(earlier >>> 1)
    store.index.remove(store.hashOfFlow(earlier), earlier)
    words[s + Side.flowLow] = batch.columns.u64.flowId[2 * i]
    words[s + Side.flowHigh] = batch.columns.u64.flowId[2 * i + 1]
    words[s + Side.session] = batch.session
    store.index.add(store.hashOfFlow(earlier), earlier)
    this.#advance(earlier, i)
    return earlier
  }

  #takeSlot(): number {
    const slot = this.store.slots.take()
    if (slot >= 0) return slot
    const { top } = this.store.slots
    for (let step = 0; step < Math.min(roomSearch, top); step++) {
      if (++this.#hand >= top) this.#hand = 0
      if (!this.#isOver(this.#hand)) continue
      this.#remove(this.#hand, this.#batch.nowMs)
      this.#evicted++
      return this.store.slots.take()
    }
    return -1
  }

  /** Every side that is known has ended, or the connection has been silent for too long. */
  #isOver(slot: number): boolean {
    const flags = this.store.flags(slot)
    if (flags === 0) return false
    if ((flags & SlotFlag.expired) !== 0) return true
    for (let side = 0; side < 2; side++) {
      if ((flags & (SlotFlag.present << side)) !== 0 && !this.store.hasEnded(slot, side)) return false
    }
    return true
  }

  #visit(slot: number, nowMs: number): void {
    const words = this.store.words(slot)
    const start = slotStart(slot)
    const flags = words[start + Head.flags]
    if (flags === 0) return
    const silent = Math.floor(nowMs / 1000) - words[start + Head.heard]
    if (silent < forgetCompleteSeconds) return
    const complete = SlotFlag.complete * 3
    if (silent >= forgetSeconds || ((flags & complete) === complete && !this.#awaitsMissing(slot))) {
      this.#remove(slot, nowMs)
    } else if (silent >= forgetSilentOpenSeconds && (flags & SlotFlag.expired) === 0 && !this.#isOver(slot)) {
      this.#booking.gauge.expire(slot, nowMs)
    }
  }

  /** What is missing is booked when it has become final, not when the clock hand happens to pass. */
  #awaitsMissing(slot: number): boolean {
    return this.missing.awaits(slot * 2) || this.missing.awaits(slot * 2 + 1)
  }

  #remove(slot: number, nowMs: number): void {
    const { store } = this
    const isUdp = store.slotClass(slot) === SlotClass.udp
    if (!isUdp) store.index.remove(store.hashOfFlow(slot * 2), slot * 2)
    this.#booking.gauge.expire(slot, nowMs)
    for (let side = 0; side < 2; side++) {
      if (!store.isPresent(slot, side)) continue
      const flow = slot * 2 + side
      this.missing.forget(flow)
      if (isUdp) {
        this.#udp.unlink(flow)
        store.index.remove(store.hashOfFlow(flow), flow)
      }
    }
    store.releaseSide(slot, 0)
    store.releaseSide(slot, 1)
    store.slots.release(slot)
  }

  /** The other end ended before: what this one still says belongs to the copy. */
  #isInRing(slot: number): boolean {
    return this.ring.has(this.store.words(slot)[slotStart(slot) + Head.ring])
  }
}

function isNewerBoot(session: number, than: number): boolean {
  const ahead = ((session & 0xff) - (than & 0xff)) & 0xff
  return ahead !== 0 && ahead < 128
}
