import type { Operation } from '@skybraid/shared'
import { createEntryList, eachEntry } from './latency-entries.ts'
import { type SaidRows, saidSumCount } from './said-rows.ts'

/** The narrowest array that holds a column's values exactly. */
export type SaidColumn = Uint8Array | Uint16Array | Uint32Array | Float64Array

/** What was said in one span of time, immutable: rows in order of edges. */
export interface SaidSegment {
  readonly operations: readonly Operation[]
  /** Edge of each row. */
  readonly edges: Uint32Array
  readonly operation: SaidColumn
  readonly status: Uint32Array
  readonly flags: Uint8Array
  /** A column per sum of `saidSums`. */
  readonly sums: readonly SaidColumn[]
  /** Buckets of row r are entries `[entryAt[r], entryAt[r + 1])`, as those of latencies are. */
  readonly entryAt: Uint32Array
  readonly entries: Uint16Array
}

/** Rows that are packed in one go. */
const rowsPerStep = 2_000

/**
 * Packed in steps, each of which yields how many rows it took. Undefined where nothing was said, or all of it was
 * taken back.
 */
export function* packSaid(rows: SaidRows | undefined): Generator<number, SaidSegment | undefined> {
  if (rows === undefined) return undefined
  const list: number[] = []
  for (let row = 0; row < rows.rowCount; row++) {
    if (hasAny(rows, row)) list.push(row)
    if (row % rowsPerStep === rowsPerStep - 1) yield rowsPerStep
  }
  if (list.length === 0) return undefined
  const kept = inOrderOfEdges(rows, list)
  yield kept.length / 4
  const entries = createEntryList()
  const entryAt = new Uint32Array(kept.length + 1)
  for (let at = 0; at < kept.length; at++) {
    rows.eachBucket(kept[at], (slot, count) => entries.add(slot, count))
    entryAt[at + 1] = entries.length
    if (at % rowsPerStep === rowsPerStep - 1) yield rowsPerStep
  }
  const sums: SaidColumn[] = []
  for (let sum = 0; sum < saidSumCount; sum++) {
    sums.push(narrowest(Float64Array.from(kept, row => rows.sums[row * saidSumCount + sum])))
    yield kept.length / 8
  }
  return {
    operations: rows.operations,
    edges: kept.map(row => rows.edgeOf(row)),
    operation: narrowest(Float64Array.from(kept, row => rows.operationOf(row))),
    status: kept.map(row => rows.statusOf(row)),
    flags: Uint8Array.from(kept, row => rows.flagsOf(row)),
    sums,
    entryAt,
    entries: entries.finish(),
  }
}

/** Numbers sort without a comparison function: edge and row together fit a whole one. */
function inOrderOfEdges(rows: SaidRows, list: readonly number[]): Uint32Array {
  const keys = Float64Array.from(list, row => rows.edgeOf(row) * rows.rowCount + row)
  return Uint32Array.from(keys.sort(), key => key % rows.rowCount)
}

function hasAny(rows: SaidRows, row: number): boolean {
  for (let sum = 0; sum < saidSumCount; sum++) if (rows.sums[row * saidSumCount + sum] !== 0) return true
  let found = false
  rows.eachBucket(row, () => {
    found = true
  })
  return found
}

export function narrowest(values: Float64Array): SaidColumn {
  let low = 0
  let high = 0
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i]
    if (values[i] > high) high = values[i]
  }
  if (low < 0 || high > 0xffff_ffff) return values
  return high > 0xffff
    ? Uint32Array.from(values)
    : high > 0xff
      ? Uint16Array.from(values)
      : Uint8Array.from(values)
}

/** Adds (or takes back) the rows `[from, to)` to others. */
export function addSaid(
  into: SaidRows,
  said: SaidSegment,
  sign: 1 | -1 = 1,
  from = 0,
  to = said.edges.length,
): void {
  const numbers: number[] = []
  for (let at = from; at < to; at++) {
    const operation = said.operation[at]
    numbers[operation] ??= into.operation(said.operations[operation])
    addSaidRow(
      into,
      into.row(said.edges[at], numbers[operation], said.status[at], said.flags[at]),
      said,
      at,
      sign,
    )
  }
}

/** Adds the sums and buckets of one row to a row. */
export function addSaidRow(into: SaidRows, row: number, said: SaidSegment, at: number, sign: 1 | -1): void {
  for (let sum = 0; sum < saidSumCount; sum++) into.add(row, sum, sign * said.sums[sum][at])
  eachEntry(said.entries, said.entryAt[at], said.entryAt[at + 1], (slot, count) =>
    into.addBucket(row, slot, sign * count),
  )
}

/** Where an edge's rows begin and end. */
export function rowsOfEdge({ edges }: SaidSegment, edge: number): [from: number, to: number] {
  return [firstAtLeast(edges, edge), firstAtLeast(edges, edge + 1)]
}

function firstAtLeast(edges: Uint32Array, edge: number): number {
  let low = 0
  let high = edges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (edges[middle] < edge) low = middle + 1
    else high = middle
  }
  return low
}

/** Bytes of memory; operations are shared with the batches they came with, mostly. */
export function saidBytes(said: SaidSegment | undefined): number {
  if (said === undefined) return 0
  let bytes =
    said.edges.byteLength + said.operation.byteLength + said.status.byteLength + said.flags.byteLength
  for (const column of said.sums) bytes += column.byteLength
  return bytes + said.entryAt.byteLength + said.entries.byteLength + 100 * said.operations.length + 200
}
