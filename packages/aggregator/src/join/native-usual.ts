import { columnStart, Kind, Protocol, State } from '@skybraid/shared'
import { Counter, Histogram } from '../topology/counters.ts'
import type { EdgeBook } from '../topology/edge-book.ts'
import { rowStride } from '../topology/row-pool.ts'
import type { ConnectionStore } from './connection-store.ts'
import { indexValueBits } from './hash-index.ts'
import type { RecordBatch } from './record-batch.ts'
import type { SegmentLoss } from './segment-loss.ts'
import {
  Head,
  HeadSide,
  headSideAt,
  hotWords,
  Side,
  SideFlag,
  SlotClass,
  SlotFlag,
  sideAt,
} from './slot-layout.ts'
import { slotChunkShift } from './slot-pool.ts'
import type { UsualBooking } from './usual-records.ts'

/** What native/join has for a table: `usual-records.ts` with memory fetched in advance. */
export interface NativeUsual {
  /** The table's chunks, told again whenever there is one more. */
  setChunks(chunks: readonly Uint32Array[]): void
  find(
    columns: Uint32Array,
    count: number,
    isWide: Uint8Array | undefined,
    entries: Uint32Array,
    session: number,
    baseMs: number,
    heard: number,
  ): void
  take(counters: Float64Array, lines: Uint8Array): void
}

/** Makes one with its scratch arrays, in the order of `NativeUsualRecords`. */
export type OpenNativeUsual = (seed: number, scratch: readonly Int32Array[]) => NativeUsual

const maxRecords = 1000
const clientRttUs = Histogram.clientRttUs

/** Every number that both languages rely on, by name: those of the library are compared with these when it is loaded. */
export function nativeLayout(): Readonly<Record<string, number>> {
  const named = (of: string, numbers: Readonly<Record<string, number>>) =>
    Object.entries(numbers).map(([name, number]) => [`${of}.${name}`, number] as const)
  const slot = {
    chunkShift: slotChunkShift,
    words: hotWords,
    clientAt: sideAt(0),
    serverAt: sideAt(1),
    headClientAt: headSideAt(0),
    headServerAt: headSideAt(1),
  }
  return Object.fromEntries([
    ...named('column', columnStart),
    ...named('slot', slot),
    ...named('head', Head),
    ...named('headSide', HeadSide),
    ...named('side', Side),
    ...named('slotFlag', { ...SlotFlag, ...SlotClass }),
    ...named('sideFlag', SideFlag),
    ...named('kind', { ...Kind, ...Protocol, ...State }),
    ...named('counter', Counter),
    ['row.stride', rowStride],
    ['index.valueBits', indexValueBits],
  ])
}

/** `UsualRecords` through the library: a whole batch in two calls. */
export class NativeUsualRecords implements UsualBooking {
  readonly blockRecords = maxRecords
  readonly rest = new Int32Array(maxRecords)
  restCount = 0
  readonly #records = new Int32Array(maxRecords)
  readonly #flows = new Int32Array(maxRecords)
  readonly #edges = new Int32Array(maxRecords)
  readonly #rows = new Int32Array(maxRecords)
  readonly #uncomparedSlots = new Int32Array(maxRecords)
  readonly #uncomparedRows = new Int32Array(maxRecords)
  /** Found, left, uncompared. */
  readonly #counts = new Int32Array(3)
  readonly #sampleRows = new Int32Array(maxRecords)
  readonly #sampleHistograms = new Int32Array(maxRecords)
  readonly #sampleValues = new Uint32Array(maxRecords)
  readonly #store: ConnectionStore
  readonly #book: EdgeBook
  readonly #loss: SegmentLoss
  readonly #native: NativeUsual
  #chunks = 0

  constructor(store: ConnectionStore, book: EdgeBook, loss: SegmentLoss, open: OpenNativeUsual) {
    this.#store = store
    this.#book = book
    this.#loss = loss
    this.#native = open(store.seed, [
      this.rest,
      this.#records,
      this.#flows,
      this.#edges,
      this.#rows,
      this.#uncomparedSlots,
      this.#uncomparedRows,
      this.#counts,
    ])
  }

  apply(batch: RecordBatch, from: number, to: number): number {
    if (from !== 0 || to !== batch.count) throw new Error('the library takes whole batches')
    const { slots, index } = this.#store
    const { columns, count, wide, session, baseMs } = batch
    const counts = this.#counts
    if (slots.words.length !== this.#chunks) {
      this.#chunks = slots.words.length
      this.#native.setChunks([...slots.words])
    }
    const heard = Math.floor(batch.nowMs / 1000)
    this.#native.find(columns.words, count, wide, index.entries, session, baseMs, heard)
    this.#book.rows(this.#edges, counts[0], batch.minute, this.#rows)
    this.#native.take(this.#book.counters, this.#book.sampleLines)
    for (let n = 0; n < counts[2]; n++) this.#loss.compare(this.#uncomparedSlots[n], this.#uncomparedRows[n])
    this.#addSamples(columns.words, counts[0])
    this.restCount = counts[1]
    return counts[0]
  }

  #addSamples(columns: Uint32Array, found: number): void {
    const { srttUs } = columnStart
    let samples = 0
    for (let n = 0; n < found; n++) {
      const sample = columns[srttUs + this.#records[n]]
      if (sample === 0) continue
      this.#sampleRows[samples] = this.#rows[n]
      this.#sampleHistograms[samples] = clientRttUs + (this.#flows[n] & 1)
      this.#sampleValues[samples++] = sample
    }
    this.#book.samples(this.#sampleRows, this.#sampleHistograms, this.#sampleValues, samples)
  }
}
