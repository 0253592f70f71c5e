import { Kind, Protocol, State } from '@skybraid/shared'
import { Counter, Histogram } from '../topology/counters.ts'
import type { EdgeBook } from '../topology/edge-book.ts'
import type { ConnectionStore } from './connection-store.ts'
import { pairHash } from './key-hash.ts'
import type { RecordBatch } from './record-batch.ts'
import type { SegmentLoss } from './segment-loss.ts'
import { Head, openedMsAt, reachedAt, Side, SideFlag, SlotClass, SlotFlag, sideAt } from './slot-layout.ts'
import { chunkOf, slotStart } from './slot-pool.ts'
import { flowSums } from './wide-sums.ts'

/** Records that go through the passes together: what they touch fits the nearer caches. */
export const blockRecords = 256

const openTcp = Protocol.tcp | (State.open << Kind.stateShift)
const unusualBits = Kind.protocolMask | (Kind.stateMask << Kind.stateShift) | Kind.announcedAgain
const joinedTcp = SlotClass.tcp | (SlotFlag.present * 3)
const usualSlotBits = SlotFlag.classMask | (SlotFlag.present * 3) | SlotFlag.expired
const twoTo32 = 2 ** 32
const { clientBytesSent, clientSegmentsSent, clientDataSegmentsSent, clientRetransmits, clientOutOfOrder } =
  Counter
const { clientRttUs } = Histogram

/**
 * Books the records that are by far the commonest, a block at a time: a joined TCP connection stays open, and a record
 * goes on where the flow's previous one ended. Everything else is left to the general way, which would do the same
 * with these too. Several passes, so that the memory latency of many records overlaps; nothing is allocated.
 */
export class UsualRecords {
  /** Records of the block that are left, in their order; the first `restCount` count. */
  readonly rest = new Int32Array(blockRecords)
  restCount = 0
  /** Keeps passes that only fetch memory from being optimised away. */
  fetched = 0
  readonly #store: ConnectionStore
  readonly #book: EdgeBook
  readonly #loss: SegmentLoss
  readonly #hashes = new Uint32Array(blockRecords)
  readonly #records = new Int32Array(blockRecords)
  readonly #slots = new Int32Array(blockRecords)
  readonly #edges = new Int32Array(blockRecords)
  readonly #rows = new Int32Array(blockRecords)
  readonly #sampleRows = new Int32Array(blockRecords)
  readonly #sampleHistograms = new Int32Array(blockRecords)
  readonly #sampleValues = new Uint32Array(blockRecords)
  #found = 0
  #samples = 0

  constructor(store: ConnectionStore, book: EdgeBook, loss: SegmentLoss) {
    this.#store = store
    this.#book = book
    this.#loss = loss
  }

  /** Applies what it can of the records from `from` to `to` (exclusive), at most a block; returns how many. */
  apply(batch: RecordBatch, from: number, to: number): number {
    this.restCount = 0
    this.#found = 0
    this.#samples = 0
    this.#hash(batch, from, to)
    this.#find(batch, from, to)
    if (this.#found === 0) return 0
    this.#book.rows(this.#edges, this.#found, batch.minute, this.#rows)
    const notFound = this.restCount
    this.#applyFound(batch)
    this.#book.samples(this.#sampleRows, this.#sampleHistograms, this.#sampleValues, this.#samples)
    if (notFound > 0 && this.restCount > notFound) this.rest.subarray(0, this.restCount).sort()
    return to - from - this.restCount
  }

  #hash(batch: RecordBatch, from: number, to: number): void {
    const { diallerIsn, acceptorIsn } = batch.columns.u32
    const { seed } = this.#store
    const { entries, mask } = this.#store.index
    const hashes = this.#hashes
    let fetched = 0
    for (let i = from; i < to; i++) {
      const hash = pairHash(seed, diallerIsn[i], acceptorIsn[i], SlotClass.tcp)
      hashes[i - from] = hash
      fetched ^= entries[hash & mask]
    }
    this.fetched = fetched
  }

  /** Finds slots and edges of the records that may be usual, and fetches the words that will be needed. */
  #find(batch: RecordBatch, from: number, to: number): void {
    const store = this.#store
    const { kind, diallerIsn, acceptorIsn, handshakeUs, minRttUs } = batch.columns.u32
    const hashes = this.#hashes
    const chunks = store.slots.words
    let found = 0
    let fetched = 0
    for (let i = from; i < to; i++) {
      const isUsual = (kind[i] & unusualBits) === openTcp && (handshakeUs[i] | minRttUs[i]) === 0
      const slot =
        isUsual && !batch.isWide(i) ? store.findTcp(hashes[i - from], diallerIsn[i], acceptorIsn[i]) : -1
      if (slot < 0) {
        this.rest[this.restCount++] = i
        continue
      }
      const words = chunks[chunkOf(slot)]
      const start = slotStart(slot)
      const side = ((kind[i] >>> Kind.roleShift) & 1) ^ 1
      const s = start + sideAt(side)
      fetched ^=
        words[s + Side.session] ^ words[s + Side.dataSentTotal] ^ words[start + sideAt(1 - side) + Side.flags]
      this.#records[found] = i
      this.#slots[found] = slot
      this.#edges[found++] = words[start + Head.edge] - 1
    }
    this.#found = found
    this.fetched ^= fetched
  }

  #applyFound(batch: RecordBatch): void {
    const { counters } = this.#book
    const records = this.#records
    const slots = this.#slots
    const rows = this.#rows
    const store = this.#store
    const heard = Math.floor(batch.nowMs / 1000)
    for (let n = 0; n < this.#found; n++) {
      const i = records[n]
      const row = rows[n]
      const words = store.slots.words[chunkOf(slots[n])]
      const doubles = store.slots.doubles[chunkOf(slots[n])]
      const start = slotStart(slots[n])
      const side = row < 0 ? -1 : continuingSide(words, doubles, start, batch, i)
      if (side < 0) {
        this.rest[this.restCount++] = i
        continue
      }
      words[start + Head.heard] = heard
      takeReading(words, doubles, start, side, batch, i)
      this.#addSums(words, slots[n] * 2 + side, start + sideAt(side) + Side.sumSent, batch, i)
      addTraffic(counters, row, side, batch, i)
      this.#compare(words, doubles, slots[n], start, row)
      this.#noteSample(row, side, batch.columns.u32.srttUs[i])
    }
  }

  #addSums(words: Uint32Array, flow: number, at: number, batch: RecordBatch, i: number): void {
    const { u32 } = batch.columns
    let over = 0
    const sent = words[at] + u32.bytesSent[i]
    const received = words[at + 1] + u32.bytesReceived[i]
    const segmentsSent = words[at + 2] + u32.segmentsSent[i]
    const segmentsReceived = words[at + 3] + u32.segmentsReceived[i]
    const dataSent = words[at + 4] + u32.dataSegmentsSent[i]
    const dataReceived = words[at + 5] + u32.dataSegmentsReceived[i]
    const retransmitted = words[at + 6] + u32.retransmittedSegments[i]
    words[at] = sent
    words[at + 1] = received
    words[at + 2] = segmentsSent
    words[at + 3] = segmentsReceived
    words[at + 4] = dataSent
    words[at + 5] = dataReceived
    words[at + 6] = retransmitted
    if (sent >= twoTo32) over |= 1
    if (received >= twoTo32) over |= 2
    if (segmentsSent >= twoTo32) over |= 4
    if (segmentsReceived >= twoTo32) over |= 8
    if (dataSent >= twoTo32) over |= 16
    if (dataReceived >= twoTo32) over |= 32
    if (retransmitted >= twoTo32) over |= 64
    if (over !== 0) this.#carry(flow, over)
  }

  #carry(flow: number, over: number): void {
    for (let sum = 0; sum < flowSums; sum++)
      if ((over & (1 << sum)) !== 0) this.#store.wideSums.carry(flow, sum, twoTo32)
  }

  /** Only where a comparison is possible: both ends quiet and a direction level. */
  #compare(words: Uint32Array, doubles: Float64Array, slot: number, start: number, row: number): void {
    const together = words[start + sideAt(0) + Side.flags] & words[start + sideAt(1) + Side.flags]
    if ((together & Kind.quiet) === 0) return
    const at = reachedAt(start, 0)
    if (doubles[at] === doubles[at + 3] || doubles[at + 2] === doubles[at + 1]) this.#loss.compare(slot, row)
  }

  #noteSample(row: number, side: number, srttUs: number): void {
    if (srttUs === 0) return
    this.#sampleRows[this.#samples] = row
    this.#sampleHistograms[this.#samples] = clientRttUs + side
    this.#sampleValues[this.#samples++] = srttUs
  }
}

/** The side of which the record is the next reading, with nothing missing in between and nothing else to tell; or -1. */
function continuingSide(
  words: Uint32Array,
  doubles: Float64Array,
  start: number,
  batch: RecordBatch,
  i: number,
): number {
  if ((words[start + Head.flags] & usualSlotBits) !== joinedTcp) return -1
  const { u32, u64 } = batch.columns
  const kind = u32.kind[i]
  let side = ((kind >>> Kind.roleShift) & 1) ^ 1
  let s = start + sideAt(side)
  const low = u64.flowId[2 * i]
  const high = u64.flowId[2 * i + 1]
  if (words[s] !== low || words[s + Side.flowHigh] !== high || words[s + Side.session] !== batch.session) {
    side ^= 1
    s = start + sideAt(side)
    if (words[s] !== low || words[s + Side.flowHigh] !== high || words[s + Side.session] !== batch.session)
      return -1
  }
  const flags = words[s + Side.flags]
  if ((flags & SideFlag.ended) !== 0) return -1
  if ((kind & Kind.adopted) === 0 && (flags & SideFlag.sawOpen) === 0) return -1
  const atMs = batch.baseMs + u32.atMs[i]
  if ((((atMs >>> 0) - words[s + Side.lastAt]) | 0) <= 0) return -1
  if (atMs - u32.ageMs[i] < openedMsAt(words, s)) return -1
  const at = reachedAt(start, side)
  const sent = u64.bytesSentTotal[2 * i + 1] * twoTo32 + u64.bytesSentTotal[2 * i]
  const received = u64.bytesReceivedTotal[2 * i + 1] * twoTo32 + u64.bytesReceivedTotal[2 * i]
  if (sent - u32.bytesSent[i] !== doubles[at] || received - u32.bytesReceived[i] !== doubles[at + 1])
    return -1
  return side
}

function takeReading(
  words: Uint32Array,
  doubles: Float64Array,
  start: number,
  side: number,
  batch: RecordBatch,
  i: number,
): void {
  const { u32, u64 } = batch.columns
  const s = start + sideAt(side)
  const at = reachedAt(start, side)
  doubles[at] = u64.bytesSentTotal[2 * i + 1] * twoTo32 + u64.bytesSentTotal[2 * i]
  doubles[at + 1] = u64.bytesReceivedTotal[2 * i + 1] * twoTo32 + u64.bytesReceivedTotal[2 * i]
  words[s + Side.lastAt] = (batch.baseMs + u32.atMs[i]) >>> 0
  words[s + Side.dataSentTotal] = u32.dataSegmentsSentTotal[i]
  words[s + Side.dataReceivedTotal] = u32.dataSegmentsReceivedTotal[i]
  words[s + Side.retransmittedTotal] = u32.retransmittedSegmentsTotal[i]
  words[s + Side.flags] = (words[s + Side.flags] & ~Kind.quiet) | (u32.kind[i] & Kind.quiet)
  if (u32.srttUs[i] > 0) words[s + Side.srttUs] = u32.srttUs[i]
}

function addTraffic(counters: Float64Array, row: number, side: number, batch: RecordBatch, i: number): void {
  const { u32 } = batch.columns
  // counters of both sides lie in pairs
  const pairs = row + 2 * side
  const singles = row + side
  const bytesSent = u32.bytesSent[i]
  const bytesReceived = u32.bytesReceived[i]
  const segmentsSent = u32.segmentsSent[i]
  const segmentsReceived = u32.segmentsReceived[i]
  const dataSent = u32.dataSegmentsSent[i]
  const dataReceived = u32.dataSegmentsReceived[i]
  const retransmits = u32.retransmittedSegments[i]
  const outOfOrder = u32.outOfOrderSegments[i]
  if (bytesSent !== 0) counters[pairs + clientBytesSent] += bytesSent
  if (bytesReceived !== 0) counters[pairs + clientBytesSent + 1] += bytesReceived
  if (segmentsSent !== 0) counters[pairs + clientSegmentsSent] += segmentsSent
  if (segmentsReceived !== 0) counters[pairs + clientSegmentsSent + 1] += segmentsReceived
  if (dataSent !== 0) counters[pairs + clientDataSegmentsSent] += dataSent
  if (dataReceived !== 0) counters[pairs + clientDataSegmentsSent + 1] += dataReceived
  if (retransmits !== 0) counters[singles + clientRetransmits] += retransmits
  if (outOfOrder !== 0) counters[singles + clientOutOfOrder] += outOfOrder
}
