import { columnStart, Kind, Protocol, State } from '@skybraid/shared'
import { Counter, Histogram } from '../topology/counters.ts'
import type { EdgeBook } from '../topology/edge-book.ts'
import type { ConnectionStore } from './connection-store.ts'
import { indexedValue } from './hash-index.ts'
import { pairHash } from './key-hash.ts'
import type { RecordBatch } from './record-batch.ts'
import type { SegmentLoss } from './segment-loss.ts'
import { Head, headWords, Side, SideFlag, SlotClass, SlotFlag, sideWords } from './slot-layout.ts'
import { chunkOf, slotStart } from './slot-pool.ts'
import { flowSums } from './wide-sums.ts'

/** Records that go through the passes together: what they touch fits the nearer caches. */
export const blockRecords = 128

// Everything below is a plain constant of this file: only those are compiled into the loops as numbers.
const twoTo32 = 2 ** 32
const { atMs, ageMs, srttUs, handshakeUs, minRttUs, diallerIsn, acceptorIsn, flowId } = columnStart
const { bytesSent, bytesReceived, segmentsSent, segmentsReceived, bytesSentTotal, bytesReceivedTotal } =
  columnStart
const { dataSegmentsSent, dataSegmentsReceived, retransmittedSegments, outOfOrderSegments } = columnStart
const { dataSegmentsSentTotal, dataSegmentsReceivedTotal, retransmittedSegmentsTotal } = columnStart
const kindColumn = columnStart.kind
const { quiet, adopted, roleShift } = Kind
const openTcp = Protocol.tcp | (State.open << Kind.stateShift)
const unusualBits = Kind.protocolMask | (Kind.stateMask << Kind.stateShift) | Kind.announcedAgain
const joinedTcp = SlotClass.tcp | (SlotFlag.present * 3)
const usualSlotBits = SlotFlag.classMask | (SlotFlag.present * 3) | SlotFlag.expired
const { ended, sawOpen, openedMsShift } = SideFlag
const { flags: headFlags, edge: headEdge, heard: headHeard, reached } = Head
const clientAt = headWords
const serverAt = headWords + sideWords
const { flowHigh, session, flags: sideFlags, lastAt, opened, sumSent, srttUs: latestSrttUs } = Side
const { dataSentTotal, dataReceivedTotal, retransmittedTotal } = Side
const { clientBytesSent, clientSegmentsSent, clientDataSegmentsSent, clientRetransmits } = Counter
const { clientOutOfOrder, clientToServerLost } = Counter
const { clientRttUs } = Histogram
const tcpClass = SlotClass.tcp

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
    this.#hash(batch.columns.words, from, to)
    this.#fetchSlots(batch.columns.words, from, to)
    this.#find(batch, from, to)
    if (this.#found === 0) return 0
    this.#book.rows(this.#edges, this.#found, batch.minute, this.#rows)
    this.#fetchRows()
    const notFound = this.restCount
    this.#applyFound(batch)
    this.#book.samples(this.#sampleRows, this.#sampleHistograms, this.#sampleValues, this.#samples)
    if (notFound > 0 && this.restCount > notFound) this.rest.subarray(0, this.restCount).sort()
    return to - from - this.restCount
  }

  #hash(columns: Uint32Array, from: number, to: number): void {
    const { seed, index } = this.#store
    const { entries, mask } = index
    const hashes = this.#hashes
    let fetched = 0
    for (let i = from; i < to; i++) {
      const hash = pairHash(seed, columns[diallerIsn + i], columns[acceptorIsn + i], tcpClass)
      hashes[i - from] = hash
      fetched ^= entries[hash & mask]
    }
    this.fetched = fetched
  }

  /** The first slot of each place in the index is nearly always the one: the head, and the words of both sides. */
  #fetchSlots(columns: Uint32Array, from: number, to: number): void {
    const { entries, mask } = this.#store.index
    const chunks = this.#store.slots.words
    const hashes = this.#hashes
    let fetched = 0
    for (let i = from; i < to; i++) {
      const entry = entries[hashes[i - from] & mask]
      if (entry === 0) continue
      const slot = indexedValue(entry) >>> 1
      const words = chunks[chunkOf(slot)]
      const start = slotStart(slot)
      const isServer = ((columns[kindColumn + i] >>> roleShift) & 2) !== 0
      const own = start + (isServer ? serverAt : clientAt)
      const other = start + (isServer ? clientAt : serverAt)
      fetched ^= words[start] ^ words[own] ^ words[own + latestSrttUs] ^ words[other + dataSentTotal]
    }
    this.fetched ^= fetched
  }

  /** Finds slots and edges of the records that may be usual. */
  #find(batch: RecordBatch, from: number, to: number): void {
    const store = this.#store
    const columns = batch.columns.words
    const chunks = store.slots.words
    let found = 0
    for (let i = from; i < to; i++) {
      const isUsual =
        (columns[kindColumn + i] & unusualBits) === openTcp &&
        (columns[handshakeUs + i] | columns[minRttUs + i]) === 0 &&
        !batch.isWide(i)
      const slot = isUsual
        ? store.findTcp(this.#hashes[i - from], columns[diallerIsn + i], columns[acceptorIsn + i])
        : -1
      if (slot < 0) {
        this.rest[this.restCount++] = i
        continue
      }
      this.#records[found] = i
      this.#slots[found] = slot
      this.#edges[found++] = chunks[chunkOf(slot)][slotStart(slot) + headEdge] - 1
    }
    this.#found = found
  }

  #fetchRows(): void {
    const { counters } = this.#book
    const rows = this.#rows
    let fetched = 0
    for (let n = 0; n < this.#found; n++) {
      const row = rows[n]
      if (row >= 0)
        fetched +=
          counters[row + clientBytesSent] +
          counters[row + clientDataSegmentsSent] +
          counters[row + clientToServerLost]
    }
    this.fetched += fetched > 0 ? 1 : 0
  }

  #applyFound(batch: RecordBatch): void {
    const { counters } = this.#book
    const columns = batch.columns.words
    const { baseMs } = batch
    const batchSession = batch.session
    const { words: wordChunks, doubles: doubleChunks } = this.#store.slots
    const heard = Math.floor(batch.nowMs / 1000)
    for (let n = 0; n < this.#found; n++) {
      const i = this.#records[n]
      const row = this.#rows[n]
      const chunk = chunkOf(this.#slots[n])
      const words = wordChunks[chunk]
      const doubles = doubleChunks[chunk]
      const start = slotStart(this.#slots[n])
      const side = row < 0 ? -1 : sideOf(words, start, columns, i, batchSession)
      if (side < 0 || !continues(words, doubles, start, side, columns, i, baseMs)) {
        this.rest[this.restCount++] = i
        continue
      }
      words[start + headHeard] = heard
      takeReading(words, doubles, start, side, columns, i, baseMs)
      const over = addSums(words, start + (side === 0 ? clientAt : serverAt) + sumSent, columns, i)
      if (over !== 0) this.#carry(this.#slots[n] * 2 + side, over)
      addTraffic(counters, row, side, columns, i)
      if (isComparable(words, doubles, start)) this.#loss.compare(this.#slots[n], row)
      const sample = columns[srttUs + i]
      if (sample === 0) continue
      this.#sampleRows[this.#samples] = row
      this.#sampleHistograms[this.#samples] = clientRttUs + side
      this.#sampleValues[this.#samples++] = sample
    }
  }

  #carry(flow: number, over: number): void {
    for (let sum = 0; sum < flowSums; sum++)
      if ((over & (1 << sum)) !== 0) this.#store.wideSums.carry(flow, sum, twoTo32)
  }
}

/** Which side of an open, joined connection the record is from, reported by the same boot as before; -1 if none. */
function sideOf(
  words: Uint32Array,
  start: number,
  columns: Uint32Array,
  i: number,
  batchSession: number,
): number {
  if ((words[start + headFlags] & usualSlotBits) !== joinedTcp) return -1
  const low = columns[flowId + 2 * i]
  const high = columns[flowId + 2 * i + 1]
  const client = start + clientAt
  if (words[client] === low && words[client + flowHigh] === high && words[client + session] === batchSession)
    return 0
  const server = start + serverAt
  return words[server] === low &&
    words[server + flowHigh] === high &&
    words[server + session] === batchSession
    ? 1
    : -1
}

/** Whether the record is the flow's next reading: later, with nothing missing in between and nothing new to tell. */
function continues(
  words: Uint32Array,
  doubles: Float64Array,
  start: number,
  side: number,
  columns: Uint32Array,
  i: number,
  baseMs: number,
): boolean {
  const s = start + (side === 0 ? clientAt : serverAt)
  const flags = words[s + sideFlags]
  if ((flags & ended) !== 0) return false
  if (((columns[kindColumn + i] & adopted) | (flags & sawOpen)) === 0) return false
  const readMs = baseMs + columns[atMs + i]
  if ((((readMs >>> 0) - words[s + lastAt]) | 0) <= 0) return false
  if (readMs - columns[ageMs + i] < words[s + opened] * 1000 + (flags >>> openedMsShift)) return false
  const at = ((start + reached) >>> 1) + 2 * side
  const sent = columns[bytesSentTotal + 2 * i + 1] * twoTo32 + columns[bytesSentTotal + 2 * i]
  if (sent - columns[bytesSent + i] !== doubles[at]) return false
  const received = columns[bytesReceivedTotal + 2 * i + 1] * twoTo32 + columns[bytesReceivedTotal + 2 * i]
  return received - columns[bytesReceived + i] === doubles[at + 1]
}

function takeReading(
  words: Uint32Array,
  doubles: Float64Array,
  start: number,
  side: number,
  columns: Uint32Array,
  i: number,
  baseMs: number,
): void {
  const s = start + (side === 0 ? clientAt : serverAt)
  const at = ((start + reached) >>> 1) + 2 * side
  // the record continues where these ended
  doubles[at] += columns[bytesSent + i]
  doubles[at + 1] += columns[bytesReceived + i]
  words[s + lastAt] = (baseMs + columns[atMs + i]) >>> 0
  words[s + dataSentTotal] = columns[dataSegmentsSentTotal + i]
  words[s + dataReceivedTotal] = columns[dataSegmentsReceivedTotal + i]
  words[s + retransmittedTotal] = columns[retransmittedSegmentsTotal + i]
  words[s + sideFlags] = (words[s + sideFlags] & ~quiet) | (columns[kindColumn + i] & quiet)
  const srtt = columns[srttUs + i]
  if (srtt !== 0) words[s + latestSrttUs] = srtt
}

/** Adds to the flow's sums, whose first word is `at`. Returns a bit for each that exceeded 32 bits. */
function addSums(words: Uint32Array, at: number, columns: Uint32Array, i: number): number {
  let over = addSum(words, at, columns[bytesSent + i])
  over |= addSum(words, at + 1, columns[bytesReceived + i]) << 1
  over |= addSum(words, at + 2, columns[segmentsSent + i]) << 2
  over |= addSum(words, at + 3, columns[segmentsReceived + i]) << 3
  over |= addSum(words, at + 4, columns[dataSegmentsSent + i]) << 4
  over |= addSum(words, at + 5, columns[dataSegmentsReceived + i]) << 5
  return over | (addSum(words, at + 6, columns[retransmittedSegments + i]) << 6)
}

function addSum(words: Uint32Array, at: number, amount: number): number {
  const sum = (words[at] + amount) >>> 0
  words[at] = sum
  return sum < amount ? 1 : 0
}

/** Counters of both ends lie in pairs: sent and received, or the client's and the server's. */
function addTraffic(
  counters: Float64Array,
  row: number,
  side: number,
  columns: Uint32Array,
  i: number,
): void {
  const pairs = row + 2 * side
  const singles = row + side
  counters[pairs + clientBytesSent] += columns[bytesSent + i]
  counters[pairs + clientBytesSent + 1] += columns[bytesReceived + i]
  counters[pairs + clientSegmentsSent] += columns[segmentsSent + i]
  counters[pairs + clientSegmentsSent + 1] += columns[segmentsReceived + i]
  counters[pairs + clientDataSegmentsSent] += columns[dataSegmentsSent + i]
  counters[pairs + clientDataSegmentsSent + 1] += columns[dataSegmentsReceived + i]
  const retransmits = columns[retransmittedSegments + i]
  if (retransmits !== 0) counters[singles + clientRetransmits] += retransmits
  const outOfOrder = columns[outOfOrderSegments + i]
  if (outOfOrder !== 0) counters[singles + clientOutOfOrder] += outOfOrder
}

/** Both ends are quiet, and what one sent the other has received, in one direction at least. */
function isComparable(words: Uint32Array, doubles: Float64Array, start: number): boolean {
  if ((words[start + clientAt + sideFlags] & words[start + serverAt + sideFlags] & quiet) === 0) return false
  const at = (start + reached) >>> 1
  return doubles[at] === doubles[at + 3] || doubles[at + 2] === doubles[at + 1]
}
