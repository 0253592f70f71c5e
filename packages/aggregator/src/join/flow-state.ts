import { Kind, State, stateOf } from '@skybraid/shared'
import { type EntitySource, v4MappedWord } from '../resolve/entity-source.ts'
import { type ConnectionStore, unixMsOf } from './connection-store.ts'
import { endpointKey, isLoopback } from './flow-locator.ts'
import { FlowSum, narrowSum, type SlotWords, setSum } from './flow-sums.ts'
import { wordAt } from './key-hash.ts'
import type { MissingBytes, Reading } from './missing-bytes.ts'
import type { RecordBatch } from './record-batch.ts'
import { packExponent } from './sampling-rate.ts'
import {
  Cold,
  coldSideAt,
  Head,
  HeadSide,
  headSideAt,
  openedMsAt,
  receivedAt,
  Side,
  SideFlag,
  SlotClass,
  SlotFlag,
  sentAt,
  setOpenedMs,
  setReached,
  sideAt,
} from './slot-layout.ts'
import { coldStart, slotStart } from './slot-pool.ts'
import { goesOn } from './usual-reading.ts'
import { flowSums } from './wide-sums.ts'

const stateBits = (Kind.stateMask << Kind.stateShift) | (Kind.reasonMask << Kind.reasonShift)
/** Bits of a side's flags that stay as the first record that came had them. */
const lastingBits =
  Kind.protocolMask |
  Kind.v6 |
  (Kind.roleMask << Kind.roleShift) |
  Kind.roleGuessed |
  Kind.inherited |
  Kind.mptcp

/** What one side of a slot knows, and how a record changes it. Books nothing except what is missing. */
export class FlowState {
  /**
   * While records come again, to bring the table up to what it was: Unix milliseconds from which on they do. A flow
   * that opened earlier and is new by a record that is not its first had earlier ones.
   */
  againFromMs = Number.NEGATIVE_INFINITY
  /** Flows of which that was so. */
  cameMidway = 0
  readonly #store: ConnectionStore
  readonly #entities: EntitySource
  readonly #missing: MissingBytes
  /** Sums of the flow that a record is being added to. */
  readonly #sums = new Float64Array(flowSums)
  /** The flow whose sums these are, between `update` and what ends it for one record; -1 otherwise. */
  #notedFlow = -1
  /** In that time: the flow's sums have the record's amounts already, because its totals moved by just them. */
  #isAdded = false
  readonly #slotWords: { -readonly [K in keyof SlotWords]: SlotWords[K] } = {
    words: new Uint32Array(0),
    start: 0,
    cold: 0,
  }
  readonly #reading: Reading = { flow: 0, sent: 0, received: 0, deltaSent: 0, deltaReceived: 0, atMs: 0 }

  constructor(store: ConnectionStore, entities: EntitySource, missing: MissingBytes) {
    this.#store = store
    this.#entities = entities
    this.#missing = missing
  }

  /** Fills an empty side with what never changes. */
  begin(slot: number, side: number, batch: RecordBatch, i: number): void {
    const words = this.#store.words(slot)
    const start = slotStart(slot)
    const s = start + sideAt(side)
    const { u32, u64 } = batch.columns
    words[start + Head.flags] |= SlotFlag.present << side
    words[s + Side.flowLow] = u64.flowId[2 * i]
    words[s + Side.flowHigh] = u64.flowId[2 * i + 1]
    words[s + Side.session] = batch.session
    words[start + headSideAt(side) + HeadSide.entity] = batch.owner(i)
    words[coldStart(slot) + coldSideAt(side) + Cold.ports] = u32.ports[i]
    words[s + Side.flags] = (u32.kind[i] & lastingBits) | packExponent(u32.kind[i])
    words[s + Side.lastAt] = batch.atMs(i) >>> 0
    setOpenedMs(words, s, batch.openedMs(i))
    this.#keepAddresses(words, slot, side, batch, i)
    if ((words[start + Head.flags] & SlotFlag.classMask) === SlotClass.udp)
      this.#keepUdpKey(words, slot, side)
    if (batch.openedMs(i) < this.againFromMs && (u32.kind[i] & Kind.first) === 0) {
      words[s + Side.flags] |= SideFlag.midway
      this.cameMidway++
    }
    this.#beginTotals(slot * 2 + side, batch, i, words[s + Side.flags])
  }

  /** True if the record changes when the flow opened, how, or that it ended: what the lifecycle is booked from. */
  changesLifecycle(slot: number, side: number, batch: RecordBatch, i: number): boolean {
    const kind = batch.columns.u32.kind[i]
    const words = this.#store.words(slot)
    const s = slotStart(slot) + sideAt(side)
    const flags = words[s + Side.flags]
    if (stateOf(kind) !== State.open && (flags & SideFlag.ended) === 0) return true
    if ((kind & Kind.adopted) === 0 && (flags & SideFlag.sawOpen) === 0) return true
    const handshakeAt = coldStart(slot) + coldSideAt(side) + Cold.handshakeUs
    if (batch.columns.u32.handshakeUs[i] > 0 && words[handshakeAt] === 0) return true
    const known = openedMsAt(words, s)
    const opened = batch.openedMs(i)
    if (opened >= known) return false
    return (flags & SideFlag.ended) !== 0 || Math.floor(opened / 60_000) !== Math.floor(known / 60_000)
  }

  /** Takes over what the record says beside its deltas. */
  update(slot: number, side: number, batch: RecordBatch, i: number): void {
    const words = this.#store.words(slot)
    const s = slotStart(slot) + sideAt(side)
    const c = coldStart(slot) + coldSideAt(side)
    const { u32 } = batch.columns
    const kind = u32.kind[i]
    const opened = batch.openedMs(i)
    const openedBeforeMs = openedMsAt(words, s)
    if (opened < openedBeforeMs) setOpenedMs(words, s, opened)
    const newer = this.#isLatest(words, s, batch, i)
    const movesOnly = newer && this.#onlyMovesTotals(slot, words, s, batch, i)
    if (!movesOnly) this.#noteSums(slot, side)
    this.#followTotals(slot * 2 + side, words, s, openedBeforeMs, batch, i)
    if (u32.handshakeUs[i] > 0) words[c + Cold.handshakeUs] = u32.handshakeUs[i]
    if (u32.minRttUs[i] > 0) words[c + Cold.minRttUs] = u32.minRttUs[i]
    if ((kind & Kind.adopted) === 0) words[s + Side.flags] |= SideFlag.sawOpen
    if (newer) this.#takeReading(slot, side, batch, i)
    if (movesOnly) {
      words[s + Side.segmentsSent] += u32.segmentsSent[i]
      words[s + Side.segmentsReceived] += u32.segmentsReceived[i]
    } else {
      this.#setSums(slot, side)
    }
    this.#notedFlow = slot * 2 + side
    this.#isAdded = movesOnly
    if (stateOf(kind) !== State.open && (words[s + Side.flags] & SideFlag.ended) === 0) {
      words[s + Side.flags] = (words[s + Side.flags] & ~stateBits) | (kind & stateBits) | SideFlag.ended
      if (batch.contiguous) this.#store.setFlag(slot, SlotFlag.complete << side)
    }
  }

  /** Sums of this flow alone, for the list of flows. Ends the record that `update` took over. */
  add(slot: number, side: number, amounts: Float64Array): void {
    if (this.#end(slot, side)) return
    for (let sum = 0; sum < flowSums; sum++) this.#sums[sum] += amounts[sum]
    this.#setSums(slot, side)
  }

  /** Instead of `add` for a record that was refused after `update` had taken it over. */
  leaveOut(slot: number, side: number, amounts: Float64Array): void {
    if (!this.#end(slot, side)) return
    this.#noteSums(slot, side)
    for (let sum = 0; sum < flowSums; sum++) this.#sums[sum] -= amounts[sum]
    this.#setSums(slot, side)
  }

  /** True if the sums have the record's amounts already; otherwise they are noted as they are without it. */
  #end(slot: number, side: number): boolean {
    const isNoted = this.#notedFlow === slot * 2 + side
    this.#notedFlow = -1
    if (isNoted && this.#isAdded) return true
    if (!isNoted) this.#noteSums(slot, side)
    return false
  }

  /**
   * The record's totals continue the flow's by just what it says came: then each sum's distance from its total stays.
   * Not where totals turn out to begin at 0, which needs the sums.
   */
  #onlyMovesTotals(slot: number, words: Uint32Array, s: number, batch: RecordBatch, i: number): boolean {
    if (this.#store.slotClass(slot) === SlotClass.udp || batch.isWide(i)) return false
    const isOpening = (batch.columns.u32.kind[i] & Kind.adopted) === 0
    const isKnown = (words[s + Side.flags] & (SideFlag.sawOpen | SideFlag.midway)) !== 0
    const isBegun = sentAt(words, s) > 0 || receivedAt(words, s) > 0
    return (isKnown || !isOpening || !isBegun) && goesOn(words, s, batch.columns.words, i)
  }

  #noteSums(slot: number, side: number): void {
    const { wideSums } = this.#store
    const words = this.#wordsOf(slot)
    for (let sum = 0; sum < flowSums; sum++)
      this.#sums[sum] = narrowSum(words, side, sum) + wideSums.of(slot * 2 + side, sum)
  }

  /** Totals may have moved since the sums were noted. */
  #setSums(slot: number, side: number): void {
    const { wideSums } = this.#store
    const words = this.#wordsOf(slot)
    for (let sum = 0; sum < flowSums; sum++)
      setSum(words, side, sum, this.#sums[sum], wideSums, slot * 2 + side)
  }

  #wordsOf(slot: number): SlotWords {
    const scratch = this.#slotWords
    scratch.words = this.#store.words(slot)
    scratch.start = slotStart(slot)
    scratch.cold = coldStart(slot)
    return scratch
  }

  #keepAddresses(words: Uint32Array, slot: number, side: number, batch: RecordBatch, i: number): void {
    const { u32, v6Addresses } = batch.columns
    const c = coldStart(slot) + coldSideAt(side)
    if (!batch.isV6(i)) {
      words[c + Cold.local] = u32.localAddress[i]
      words[c + Cold.remote] = u32.remoteAddress[i]
      this.#entities.learnLocal(
        batch.node,
        batch.owner(i),
        0,
        0,
        v4MappedWord,
        u32.localAddress[i],
        batch.atMs(i),
      )
      return
    }
    const local = 16 * u32.localAddress[i]
    const { addresses } = this.#store
    const isLikely =
      this.#store.isPresent(slot, 1 - side) && (this.#store.sideFlags(slot, 1 - side) & Kind.v6) !== 0
    const o = coldStart(slot) + coldSideAt(1 - side)
    words[c + Cold.local] = addresses.acquire(v6Addresses, local, isLikely ? words[o + Cold.remote] : -1)
    words[c + Cold.remote] = addresses.acquire(
      v6Addresses,
      16 * u32.remoteAddress[i],
      isLikely ? words[o + Cold.local] : -1,
    )
    this.#entities.learnLocal(
      batch.node,
      batch.owner(i),
      wordAt(v6Addresses, local),
      wordAt(v6Addresses, local + 4),
      wordAt(v6Addresses, local + 8),
      wordAt(v6Addresses, local + 12),
      batch.atMs(i),
    )
  }

  #keepUdpKey(words: Uint32Array, slot: number, side: number): void {
    const start = slotStart(slot)
    const s = start + sideAt(side)
    const c = coldStart(slot) + coldSideAt(side)
    const address = words[c + (side === 0 ? Cold.local : Cold.remote)]
    const port = side === 0 ? words[c + Cold.ports] >>> 16 : words[c + Cold.ports] & 0xffff
    const v6 = (words[s + Side.flags] & Kind.v6) !== 0
    const pool = this.#store.addresses
    const loopback = v6
      ? isLoopback(pool.word(address, 0), pool.word(address, 1), pool.word(address, 2), pool.word(address, 3))
      : isLoopback(0, 0, v4MappedWord, address)
    words[start + Head.keyA] = v6 ? pool.hash(address) : address
    words[start + Head.keyB] = endpointKey(port, v6, loopback, words[s + Side.session] >>> 8)
  }

  #isLatest(words: Uint32Array, s: number, batch: RecordBatch, i: number): boolean {
    if ((words[s + Side.flags] & SideFlag.ended) !== 0) return false
    const kind = batch.columns.u32.kind[i]
    if (stateOf(kind) !== State.open) return true
    const later = ((batch.atMs(i) >>> 0) - words[s + Side.lastAt]) | 0
    if (later !== 0) return later > 0
    return batch.sentTotal(i) >= sentAt(words, s) && batch.receivedTotal(i) >= receivedAt(words, s)
  }

  #takeReading(slot: number, side: number, batch: RecordBatch, i: number): void {
    const { u32 } = batch.columns
    const words = this.#store.words(slot)
    const s = slotStart(slot) + sideAt(side)
    words[s + Side.lastAt] = batch.atMs(i) >>> 0
    if (this.#store.slotClass(slot) !== SlotClass.udp) {
      words[s + Side.dataSentTotal] = u32.dataSegmentsSentTotal[i]
      words[s + Side.dataReceivedTotal] = u32.dataSegmentsReceivedTotal[i]
      words[s + Side.retransmittedTotal] = u32.retransmittedSegmentsTotal[i]
    }
    if (u32.srttUs[i] > 0) words[s + Side.srttUs] = u32.srttUs[i]
    if ((u32.kind[i] & Kind.quiet) !== 0) this.#store.setFlag(slot, SlotFlag.quiet << side)
    else this.#store.clearFlag(slot, SlotFlag.quiet << side)
  }

  #read(flow: number, batch: RecordBatch, i: number): Reading {
    const reading = this.#reading
    const { u32 } = batch.columns
    reading.flow = flow
    reading.sent = batch.sentTotal(i)
    reading.received = batch.receivedTotal(i)
    reading.deltaSent = batch.bytesSentDelta(i)
    reading.deltaReceived = batch.bytesReceivedDelta(i)
    reading.atMs = batch.baseMs + u32.atMs[i]
    return reading
  }

  /** The totals begin at 0 for an opened flow, otherwise where the earliest record that came says. */
  #beginTotals(flow: number, batch: RecordBatch, i: number, flags: number): void {
    if ((batch.columns.u32.kind[i] & Kind.adopted) === 0 && (flags & SideFlag.midway) === 0) return
    const sent = Math.max(0, batch.sentTotal(i) - batch.bytesSentDelta(i))
    const received = Math.max(0, batch.receivedTotal(i) - batch.bytesReceivedDelta(i))
    setReached(this.#store.words(flow >>> 1), slotStart(flow >>> 1) + sideAt(flow & 1), sent, received)
    this.#sums.fill(0)
    this.#setSums(flow >>> 1, flow & 1)
  }

  #followTotals(
    flow: number,
    words: Uint32Array,
    s: number,
    openedBeforeMs: number,
    batch: RecordBatch,
    i: number,
  ): void {
    const sent = batch.sentTotal(i)
    const received = batch.receivedTotal(i)
    const deltaSent = batch.bytesSentDelta(i)
    const deltaReceived = batch.bytesReceivedDelta(i)
    const maxSent = sentAt(words, s)
    const maxReceived = receivedAt(words, s)
    const kind = batch.columns.u32.kind[i]
    const isOpening =
      (kind & Kind.adopted) === 0 && (words[s + Side.flags] & (SideFlag.sawOpen | SideFlag.midway)) === 0
    // the usual case: the record continues where the previous one ended
    const seamless = sent - deltaSent === maxSent && received - deltaReceived === maxReceived
    setReached(words, s, Math.max(sent, maxSent), Math.max(received, maxReceived))
    if (sent < deltaSent || received < deltaReceived) return
    const isBegun = maxSent > 0 || maxReceived > 0
    if (seamless && !(isOpening && isBegun)) return
    const reading = this.#read(flow, batch, i)
    if (isOpening && isBegun)
      this.#beginAtZero(reading, words, s, maxSent, maxReceived, openedBeforeMs, batch)
    if (seamless) return
    if (sent > maxSent || received > maxReceived) {
      const fromMs = !isBegun ? openedMsAt(words, s) : unixMsOf(words[s + Side.lastAt], batch.nowMs)
      this.#missing.jump(reading, maxSent, maxReceived, fromMs, batch.nowMs)
    } else if (!this.#missing.fill(reading)) {
      this.#reachBack(
        reading,
        (words[s + Side.flags] & SideFlag.midway) !== 0,
        maxSent,
        maxReceived,
        openedBeforeMs,
        batch.nowMs,
      )
    }
  }

  /** A flow that was taken for adopted was opened under observation: its totals begin at 0. */
  #beginAtZero(
    reading: Reading,
    words: Uint32Array,
    s: number,
    maxSent: number,
    maxReceived: number,
    toMs: number,
    batch: RecordBatch,
  ): void {
    const [baseSent, baseReceived] = this.#base(reading.flow, maxSent, maxReceived)
    const stretch = { fromSent: 0, toSent: baseSent, fromReceived: 0, toReceived: baseReceived }
    this.#missing.open(reading.flow, { ...stretch, fromMs: openedMsAt(words, s), toMs }, batch.nowMs)
  }

  /** A record from before the earliest that was known: what lies between them is missing until it comes. */
  #reachBack(
    reading: Reading,
    isMidway: boolean,
    maxSent: number,
    maxReceived: number,
    toMs: number,
    nowMs: number,
  ): void {
    if (isMidway) return
    const [baseSent, baseReceived] = this.#base(reading.flow, maxSent, maxReceived)
    if (reading.sent > baseSent || reading.received > baseReceived) return
    const stretch = {
      fromSent: reading.sent,
      toSent: baseSent,
      fromReceived: reading.received,
      toReceived: baseReceived,
    }
    this.#missing.open(
      reading.flow,
      { ...stretch, fromMs: reading.atMs, toMs: Math.max(toMs, reading.atMs) },
      nowMs,
    )
  }

  /** Where the known part of the totals begins: what was reached, less what came, less what is missing in between. */
  #base(flow: number, maxSent: number, maxReceived: number): readonly [number, number] {
    const [missingSent, missingReceived] = this.#missing.extent(flow)
    const { bytesSent, bytesReceived } = FlowSum
    return [
      maxSent - this.#sums[bytesSent] - missingSent,
      maxReceived - this.#sums[bytesReceived] - missingReceived,
    ]
  }
}
