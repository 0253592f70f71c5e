import type { BodyFields } from './body-fields.ts'
import { Interned } from './body-rows.ts'
import type { L7Column } from './columns.ts'

/** Columns whose values add up, when two rows say how often the same ended in the same way. */
const summed = [
  'l7Count',
  'l7RequestBytes',
  'l7ResponseBytes',
  'l7FirstByteSumUs',
  'l7LastByteSumUs',
] as const satisfies readonly L7Column[]
const kept = ['l7Operation', 'l7Status', 'l7Flags', ...summed] as const satisfies readonly L7Column[]

/** Where a row's values lie in its words; behind them where its buckets begin, how many, and the next row + 1. */
export const l7Word = Object.fromEntries(kept.map((name, index) => [name, index])) as {
  readonly [C in (typeof kept)[number]]: number
}
const bucketsWord = kept.length
const bucketCountWord = kept.length + 1
const nextWord = kept.length + 2
const rowWords = kept.length + 3

/** Of a row in a body, at most: ten columns, and two words a bucket. */
const bytesOfRow = 40
const bytesOfBucket = 8
/** What one record may have, so that it fits into a frame with all it refers to. */
const mostBytesOfRecord = 20 * 1024
const scratchSlots = 1_024

/**
 * What was said, as rows of several bodies with one table of operations. The rows of a record of `BodyRows` are a
 * chain, so that joining two records is joining two chains.
 */
export interface L7Rows {
  readonly operations: Interned
  words: Uint32Array
  rowCount: number
  /** Index and value of each bucket. */
  buckets: Uint32Array
  bucketCount: number
  /** By record: the first and the last of its rows + 1, and how much they take, at most. */
  readonly first: Uint32Array
  readonly last: Uint32Array
  readonly bytes: Uint32Array
}

/** Undefined where nothing was said. */
export function createL7Rows(parts: readonly BodyFields[], records: number): L7Rows | undefined {
  let rowCount = 0
  let bucketCount = 0
  for (const fields of parts) {
    rowCount += fields.column('l7Count')?.length ?? 0
    bucketCount += fields.column('l7BucketValue')?.length ?? 0
  }
  if (rowCount === 0) return undefined
  return {
    operations: new Interned(),
    words: new Uint32Array(rowCount * rowWords),
    rowCount: 0,
    buckets: new Uint32Array(2 * bucketCount),
    bucketCount: 0,
    first: new Uint32Array(records),
    last: new Uint32Array(records),
    bytes: new Uint32Array(records),
  }
}

/** Adds a body's rows; `firstRecord` is the number that its first record has among all. */
export function appendL7Rows(rows: L7Rows, fields: BodyFields, firstRecord: number, records: number): void {
  const count = fields.column('l7Count')?.length ?? 0
  if (count === 0) return
  const { words, rowCount } = rows
  for (const name of kept) {
    const column = fields.column(name)
    if (column !== undefined && column.length !== count) throw malformed()
    for (let row = 0; row < count; row++)
      words[(rowCount + row) * rowWords + l7Word[name]] = column === undefined ? 0 : column[row]
  }
  const operations = fields.operations.map(operation => rows.operations.number(operation))
  for (let at = rowCount * rowWords; at < (rowCount + count) * rowWords; at += rowWords) {
    const operation = operations[words[at + l7Word.l7Operation]]
    if (operation === undefined) throw malformed()
    words[at + l7Word.l7Operation] = operation
  }
  appendBuckets(rows, fields, count)
  const recordOf = fields.column('l7Record')
  for (let row = 0; row < count; row++) {
    const record = recordOf === undefined ? 0 : recordOf[row]
    if (record >= records) throw malformed()
    chain(rows, firstRecord + record, rowCount + row)
  }
  rows.rowCount += count
}

function appendBuckets(rows: L7Rows, fields: BodyFields, count: number): void {
  const start = rows.bucketCount
  const values = fields.column('l7BucketValue')
  const added = values?.length ?? 0
  for (let at = 0; at < added; at++) rows.buckets[2 * (start + at) + 1] = values![at]
  const indexes = fields.column('l7BucketIndex')
  if (indexes !== undefined && indexes.length !== added) throw malformed()
  for (let at = 0; at < added; at++) rows.buckets[2 * (start + at)] = indexes === undefined ? 0 : indexes[at]
  const counts = fields.column('l7BucketCount')
  let next = start
  for (let row = 0; row < count; row++) {
    const at = (rows.rowCount + row) * rowWords
    rows.words[at + bucketsWord] = next
    rows.words[at + bucketCountWord] = counts === undefined ? 0 : counts[row]
    next += rows.words[at + bucketCountWord]
  }
  rows.bucketCount += added
  if (next !== rows.bucketCount) throw malformed()
}

function malformed(): RangeError {
  return new RangeError('the rows of a frame do not fit together')
}

function chain(rows: L7Rows, record: number, row: number): void {
  const { words, first, last, bytes } = rows
  if (first[record] === 0) first[record] = row + 1
  else words[(last[record] - 1) * rowWords + nextWord] = row + 1
  last[record] = row + 1
  words[row * rowWords + nextWord] = 0
  bytes[record] += bytesOf(rows, row)
}

/** At most: an operation that several rows refer to counts with each. */
function bytesOf({ words, operations }: L7Rows, row: number): number {
  const at = row * rowWords
  const operation = operations.list[words[at + l7Word.l7Operation]].length + 6
  return bytesOfRow + operation + bytesOfBucket * words[at + bucketCountWord]
}

/** Whether record `b` may be joined into `a`: together their rows must fit into a frame. */
export function canJoinL7(rows: L7Rows, a: number, b: number): boolean {
  const { bytes } = rows
  if (bytes[a] + bytes[b] <= mostBytesOfRecord) return true
  if (bytes[b] === 0) return true
  foldL7(rows, a)
  return bytes[a] + bytes[b] <= mostBytesOfRecord
}

/** The rows of `b` become rows of `a`. */
export function joinL7({ words, first, last, bytes }: L7Rows, a: number, b: number): void {
  if (first[b] === 0) return
  if (first[a] === 0) first[a] = first[b]
  else words[(last[a] - 1) * rowWords + nextWord] = first[b]
  last[a] = last[b]
  bytes[a] += bytes[b]
  first[b] = 0
}

export function* rowsOf({ words, first }: L7Rows, record: number): Generator<number> {
  for (let row = first[record]; row !== 0; row = words[(row - 1) * rowWords + nextWord]) yield row - 1
}

export function l7Value({ words }: L7Rows, row: number, name: keyof typeof l7Word): number {
  return words[row * rowWords + l7Word[name]]
}

export function bucketCountOf({ words }: L7Rows, row: number): number {
  return words[row * rowWords + bucketCountWord]
}

/** Index and value of each of a row's buckets, as a view. */
export function bucketsOf({ words, buckets }: L7Rows, row: number): Uint32Array {
  const start = 2 * words[row * rowWords + bucketsWord]
  return buckets.subarray(start, start + 2 * words[row * rowWords + bucketCountWord])
}

/**
 * Adds up the rows of a record that say the same of the same: operation, status and flags. Rows whose sum would not
 * fit, or was cut off at its largest already, stay apart.
 */
export function foldL7(rows: L7Rows, record: number): void {
  const { first } = rows
  if (first[record] === 0 || first[record] === rows.last[record]) return
  const groups = new Map<string, number[][]>()
  for (const row of rowsOf(rows, record)) {
    const key = `${l7Value(rows, row, 'l7Operation')} ${l7Value(rows, row, 'l7Status')} ${l7Value(rows, row, 'l7Flags')}`
    const alike = groups.get(key) ?? []
    const into = alike.find(group => addSums(rows, group[0], row))
    if (into === undefined) alike.push([row])
    else into.push(row)
    groups.set(key, alike)
  }
  first[record] = 0
  rows.bytes[record] = 0
  for (const alike of groups.values()) {
    for (const group of alike) {
      if (group.length > 1) addBuckets(rows, group)
      chain(rows, record, group[0])
    }
  }
}

function addSums({ words }: L7Rows, into: number, row: number): boolean {
  const a = into * rowWords
  const b = row * rowWords
  for (const name of summed)
    if (words[a + l7Word[name]] + words[b + l7Word[name]] >= 0xffff_ffff) return false
  for (const name of summed) words[a + l7Word[name]] += words[b + l7Word[name]]
  return true
}

const sums = new Float64Array(scratchSlots)

/** The buckets of the first of a group become those of all. */
function addBuckets(rows: L7Rows, group: readonly number[]): void {
  let lowest = scratchSlots
  let highest = -1
  for (const row of group) {
    const buckets = bucketsOf(rows, row)
    for (let at = 0; at < buckets.length; at += 2) {
      const slot = (buckets[at] | 0) + 2
      if (slot < 0 || slot >= scratchSlots) throw malformed()
      sums[slot] += buckets[at + 1]
      lowest = Math.min(lowest, slot)
      highest = Math.max(highest, slot)
    }
  }
  const start = rows.bucketCount
  for (let slot = lowest; slot <= highest; slot++) {
    if (sums[slot] > 0) pushBucket(rows, slot - 2, sums[slot])
    sums[slot] = 0
  }
  rows.words[group[0] * rowWords + bucketsWord] = start
  rows.words[group[0] * rowWords + bucketCountWord] = rows.bucketCount - start
}

function pushBucket(rows: L7Rows, index: number, value: number): void {
  if (2 * rows.bucketCount + 2 > rows.buckets.length) {
    const larger = new Uint32Array(2 * rows.buckets.length + 64)
    larger.set(rows.buckets)
    rows.buckets = larger
  }
  rows.buckets[2 * rows.bucketCount] = index
  rows.buckets[2 * rows.bucketCount + 1] = value
  rows.bucketCount++
}
