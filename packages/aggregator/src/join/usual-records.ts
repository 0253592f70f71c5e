import { columnStart, Kind, Protocol } from '@skybraid/shared'
import { Counter, Histogram } from '../topology/counters.ts'
import type { EdgeBook } from '../topology/edge-book.ts'
import type { ConnectionStore } from './connection-store.ts'
import { indexedValue, sameTag } from './hash-index.ts'
import { pairHash } from './key-hash.ts'
import type { RecordBatch } from './record-batch.ts'
import type { SegmentLoss } from './segment-loss.ts'
import { Head, SlotClass, SlotFlag, sideAt } from './slot-layout.ts'
import { chunkOf, slotStart } from './slot-pool.ts'
import { compareAgain, goesOn, isNext, isOfRecord, isUsual, sideOf, takeReading } from './usual-reading.ts'

/** Records that go through the passes together: what they touch fits the nearer caches. */
const blockRecords = 128

/** Books of a block of records what it can; the rest is left to the general way. */
export interface UsualBooking {
  /** Records that are booked at a time, at most. */
  readonly blockRecords: number
  /** Records of the block that are left, in their order; the first `restCount` count. */
  readonly rest: Int32Array
  readonly restCount: number
  /** Applies what it can of the records from `from` to `to` (exclusive), at most a block; returns how many. */
  apply(batch: RecordBatch, from: number, to: number): number
}

// Everything below is a plain constant of this file: only those are compiled into the loops as numbers.
const { diallerIsn, acceptorIsn, srttUs, kind: kindColumn } = columnStart
const { bytesSent, bytesReceived, segmentsSent, segmentsReceived } = columnStart
const { dataSegmentsSent, dataSegmentsReceived, retransmittedSegments, outOfOrderSegments } = columnStart
const { roleShift, protocolMask, quiet: quietKind } = Kind
const { tcp } = Protocol
const { quiet, waits } = SlotFlag
const bothQuiet = SlotFlag.quiet * 3
const { flags: headFlags, edge: headEdge, heard: headHeard } = Head
const clientAt = sideAt(0)
const sideStride = sideAt(1) - sideAt(0)
const { clientBytesSent, clientSegmentsSent, clientDataSegmentsSent, clientRetransmits } = Counter
const { clientOutOfOrder, clientToServerLost } = Counter
const serverCounters = Counter.serverBytesSent - Counter.clientBytesSent
const { clientRttUs } = Histogram
const tcpClass = SlotClass.tcp

/**
 * Books the records that are by far the commonest, a block at a time: a joined TCP connection stays open, and a record
 * goes on where the flow's previous one ended. Everything else is left to the general way, which would do the same
 * with these too, and keeps its order: what follows a record that is left, of the same connection, is left as well.
 * Several passes, so that the memory latency of many records overlaps; nothing is allocated.
 */
export class UsualRecords implements UsualBooking {
  readonly blockRecords = blockRecords
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
  readonly #waiting = new Int32Array(blockRecords)
  #waitingCount = 0

  constructor(store: ConnectionStore, book: EdgeBook, loss: SegmentLoss) {
    this.#store = store
    this.#book = book
    this.#loss = loss
  }

  apply(batch: RecordBatch, from: number, to: number): number {
    const columns = batch.columns.words
    this.restCount = 0
    this.#hash(columns, from, to)
    this.#lookUp(columns, from, to)
    this.#fetchSlots(columns, from, to)
    this.#find(batch, from, to)
    if (this.#found > 0) this.#applyFound(batch)
    this.#endWaiting()
    return to - from - this.restCount
  }

  #applyFound(batch: RecordBatch): void {
    const columns = batch.columns.words
    this.#book.rows(this.#edges, this.#found, batch.minute, this.#rows)
    this.#fetchRows()
    const notFound = this.restCount
    this.#takeReadings(batch)
    this.#addTraffic(columns)
    this.#addSamples(columns)
    if (notFound > 0 && this.restCount > notFound) this.rest.subarray(0, this.restCount).sort()
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

  /** Where the index leads to, by the part of the hash that it keeps. */
  #lookUp(columns: Uint32Array, from: number, to: number): void {
    const { entries, mask } = this.#store.index
    const hashes = this.#hashes
    const candidates = this.#candidates
    for (let i = from; i < to; i++) {
      const hash = hashes[i - from]
      let at = hash & mask
      while (entries[at] !== 0 && !sameTag(entries[at], hash)) at = (at + 1) & mask
      const isFound = entries[at] !== 0 && (columns[kindColumn + i] & protocolMask) === tcp
      candidates[i - from] = isFound ? indexedValue(entries[at]) >>> 1 : -1
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
  #find(batch: RecordBatch, from: number, to: number): void {
    const columns = batch.columns.words
    const chunks = this.#store.slots.words
    const candidates = this.#candidates
    const records = this.#records
    const flows = this.#flows
    const edges = this.#edges
    const comparisons = this.#isCompared
    const { session } = batch
    let found = 0
    let fetched = 0
    for (let i = from; i < to; i++) {
      let slot = candidates[i - from]
      if (slot >= 0 && !isOfRecord(chunks[chunkOf(slot)], slotStart(slot), columns, i))
        slot = this.#store.findTcp(this.#hashes[i - from], columns[diallerIsn + i], columns[acceptorIsn + i])
      const words = chunks[chunkOf(Math.max(0, slot))]
      const start = slotStart(slot)
      const side = slot >= 0 && isUsual(columns, i) ? sideOf(words, start, columns, i, session) : -1
      if (side < 0 || batch.isWide(i)) {
        this.#leave(i, slot)
        continue
      }
      const isCompared =
        (columns[kindColumn + i] & quietKind) !== 0 &&
        (words[start + headFlags] & (quiet << (1 - side))) !== 0
      if (isCompared) fetched ^= words[start + clientAt + (1 - side) * sideStride]
      comparisons[found] = isCompared ? 1 : 0
      records[found] = i
      flows[found] = slot * 2 + side
      edges[found++] = words[start + headEdge] - 1
    }
    this.#found = found
    this.fetched ^= fetched
  }

  /** Leaves a record to the general way, and with it what follows of its connection. */
  #leave(i: number, slot: number): void {
    this.rest[this.restCount++] = i
    if (slot < 0) return
    this.#store.setFlag(slot, waits)
    this.#waiting[this.#waitingCount++] = slot
  }

  #endWaiting(): void {
    for (let n = 0; n < this.#waitingCount; n++) this.#store.clearFlag(this.#waiting[n], waits)
    this.#waitingCount = 0
  }

  #fetchRows(): void {
    const { counters } = this.#book
    const rows = this.#rows
    const flows = this.#flows
    const comparisons = this.#isCompared
    const found = this.#found
    let fetched = 0
    for (let n = 0; n < found; n++) {
      const row = rows[n]
      if (row < 0) continue
      fetched += counters[row + (flows[n] & 1) * serverCounters]
      if (comparisons[n] !== 0) fetched += counters[row + clientToServerLost]
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
    const records = this.#records
    const rows = this.#rows
    const found = this.#found
    let kept = 0
    for (let n = 0; n < found; n++) {
      const i = records[n]
      const row = rows[n]
      const slot = flows[n] >>> 1
      const side = flows[n] & 1
      const words = chunks[chunkOf(slot)]
      const start = slotStart(slot)
      const s = start + clientAt + side * sideStride
      const waiting = (words[start + headFlags] & waits) !== 0
      if (waiting || row < 0 || !isNext(words, s, columns, i, baseMs) || !goesOn(words, s, columns, i)) {
        this.#leave(i, slot)
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
      records[kept] = i
      flows[kept] = flows[n]
      rows[kept++] = row
    }
    this.#found = kept
  }

  #addTraffic(columns: Uint32Array): void {
    const { counters } = this.#book
    const rows = this.#rows
    const flows = this.#flows
    const records = this.#records
    const found = this.#found
    for (let n = 0; n < found; n++) {
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
    const records = this.#records
    const rows = this.#rows
    const flows = this.#flows
    const sampleRows = this.#sampleRows
    const histograms = this.#sampleHistograms
    const values = this.#sampleValues
    const found = this.#found
    let samples = 0
    for (let n = 0; n < found; n++) {
      const sample = columns[srttUs + records[n]]
      if (sample === 0) continue
      sampleRows[samples] = rows[n]
      histograms[samples] = clientRttUs + (flows[n] & 1)
      values[samples++] = sample
    }
    this.#book.samples(sampleRows, histograms, values, samples)
  }
}
