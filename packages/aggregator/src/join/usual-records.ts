import { columnStart, Kind, Protocol, State } from '@skybraid/shared'
import { Counter, Histogram } from '../topology/counters.ts'
import type { EdgeBook } from '../topology/edge-book.ts'
import type { ConnectionStore } from './connection-store.ts'
import { indexedValue, sameTag } from './hash-index.ts'
import { pairHash } from './key-hash.ts'
import type { RecordBatch } from './record-batch.ts'
import type { SegmentLoss } from './segment-loss.ts'
import { Head, HeadSide, headSideAt, Side, SideFlag, SlotClass, SlotFlag, sideAt } from './slot-layout.ts'
import { chunkOf, slotStart } from './slot-pool.ts'

/** Records that go through the passes together: what they touch fits the nearer caches. */
export const blockRecords = 256

// Everything below is a plain constant of this file: only those are compiled into the loops as numbers.
const { atMs, ageMs, srttUs, handshakeUs, minRttUs, diallerIsn, acceptorIsn, flowId } = columnStart
const { bytesSent, bytesReceived, segmentsSent, segmentsReceived, bytesSentTotal, bytesReceivedTotal } =
  columnStart
const { dataSegmentsSent, dataSegmentsReceived, retransmittedSegments, outOfOrderSegments } = columnStart
const { dataSegmentsSentTotal, dataSegmentsReceivedTotal, retransmittedSegmentsTotal } = columnStart
const kindColumn = columnStart.kind
const { adopted, roleShift } = Kind
const quietKind = Kind.quiet
const openTcp = Protocol.tcp | (State.open << Kind.stateShift)
const unusualBits =
  Kind.protocolMask |
  (Kind.stateMask << Kind.stateShift) |
  Kind.announcedAgain |
  (Kind.samplingMask << Kind.samplingShift)
const joinedTcp = SlotClass.tcp | (SlotFlag.present * 3)
const usualSlotBits = SlotFlag.classMask | (SlotFlag.present * 3) | SlotFlag.expired | SlotFlag.sampled
const { quiet } = SlotFlag
const bothQuiet = SlotFlag.quiet * 3
const { ended, sawOpen, openedMsShift } = SideFlag
const { keyA, keyB, flags: headFlags, edge: headEdge, heard: headHeard, ring: headRing } = Head
const clientAt = sideAt(0)
const sideStride = sideAt(1) - sideAt(0)
const { flowHigh, session, flags: sideFlags, lastAt, opened, srttUs: latestSrttUs } = Side
const { dataSentTotal, dataReceivedTotal, retransmittedTotal } = Side
const { segmentsSent: sumSegmentsSent, segmentsReceived: sumSegmentsReceived } = Side
const { sentLow, sentHigh, receivedLow, receivedHigh } = Side
const { lossDiff, lossSent } = HeadSide
const headClientAt = headSideAt(0)
const headSideStride = headSideAt(1) - headSideAt(0)
const comparedBits = SlotFlag.compared | SlotFlag.coalesced
const { compared } = SlotFlag
const { clientBytesSent, clientSegmentsSent, clientDataSegmentsSent, clientRetransmits } = Counter
const { clientOutOfOrder, clientToServerLost, clientToServerCompared } = Counter
const lossStride = Counter.serverToClientLost - Counter.clientToServerLost
const serverCounters = Counter.serverBytesSent - Counter.clientBytesSent
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
  /** By record of the block: the slot that its hash leads to, -1 if none. */
  readonly #candidates = new Int32Array(blockRecords)
  // by place among those found
  readonly #records = new Int32Array(blockRecords)
  readonly #flows = new Int32Array(blockRecords)
  readonly #edges = new Int32Array(blockRecords)
  readonly #rows = new Int32Array(blockRecords)
  readonly #isCompared = new Uint8Array(blockRecords)
  readonly #sampleRows = new Int32Array(blockRecords)
  readonly #sampleHistograms = new Int32Array(blockRecords)
  readonly #sampleValues = new Uint32Array(blockRecords)
  #found = 0

  constructor(store: ConnectionStore, book: EdgeBook, loss: SegmentLoss) {
    this.#store = store
    this.#book = book
    this.#loss = loss
  }

  /** Applies what it can of the records from `from` to `to` (exclusive), at most a block; returns how many. */
  apply(batch: RecordBatch, from: number, to: number): number {
    const columns = batch.columns.words
    this.restCount = 0
    this.#hash(columns, from, to)
    this.#lookUp(batch, from, to)
    this.#fetchSlots(columns, from, to)
    this.#find(columns, batch.session, from, to)
    if (this.#found === 0) return 0
    this.#book.rows(this.#edges, this.#found, batch.minute, this.#rows)
    this.#fetchRows()
    const notFound = this.restCount
    this.#takeReadings(batch)
    this.#addTraffic(columns)
    this.#addSamples(columns)
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

  /** Where the index leads to, by the part of the hash that it keeps; only for records that may be usual. */
  #lookUp(batch: RecordBatch, from: number, to: number): void {
    const { entries, mask } = this.#store.index
    const columns = batch.columns.words
    const hashes = this.#hashes
    const candidates = this.#candidates
    for (let i = from; i < to; i++) {
      const isUsual =
        (columns[kindColumn + i] & unusualBits) === openTcp &&
        (columns[handshakeUs + i] | columns[minRttUs + i]) === 0 &&
        !batch.isWide(i)
      const hash = hashes[i - from]
      let at = hash & mask
      while (entries[at] !== 0 && !sameTag(entries[at], hash)) at = (at + 1) & mask
      candidates[i - from] = isUsual && entries[at] !== 0 ? indexedValue(entries[at]) >>> 1 : -1
    }
  }

  #fetchSlots(columns: Uint32Array, from: number, to: number): void {
    const chunks = this.#store.slots.words
    const candidates = this.#candidates
    let fetched = 0
    for (let i = from; i < to; i++) {
      const slot = candidates[i - from]
      if (slot < 0) continue
      const words = chunks[chunkOf(slot)]
      const start = slotStart(slot)
      const side = (columns[kindColumn + i] >>> (roleShift + 1)) & 1
      fetched ^= words[start] ^ words[start + clientAt + side * sideStride]
    }
    this.fetched ^= fetched
  }

  /** Finds flows and edges; where both ends are quiet, they are compared: the other end's line will be needed too. */
  #find(columns: Uint32Array, batchSession: number, from: number, to: number): void {
    const chunks = this.#store.slots.words
    const candidates = this.#candidates
    let found = 0
    let fetched = 0
    for (let i = from; i < to; i++) {
      const slot = candidates[i - from]
      const words = chunks[chunkOf(Math.max(0, slot))]
      const start = slotStart(slot)
      const side = slot < 0 ? -1 : sideOf(words, start, columns, i, batchSession)
      if (side < 0) {
        this.rest[this.restCount++] = i
        continue
      }
      const isCompared =
        (columns[kindColumn + i] & quietKind) !== 0 &&
        (words[start + headFlags] & (quiet << (1 - side))) !== 0
      if (isCompared) fetched ^= words[start + clientAt + (1 - side) * sideStride]
      this.#isCompared[found] = isCompared ? 1 : 0
      this.#records[found] = i
      this.#flows[found] = slot * 2 + side
      this.#edges[found++] = words[start + headEdge] - 1
    }
    this.#found = found
    this.fetched ^= fetched
  }

  #fetchRows(): void {
    const { counters } = this.#book
    const rows = this.#rows
    const flows = this.#flows
    let fetched = 0
    for (let n = 0; n < this.#found; n++) {
      const row = rows[n]
      if (row < 0) continue
      fetched += counters[row + (flows[n] & 1) * serverCounters]
      if (this.#isCompared[n] !== 0) fetched += counters[row + clientToServerLost]
    }
    this.fetched += fetched > 0 ? 1 : 0
  }

  /** Keeps of those found the ones that go on where their flow ended, and takes over what they say. */
  #takeReadings(batch: RecordBatch): void {
    const columns = batch.columns.words
    const { baseMs } = batch
    const { counters } = this.#book
    const chunks = this.#store.slots.words
    const heard = Math.floor(batch.nowMs / 1000)
    const flows = this.#flows
    let kept = 0
    for (let n = 0; n < this.#found; n++) {
      const i = this.#records[n]
      const row = this.#rows[n]
      const slot = flows[n] >>> 1
      const side = flows[n] & 1
      const words = chunks[chunkOf(slot)]
      const start = slotStart(slot)
      const s = start + clientAt + side * sideStride
      if (row < 0 || !isNext(words, s, columns, i, baseMs) || !goesOn(words, s, columns, i)) {
        this.rest[this.restCount++] = i
        continue
      }
      takeReading(words, s, columns, i, baseMs)
      const quietNow = (columns[kindColumn + i] & quietKind) << side
      const flags = (words[start + headFlags] & ~(quiet << side)) | quietNow
      words[start + headFlags] = flags
      words[start + headHeard] = heard
      if ((flags & bothQuiet) === bothQuiet) {
        const known =
          compareAgain(words, start, 0, counters, row) && compareAgain(words, start, 1, counters, row)
        if (!known) this.#loss.compare(slot, row)
      }
      this.#records[kept] = i
      flows[kept] = flows[n]
      this.#rows[kept++] = row
    }
    this.#found = kept
  }

  #addTraffic(columns: Uint32Array): void {
    const { counters } = this.#book
    const rows = this.#rows
    const flows = this.#flows
    const records = this.#records
    for (let n = 0; n < this.#found; n++) {
      const i = records[n]
      const row = rows[n] + (flows[n] & 1) * serverCounters
      counters[row + clientBytesSent] += columns[bytesSent + i]
      counters[row + clientBytesSent + 1] += columns[bytesReceived + i]
      counters[row + clientSegmentsSent] += columns[segmentsSent + i]
      counters[row + clientSegmentsSent + 1] += columns[segmentsReceived + i]
      counters[row + clientDataSegmentsSent] += columns[dataSegmentsSent + i]
      counters[row + clientDataSegmentsSent + 1] += columns[dataSegmentsReceived + i]
      const retransmits = columns[retransmittedSegments + i]
      if (retransmits !== 0) counters[row + clientRetransmits] += retransmits
      const outOfOrder = columns[outOfOrderSegments + i]
      if (outOfOrder !== 0) counters[row + clientOutOfOrder] += outOfOrder
    }
  }

  #addSamples(columns: Uint32Array): void {
    let samples = 0
    for (let n = 0; n < this.#found; n++) {
      const sample = columns[srttUs + this.#records[n]]
      if (sample === 0) continue
      this.#sampleRows[samples] = this.#rows[n]
      this.#sampleHistograms[samples] = clientRttUs + (this.#flows[n] & 1)
      this.#sampleValues[samples++] = sample
    }
    this.#book.samples(this.#sampleRows, this.#sampleHistograms, this.#sampleValues, samples)
  }
}

/** Which side of a joined connection without an end the record is from, reported by the same boot as before; -1 if none. */
function sideOf(
  words: Uint32Array,
  start: number,
  columns: Uint32Array,
  i: number,
  batchSession: number,
): number {
  if ((words[start + headFlags] & usualSlotBits) !== joinedTcp || words[start + headRing] !== 0) return -1
  const dialler = columns[diallerIsn + i]
  const acceptor = columns[acceptorIsn + i]
  const a = words[start + keyA]
  const b = words[start + keyB]
  if ((a !== dialler || b !== acceptor) && (a !== acceptor || b !== dialler)) return -1
  const first = (columns[kindColumn + i] >>> (roleShift + 1)) & 1
  if (isFlow(words, start + clientAt + first * sideStride, columns, i, batchSession)) return first
  return isFlow(words, start + clientAt + (1 - first) * sideStride, columns, i, batchSession) ? 1 - first : -1
}

function isFlow(
  words: Uint32Array,
  s: number,
  columns: Uint32Array,
  i: number,
  batchSession: number,
): boolean {
  return (
    words[s] === columns[flowId + 2 * i] &&
    words[s + flowHigh] === columns[flowId + 2 * i + 1] &&
    words[s + session] === batchSession
  )
}

/** Whether the record is a later reading of the flow, which has not ended, and tells nothing new about its beginning. */
function isNext(words: Uint32Array, s: number, columns: Uint32Array, i: number, baseMs: number): boolean {
  const flags = words[s + sideFlags]
  if ((flags & ended) !== 0) return false
  if (((columns[kindColumn + i] & adopted) | (flags & sawOpen)) === 0) return false
  const readMs = baseMs + columns[atMs + i]
  if ((((readMs >>> 0) - words[s + lastAt]) | 0) <= 0) return false
  return readMs - columns[ageMs + i] >= words[s + opened] * 1000 + (flags >>> openedMsShift)
}

/** Whether the totals continue where the flow's latest ones ended, without any of them starting over at 2^32. */
function goesOn(words: Uint32Array, s: number, columns: Uint32Array, i: number): boolean {
  return (
    continues(words, s + sentLow, columns, bytesSentTotal + 2 * i, columns[bytesSent + i]) &&
    continues(words, s + receivedLow, columns, bytesReceivedTotal + 2 * i, columns[bytesReceived + i]) &&
    follows(words[s + dataSentTotal], columns[dataSegmentsSent + i], columns[dataSegmentsSentTotal + i]) &&
    follows(
      words[s + dataReceivedTotal],
      columns[dataSegmentsReceived + i],
      columns[dataSegmentsReceivedTotal + i],
    ) &&
    follows(
      words[s + retransmittedTotal],
      columns[retransmittedSegments + i],
      columns[retransmittedSegmentsTotal + i],
    ) &&
    fits(words[s + sumSegmentsSent], columns[segmentsSent + i]) &&
    fits(words[s + sumSegmentsReceived], columns[segmentsReceived + i])
  )
}

/** Totals of 64 bits in two words, the low one first: whether the one in the columns is the other plus `more`. */
function continues(words: Uint32Array, at: number, columns: Uint32Array, to: number, more: number): boolean {
  const low = (words[at] + more) >>> 0
  return low === columns[to] && words[at + 1] + (low < more ? 1 : 0) === columns[to + 1]
}

function follows(total: number, more: number, next: number): boolean {
  return (total + more) >>> 0 === next && next >= more
}

function fits(sum: number, more: number): boolean {
  return (sum + more) >>> 0 >= more
}

function takeReading(words: Uint32Array, s: number, columns: Uint32Array, i: number, baseMs: number): void {
  words[s + lastAt] = (baseMs + columns[atMs + i]) >>> 0
  words[s + sumSegmentsSent] += columns[segmentsSent + i]
  words[s + sumSegmentsReceived] += columns[segmentsReceived + i]
  words[s + dataSentTotal] = columns[dataSegmentsSentTotal + i]
  words[s + dataReceivedTotal] = columns[dataSegmentsReceivedTotal + i]
  words[s + retransmittedTotal] = columns[retransmittedSegmentsTotal + i]
  words[s + sentLow] = columns[bytesSentTotal + 2 * i]
  words[s + sentHigh] = columns[bytesSentTotal + 2 * i + 1]
  words[s + receivedLow] = columns[bytesReceivedTotal + 2 * i]
  words[s + receivedHigh] = columns[bytesReceivedTotal + 2 * i + 1]
  const srtt = columns[srttUs + i]
  if (srtt !== 0) words[s + latestSrttUs] = srtt
}

/**
 * Both ends are quiet: where the other end received all bytes that one sent, their segments are compared, as they were
 * before. False where they were not, or can't be: that is for `SegmentLoss`, which would do the same as this.
 */
function compareAgain(
  words: Uint32Array,
  start: number,
  side: number,
  counters: Float64Array,
  row: number,
): boolean {
  const from = start + clientAt + side * sideStride
  const to = start + clientAt + (1 - side) * sideStride
  if (
    words[from + sentLow] !== words[to + receivedLow] ||
    words[from + sentHigh] !== words[to + receivedHigh]
  )
    return true
  if ((words[start + headFlags] & (comparedBits << side)) !== compared << side) return false
  const sent = words[from + dataSentTotal]
  const lost = (sent - words[to + dataReceivedTotal]) >>> 0
  if (lost > words[from + retransmittedTotal]) return false
  const h = start + headClientAt + side * headSideStride
  const more = (lost - words[h + lossDiff]) | 0
  if (more !== 0) counters[row + clientToServerLost + side * lossStride] += more
  counters[row + clientToServerCompared + side * lossStride] += (sent - words[h + lossSent]) >>> 0
  words[h + lossDiff] = lost
  words[h + lossSent] = sent
  return true
}
