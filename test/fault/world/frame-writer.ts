import {
  createFlowColumns,
  encodeBody,
  type FlowColumns,
  type Owner,
  type U32Column,
  type U64Column,
  u32ColumnFields,
  u64ColumnFields,
} from '../../../packages/shared/src/index.ts'

const headBytes = 32
/** Partitions that there may be after a change. */
const mostAtOnce = 8
/** Tag and length of one column, at most. */
const columnOverhead = 5
/** A frame holds 46 KB: 27 columns of at most 120 bytes a record, and the owners. */
export const recordsPerFrame = 330

const columnsInOrder = [
  ...(Object.keys(u32ColumnFields) as U32Column[])
    .filter(name => name !== 'wideAt' && name !== 'wideHigh')
    .map(name => ({ field: u32ColumnFields[name] as number, name, words: 1 })),
  ...(Object.keys(u64ColumnFields) as U64Column[]).map(name => ({
    field: u64ColumnFields[name] as number,
    name,
    words: 2,
  })),
].sort((a, b) => a.field - b.field)

/**
 * Lays out flushes as the addon does (native/index.d.ts), quickly: a column is copied, not written number by number.
 * One at a time: begin a node's flush, fill `columns[partition]` and call `full` or `end`.
 */
export class FrameWriter {
  readonly columns: readonly FlowColumns[]
  #bytes = new Uint8Array(1 << 20)
  #view = new DataView(this.#bytes.buffer)
  #length = 0
  #owners: Uint8Array = new Uint8Array(0)
  #baseMs = 0
  #split: { readonly first: number; readonly partitions: number }
  #atMs = 0
  readonly #raw: readonly Uint8Array[]
  readonly #start: readonly number[][]
  readonly #encodedOwners = new Map<readonly Owner[], Uint8Array>()

  constructor(partitions: number) {
    this.#split = { first: 0, partitions }
    this.columns = Array.from({ length: Math.max(partitions, mostAtOnce) }, createFlowColumns)
    this.#raw = this.columns.map(({ words }) => new Uint8Array(words.buffer))
    this.#start = this.columns.map(columns =>
      columnsInOrder.map(({ name }) => {
        const column = { ...columns.u32, ...columns.u64 }[name as U32Column]
        return column.byteOffset
      }),
    )
  }

  /** How the records of the next flush are split. */
  splitAs(split: { readonly first: number; readonly partitions: number }): void {
    this.#split = split
  }

  get partitions(): number {
    return this.#split.partitions
  }

  /** All frames of a flush belong to the minute that starts at `baseMs`. */
  begin(owners: readonly Owner[], baseMs: number, atMs: number): void {
    this.#length = 0
    this.#owners = this.#ownersOf(owners)
    this.#baseMs = baseMs
    this.#atMs = atMs
  }

  /** Writes what a partition's columns hold as one frame and empties them. */
  put(partition: number): void {
    const columns = this.columns[partition]
    const { count } = columns
    if (count === 0) return
    this.#reserve(headBytes + this.#owners.length + columnsInOrder.length * (columnOverhead + 8 * count) + 8)
    const head = this.#length
    this.#bytes.set(this.#owners, head + headBytes)
    this.#length += headBytes + this.#owners.length
    columnsInOrder.forEach(({ field, words }, at) => {
      this.#column(field, partition, this.#start[partition][at], 4 * words * count)
    })
    this.#head(head, partition, count, this.#length - head - headBytes)
    columns.count = 0
  }

  /** Every partition's rest, then, if the minute is over, the frames that say so. A copy. */
  end(minuteComplete: boolean): ArrayBuffer {
    for (let p = 0; p < this.columns.length; p++) this.put(p)
    if (minuteComplete) {
      for (let p = 0; p < this.#split.partitions; p++) {
        this.#reserve(headBytes)
        const head = this.#length
        this.#length += headBytes
        this.#head(head, p, 0, 0)
      }
    }
    return this.#bytes.buffer.slice(0, this.#length)
  }

  #column(field: number, partition: number, start: number, length: number): void {
    const from = this.#raw[partition]
    let any = 0
    for (let i = start; i < start + length; i += 4) any |= from[i] | from[i + 1] | from[i + 2] | from[i + 3]
    if (any === 0) return
    this.#varint(field * 8 + 2)
    this.#varint(length)
    this.#bytes.set(from.subarray(start, start + length), this.#length)
    this.#length += length
  }

  #head(at: number, partition: number, recordCount: number, bodyBytes: number): void {
    const view = this.#view
    view.setUint32(at, this.#split.first + partition, true)
    view.setUint32(at + 4, recordCount, true)
    view.setFloat64(at + 8, this.#baseMs, true)
    view.setUint32(at + 16, bodyBytes, true)
    view.setUint32(at + 20, 0, true)
    view.setFloat64(at + 24, this.#atMs, true)
    this.#length = Math.ceil(this.#length / 8) * 8
  }

  #varint(value: number): void {
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#bytes[this.#length++] = rest
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }

  /** The same for every frame of a node: field 20, once per owner. */
  #ownersOf(owners: readonly Owner[]): Uint8Array {
    const known = this.#encodedOwners.get(owners)
    if (known !== undefined) return known
    const columns = createFlowColumns()
    columns.header.owners = [...owners]
    const encoded = encodeBody(columns)
    this.#encodedOwners.set(owners, encoded)
    return encoded
  }
}
