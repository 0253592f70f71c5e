import { counterCount } from './counters.ts'
import { createEntryList, createLatencySums, drainSums, type LatencySums } from './latency-entries.ts'
import { type SaidSegment, saidBytes } from './said-segment.ts'

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
  /** Whose rows these are; 0 where minutes are merged, because all partitions are in it. */
  readonly partition: number
  /** 0 for a partition's first part of a minute, then counting up. Parts of a minute are added. */
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
  /** What was said on the edges, which need not have a row; undefined where nothing was. */
  readonly said?: SaidSegment
  readonly open: OpenGauges
  readonly losses: Float64Array
  /** Set where the rows are exactly those that were open before: what stands for them. */
  readonly content?: object
}

/** What a segment is packed from: rows in order of edges, all counters of a row together, latencies on request. */
export interface SegmentRows {
  readonly edges: Uint32Array
  /** May be another array at every step. */
  readonly counters: Float64Array
  /** Where the counters of a row begin. */
  at(row: number): number
  /** Asked for once per row, in their order. */
  addLatencies(row: number, sums: LatencySums): void
}

const wideBytes = 12
/** Packing one column of all rows takes as long as packing this share of the rows. */
const columnShare = 64

/** Packs some rows at a time, so that a large minute does not hold up everything else. */
export interface SegmentPacker {
  /** Packs at most so many more rows; false when none are left. */
  step(rows: number): boolean
  /** Packs the columns once no rows are left: each step yields how many rows' worth of work it was. */
  finish(): Generator<number, Segment>
}

/** Packs rows; rows without any value are left out. */
export function createSegmentPacker(
  head: SegmentHead,
  rows: SegmentRows,
  open: OpenGauges,
  losses: Float64Array,
): SegmentPacker {
  const total = rows.edges.length
  const sums = createLatencySums()
  const list = createEntryList()
  const edges = new Uint32Array(total)
  const entryAt = new Uint32Array(total + 1)
  const amounts: (Float64Array | undefined)[] = Array.from({ length: counterCount })
  let kept = 0
  let next = 0

  /** Whether the row has any amount. */
  function takeCounters(counters: Float64Array, at: number): boolean {
    let hasAny = false
    for (let counter = 0; counter < counterCount; counter++) {
      const amount = counters[at + counter]
      if (amount === 0) continue
      let column = amounts[counter]
      if (column === undefined) {
        column = new Float64Array(total)
        amounts[counter] = column
      }
      column[kept] = amount
      hasAny = true
    }
    return hasAny
  }

  return {
    step(most) {
      const end = Math.min(total, next + most)
      const { counters } = rows
      for (; next < end; next++) {
        rows.addLatencies(next, sums)
        const before = list.length
        drainSums(sums, list)
        if (!takeCounters(counters, rows.at(next)) && list.length === before) continue
        edges[kept++] = rows.edges[next]
        entryAt[kept] = list.length
      }
      return next < total
    },
    *finish() {
      const columns: SegmentColumn[] = []
      for (const [counter, column] of amounts.entries()) {
        const packed = column && packColumn(counter, column.subarray(0, kept))
        if (packed) columns.push(packed)
        if (column) yield Math.ceil(kept / columnShare)
      }
      return {
        ...head,
        edges: edges.slice(0, kept),
        columns,
        entryAt: entryAt.slice(0, kept + 1),
        entries: list.finish(),
        open,
        losses: losses.map(countable),
      }
    },
  }
}

/**
 * A sum of what senders claim may exceed what a number holds exactly. It stops there, since a segment that says more is
 * refused by everybody who reads it.
 */
function countable(amount: number): number {
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, amount))
}

/** The narrowest form of one column; undefined if all values are zero. */
function packColumn(counter: number, amounts: Float64Array): SegmentColumn | undefined {
  const rows = amounts.length
  let nonZero = 0
  let over8 = 0
  let over16 = 0
  let over32 = 0
  for (let row = 0; row < rows; row++) {
    const value = amounts[row]
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
  return fillColumn(counter, amounts, cellsOf(form, rows), [-1, 0xff, 0xffff, 0xffffffff][form], wide)
}

function cellsOf(form: number, rows: number): Uint8Array | Uint16Array | Uint32Array | undefined {
  if (form === 1) return new Uint8Array(rows)
  if (form === 2) return new Uint16Array(rows)
  return form === 3 ? new Uint32Array(rows) : undefined
}

function fillColumn(
  counter: number,
  amounts: Float64Array,
  cells: Uint8Array | Uint16Array | Uint32Array | undefined,
  largest: number,
  wideCount: number,
): SegmentColumn {
  const wideRows = new Uint32Array(wideCount)
  const wideValues = new Float64Array(wideCount)
  let wide = 0
  for (let row = 0; row < amounts.length; row++) {
    const value = amounts[row]
    if (cells && value >= 0 && value <= largest) cells[row] = value
    else if (value !== 0) {
      wideRows[wide] = row
      wideValues[wide++] = countable(value)
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
  bytes += saidBytes(segment.said)
  return bytes + edges.byteLength + client.byteLength + server.byteLength + joined.byteLength + 300
}

export const noGauges: OpenGauges = {
  edges: new Uint32Array(0),
  client: new Uint32Array(0),
  server: new Uint32Array(0),
  joined: new Uint32Array(0),
}

/** The gauges at the end of what the parts span: those of each partition's last part, or of a merged one after them. */
export function lastGauges(parts: readonly Segment[]): OpenGauges[] {
  let merged: Segment | undefined
  const last = new Map<number, Segment>()
  for (const part of parts) {
    if (part.isCorrection) continue
    if (part.minutes > 1) {
      if (!merged || part.fromMinute > merged.fromMinute) merged = part
      continue
    }
    const known = last.get(part.partition)
    const isLater = !known || part.fromMinute > known.fromMinute
    if (isLater || (part.fromMinute === known.fromMinute && part.number > known.number))
      last.set(part.partition, part)
  }
  const after = merged?.fromMinute ?? Number.NEGATIVE_INFINITY
  const singles = [...last.values()].filter(part => part.fromMinute > after)
  if (singles.length > 0) return singles.map(part => part.open)
  return merged ? [merged.open] : []
}

/** Sums by edge. */
export function addedGauges(all: readonly OpenGauges[]): OpenGauges {
  if (all.length <= 1) return all[0] ?? noGauges
  const sums = new Map<number, [number, number, number]>()
  for (const { edges, client, server, joined } of all)
    for (let i = 0; i < edges.length; i++) {
      const sum = sums.get(edges[i])
      if (!sum) sums.set(edges[i], [client[i], server[i], joined[i]])
      else {
        sum[0] += client[i]
        sum[1] += server[i]
        sum[2] += joined[i]
      }
    }
  const ids = Uint32Array.from(sums.keys()).sort()
  const column = (of: 0 | 1 | 2) => Uint32Array.from(ids, edge => sums.get(edge)?.[of] ?? 0)
  return { edges: ids, client: column(0), server: column(1), joined: column(2) }
}

/** A segment of this head that has no rows (yet). */
export function emptySegment(head: SegmentHead, open: OpenGauges, losses: Float64Array): Segment {
  const noRows = new Uint32Array(0)
  return {
    ...head,
    edges: noRows,
    columns: [],
    entryAt: new Uint32Array(1),
    entries: new Uint16Array(0),
    open,
    losses,
  }
}
