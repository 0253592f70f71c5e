import { l7ColumnFields } from './columns.ts'
import { bucketCountOf, bucketsOf, type L7Rows, l7Value, l7Word, rowsOf } from './l7-rows.ts'
import type { ProtoWriter } from './proto-writer.ts'

/** Tag and length of a field. */
const fieldHead = 6
const bytesOfRow = 40
const bytesOfBucket = 8

/** What was said on the records of one frame that fills. */
export class L7Frame {
  readonly #rows: L7Rows
  readonly #operations = new Map<number, number>()
  /** Row of `L7Rows` and number of its record in the frame, alternating. */
  readonly #taken: number[] = []
  #bucketCount = 0
  #operationBytes = 0

  constructor(rows: L7Rows) {
    this.#rows = rows
  }

  /** Of the frame with this record's rows, at most. */
  bytesWith(record: number): number {
    let rowCount = this.#taken.length / 2
    let buckets = this.#bucketCount
    let operations = this.#operationBytes
    const fresh = new Set<number>()
    for (const row of rowsOf(this.#rows, record)) {
      rowCount++
      buckets += bucketCountOf(this.#rows, row)
      const operation = l7Value(this.#rows, row, 'l7Operation')
      if (this.#operations.has(operation) || fresh.has(operation)) continue
      fresh.add(operation)
      operations += this.#rows.operations.list[operation].length + fieldHead
    }
    const heads = rowCount === 0 ? 0 : fieldHead * Object.keys(l7ColumnFields).length
    return heads + bytesOfRow * rowCount + bytesOfBucket * buckets + operations
  }

  take(record: number, numberInFrame: number): void {
    for (const row of rowsOf(this.#rows, record)) {
      this.#taken.push(row, numberInFrame)
      this.#bucketCount += bucketCountOf(this.#rows, row)
      const operation = l7Value(this.#rows, row, 'l7Operation')
      if (this.#operations.has(operation)) continue
      this.#operations.set(operation, this.#operations.size)
      this.#operationBytes += this.#rows.operations.list[operation].length + fieldHead
    }
  }

  write(writer: ProtoWriter): void {
    if (this.#taken.length === 0) return
    for (const operation of this.#operations.keys())
      writer.bytesField(64, this.#rows.operations.list[operation])
    const count = this.#taken.length / 2
    const column = (valueAt: (row: number, at: number) => number) =>
      Uint32Array.from({ length: count }, (_, at) => valueAt(this.#taken[2 * at], at))
    writer.columnField(
      l7ColumnFields.l7Record,
      column((_, at) => this.#taken[2 * at + 1]),
    )
    for (const name of Object.keys(l7Word) as (keyof typeof l7Word)[]) {
      const valueAt = (row: number) => l7Value(this.#rows, row, name)
      const renumbered = (row: number) => this.#operations.get(valueAt(row))!
      writer.columnField(l7ColumnFields[name], column(name === 'l7Operation' ? renumbered : valueAt))
    }
    this.#writeBuckets(
      writer,
      column(row => bucketCountOf(this.#rows, row)),
    )
  }

  #writeBuckets(writer: ProtoWriter, counts: Uint32Array): void {
    const index = new Uint32Array(this.#bucketCount)
    const value = new Uint32Array(this.#bucketCount)
    let next = 0
    for (let at = 0; at < this.#taken.length; at += 2) {
      const buckets = bucketsOf(this.#rows, this.#taken[at])
      for (let word = 0; word < buckets.length; word += 2) {
        index[next] = buckets[word]
        value[next++] = buckets[word + 1]
      }
    }
    writer.columnField(l7ColumnFields.l7BucketCount, counts)
    writer.columnField(l7ColumnFields.l7BucketIndex, index)
    writer.columnField(l7ColumnFields.l7BucketValue, value)
  }
}
