import { Kind } from '@skybraid/shared'
import type { EdgeBook } from '../topology/edge-book.ts'
import type { SaidRows } from '../topology/said-rows.ts'
import type { ConnectionStore } from './connection-store.ts'
import type { FlowLocator } from './flow-locator.ts'
import type { RecordBatch } from './record-batch.ts'
import { sideWeight } from './sampling-rate.ts'
import { Head, SlotFlag } from './slot-layout.ts'
import { slotStart } from './slot-pool.ts'

/** Minutes for which what was booked can move, beside the running one. */
const movableMinutes = 15

/**
 * Books what was said on the connections of a batch, once all its records are: by then the flows are where they belong,
 * and the way of the records stays as it is where nothing was said.
 */
export class SaidBooking {
  /** Messages that were not booked: their records came late, or a table was full. */
  unbooked = 0
  /** Messages booked as `{other}` because an edge had too many operations. */
  other = 0
  readonly #store: ConnectionStore
  readonly #book: EdgeBook
  readonly #locator: FlowLocator

  constructor(store: ConnectionStore, book: EdgeBook, locator: FlowLocator) {
    this.#store = store
    this.#book = book
    this.#locator = locator
  }

  apply(batch: RecordBatch): void {
    const { l7 } = batch.columns
    if (l7.speaksAny) this.#noteProtocols(batch)
    if (l7.rowCount > 0) this.#bookRows(batch)
  }

  /** None of a batch's records was taken. */
  refuse({ columns: { l7 } }: RecordBatch): void {
    for (let row = 0; row < l7.rowCount; row++) this.unbooked += l7.u32.l7Count[row]
  }

  #noteProtocols(batch: RecordBatch): void {
    const { kind } = batch.columns.u32
    for (let i = 0; i < batch.count; i++) {
      const protocol = (kind[i] >>> Kind.l7Shift) & Kind.l7Mask
      if (protocol === 0) continue
      const flow = this.#flowOf(batch, i)
      if (flow < 0) continue
      const words = this.#store.words(flow >>> 1)
      const at = slotStart(flow >>> 1) + Head.flags
      words[at] = (words[at] & ~(Kind.l7Mask << SlotFlag.l7Shift)) | (protocol << SlotFlag.l7Shift)
    }
  }

  #bookRows(batch: RecordBatch): void {
    const { l7 } = batch.columns
    const rows = this.#book.said(batch.minute)
    const cappedBefore = rows?.capped ?? 0
    let record = -1
    let flow = -1
    let edge = -1
    let weight = 1
    let bucketAt = 0
    for (let row = 0; row < l7.rowCount; row++) {
      const of = l7.u32.l7Record[row]
      if (of !== record) {
        record = of
        flow = this.#flowOf(batch, record)
        edge = flow < 0 ? -1 : this.#edgeOf(flow >>> 1)
        if (edge >= 0 && this.#book.row(edge, batch.minute) < 0) edge = -1
        if (edge >= 0) weight = sideWeight(this.#store.sideFlags(flow >>> 1, flow & 1))
      }
      if (edge < 0) this.unbooked += l7.u32.l7Count[row]
      else this.#bookRow(batch, rows, row, bucketAt, flow, edge, weight)
      bucketAt += l7.u32.l7BucketCount[row]
    }
    if (rows) this.other += rows.capped - cappedBefore
  }

  /** In a minute in which bookings are void there are no rows; what was said there can move all the same, later on. */
  #bookRow(
    batch: RecordBatch,
    rows: SaidRows | undefined,
    row: number,
    bucketAt: number,
    flow: number,
    edge: number,
    weight: number,
  ): void {
    const { l7, header } = batch.columns
    const operation = header.operations[l7.u32.l7Operation[row]]
    if (rows && !rows.addDecoded(edge, operation, flow & 1, l7, row, bucketAt, weight)) {
      this.unbooked += l7.u32.l7Count[row]
      return
    }
    if (!this.#store.isMovable(flow >>> 1)) return
    const { said } = this.#store
    said.keep(flow, batch.minute, operation, l7, row, bucketAt, movableMinutes + 1)
  }

  #flowOf(batch: RecordBatch, i: number): number {
    return this.#locator.find(batch, i, this.#locator.hash(batch, i))
  }

  #edgeOf(slot: number): number {
    return this.#store.words(slot)[slotStart(slot) + Head.edge] - 1
  }
}
