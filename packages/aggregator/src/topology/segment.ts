import { counterCount } from './counters.ts'
import {
  addEntries,
  createEntryList,
  createLatencySums,
  drainSums,
  type LatencySums,
} from './latency-entries.ts'
import { lossPlaceCount } from './open-minute.ts'

/** One counter of all rows of a segment: narrow cells, and beside them the few values that don't fit (or are < 0). */
export interface SegmentColumn {
  readonly counter: number
  /** One cell per row; undefined when every value that is not zero is in `wide`. */
  readonly cells: Uint8Array | Uint16Array | Uint32Array | undefined
  readonly wideRows: Uint32Array
  readonly wideValues: Float64Array
}

/** Connections open when a minute ended, by edge. Edges without any are left out. */
export interface OpenGauges {
  readonly edges: Uint32Array
  readonly client: Uint32Array
  readonly server: Uint32Array
  readonly joined: Uint32Array
}

export interface SegmentHead {
  /** First unix minute and how many minutes it spans: 1, or 10 when merged. */
  readonly fromMinute: number
  readonly minutes: number
  /** 0 for the first part of a minute, then counting up. Parts of a minute are added. */
  readonly number: number
  /** The minute went on after this part: a shutdown, not its end. */
  readonly isPartial: boolean
  /** Amounts to add to a minute that was closed before; holds no gauges. */
  readonly isCorrection: boolean
  /** Which minutes of the span are in it, lowest bit first: a merged segment may have holes. */
  readonly present: number
  /** Collectors that were live in that time, and those of them that said their minute was complete. */
  readonly expected: number
  readonly reporting: number
}

/** Rows of one span of time, immutable, sorted by edge. Values are exact integers; corrections may be negative. */
export interface Segment extends SegmentHead {
  readonly edges: Uint32Array
  readonly columns: readonly SegmentColumn[]
  /** Latency entries of row r are `[entryAt[r], entryAt[r + 1])`. */
  readonly entryAt: Uint32Array
  readonly entries: Uint16Array
  readonly open: OpenGauges
  readonly losses: Float64Array
}

/** What a segment is packed from: rows in order of edges, all counters of a row together, latencies on request. */
export interface SegmentRows {
  readonly edges: Uint32Array
  readonly counters: Float64Array
  addLatencies(row: number, sums: LatencySums): void
}

const wideBytes = 12

/** Packs rows; rows without any value are left out. */
export function packSegment(
  head: SegmentHead,
  rows: SegmentRows,
  open: OpenGauges,
  losses: Float64Array,
): Segment {
  const sums = createLatencySums()
  const list = createEntryList()
  const kept: number[] = []
  const entryAt: number[] = [0]
  for (let row = 0; row < rows.edges.length; row++) {
    rows.addLatencies(row, sums)
    const before = list.length
    drainSums(sums, list)
    if (list.length === before && isZeroRow(rows.counters, row)) continue
    kept.push(row)
    entryAt.push(list.length)
  }
  return {
    ...head,
    edges: Uint32Array.from(kept, row => rows.edges[row]),
    columns: packColumns(rows.counters, kept),
    entryAt: Uint32Array.from(entryAt),
    entries: list.finish(),
    open,
    losses,
  }
}

function isZeroRow(counters: Float64Array, row: number): boolean {
  for (let i = row * counterCount; i < (row + 1) * counterCount; i++) if (counters[i] !== 0) return false
  return true
}

function packColumns(counters: Float64Array, kept: readonly number[]): SegmentColumn[] {
  const columns: SegmentColumn[] = []
  for (let counter = 0; counter < counterCount; counter++) {
    const column = packColumn(counter, kept.length, i => counters[kept[i] * counterCount + counter])
    if (column) columns.push(column)
  }
  return columns
}

/** The narrowest form of one column; undefined if all values are zero. */
export function packColumn(
  counter: number,
  rows: number,
  amountOf: (row: number) => number,
): SegmentColumn | undefined {
  let nonZero = 0
  let over8 = 0
  let over16 = 0
  let over32 = 0
  for (let row = 0; row < rows; row++) {
    const value = amountOf(row)
    if (value === 0) continue
    nonZero++
    if (value >= 0 && value <= 0xff) continue
    over8++
    if (value >= 0 && value <= 0xffff) continue
    over16++
    if (value < 0 || value > 0xffffffff) over32++
  }
  if (nonZero === 0) return undefined
  const costs = [
    nonZero * wideBytes,
    rows + over8 * wideBytes,
    rows * 2 + over16 * wideBytes,
    rows * 4 + over32 * wideBytes,
  ]
  const form = costs.indexOf(Math.min(...costs))
  const wide = [nonZero, over8, over16, over32][form]
  return fillColumn(counter, rows, amountOf, cellsOf(form, rows), [-1, 0xff, 0xffff, 0xffffffff][form], wide)
}

function cellsOf(form: number, rows: number): Uint8Array | Uint16Array | Uint32Array | undefined {
  if (form === 1) return new Uint8Array(rows)
  if (form === 2) return new Uint16Array(rows)
  return form === 3 ? new Uint32Array(rows) : undefined
}

function fillColumn(
  counter: number,
  rows: number,
  amountOf: (row: number) => number,
  cells: Uint8Array | Uint16Array | Uint32Array | undefined,
  largest: number,
  wideCount: number,
): SegmentColumn {
  const wideRows = new Uint32Array(wideCount)
  const wideValues = new Float64Array(wideCount)
  let wide = 0
  for (let row = 0; row < rows; row++) {
    const value = amountOf(row)
    if (cells && value >= 0 && value <= largest) cells[row] = value
    else if (value !== 0) {
      wideRows[wide] = row
      wideValues[wide++] = value
    }
  }
  return { counter, cells, wideRows, wideValues }
}

/** Bytes of memory of a segment's arrays. */
export function segmentBytes(segment: Segment): number {
  let bytes = segment.edges.byteLength + segment.entryAt.byteLength + segment.entries.byteLength
  for (const c of segment.columns)
    bytes += (c.cells?.byteLength ?? 0) + c.wideRows.byteLength + c.wideValues.byteLength
  const { edges, client, server, joined } = segment.open
  return bytes + edges.byteLength + client.byteLength + server.byteLength + joined.byteLength + 300
}

/** Adds a segment's values to dense rows: `rowOf[edge]` says which, `counters` holds all counters of a row together. */
export function addSegmentToRows(segment: Segment, rowOf: Int32Array, counters: Float64Array): void {
  const { edges } = segment
  for (const { counter, cells, wideRows, wideValues } of segment.columns) {
    if (cells)
      for (let i = 0; i < edges.length; i++) counters[rowOf[edges[i]] * counterCount + counter] += cells[i]
    for (let i = 0; i < wideRows.length; i++)
      counters[rowOf[edges[wideRows[i]]] * counterCount + counter] += wideValues[i]
  }
}

/** One segment that holds the sum of several; `rowScratch` is all zero, at least as long as the edge ids, and stays so. */
export function mergeSegments(head: SegmentHead, parts: readonly Segment[], rowScratch: Int32Array): Segment {
  const edges = unionOfEdges(parts)
  for (let row = 0; row < edges.length; row++) rowScratch[edges[row]] = row
  const counters = new Float64Array(edges.length * counterCount)
  const losses = new Float64Array(lossPlaceCount)
  for (const part of parts) {
    addSegmentToRows(part, rowScratch, counters)
    for (let place = 0; place < lossPlaceCount; place++) losses[place] += part.losses[place]
  }
  for (const edge of edges) rowScratch[edge] = 0
  const cursors = parts.map(() => 0)
  const addLatencies = (row: number, sums: LatencySums) => {
    for (let p = 0; p < parts.length; p++) {
      const part = parts[p]
      const at = cursors[p]
      if (part.edges[at] !== edges[row]) continue
      addEntries(sums, part.entries, part.entryAt[at], part.entryAt[at + 1])
      cursors[p] = at + 1
    }
  }
  return packSegment(head, { edges, counters, addLatencies }, lastGauges(parts), losses)
}

export const noGauges: OpenGauges = {
  edges: new Uint32Array(0),
  client: new Uint32Array(0),
  server: new Uint32Array(0),
  joined: new Uint32Array(0),
}

/** The gauges at the end of what the parts span. */
export function lastGauges(parts: readonly Segment[]): OpenGauges {
  let last: Segment | undefined
  for (const part of parts) {
    if (part.isCorrection) continue
    const isLater = !last || part.fromMinute > last.fromMinute
    if (isLater || (part.fromMinute === last?.fromMinute && part.number > last.number)) last = part
  }
  return last?.open ?? noGauges
}

function unionOfEdges(parts: readonly Segment[]): Uint32Array {
  const all = new Uint32Array(parts.reduce((n, p) => n + p.edges.length, 0))
  let length = 0
  for (const part of parts) {
    all.set(part.edges, length)
    length += part.edges.length
  }
  all.sort()
  let kept = 0
  for (let i = 0; i < length; i++) if (i === 0 || all[i] !== all[i - 1]) all[kept++] = all[i]
  return all.slice(0, kept)
}
