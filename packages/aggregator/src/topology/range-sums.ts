import { Counter, type CounterName, counterCount } from './counters.ts'
import { addEntries, type LatencySums } from './latency-entries.ts'
import type { OpenMinute } from './open-minute.ts'
import { lossPlaceCount } from './open-minute.ts'
import type { OpenGauges, Segment } from './segment.ts'

/** Everything a range of minutes holds, summed by slot of a fold. */
export interface RangeSums {
  readonly slots: number
  /** 1 for slots that have a row or an open connection. */
  readonly isSeen: Uint8Array
  column(name: CounterName): Float64Array
  readonly columns: readonly Float64Array[]
  readonly openClient: Int32Array
  readonly openServer: Int32Array
  readonly openJoined: Int32Array
  readonly losses: Float64Array
  /** Adds all latencies of a slot. */
  addLatencies(slot: number, into: LatencySums): void
}

export interface RangeParts {
  readonly segments: readonly Segment[]
  readonly open: readonly OpenMinute[]
  /** Counters of the open minutes' rows. */
  readonly pool: Float64Array
}

/** `slotOf[edge]` is 0 for edges that don't count. */
export function sumRange(parts: RangeParts, slotOf: Int32Array, slots: number): RangeSums {
  const zeros = new Float64Array(slots)
  const columns: Float64Array[] = Array.from({ length: counterCount }, () => zeros)
  const writable = (counter: number) => {
    if (columns[counter] === zeros) columns[counter] = new Float64Array(slots)
    return columns[counter]
  }
  const isSeen = new Uint8Array(slots)
  const losses = new Float64Array(lossPlaceCount)
  for (const segment of parts.segments) {
    addSegment(segment, slotOf, writable, isSeen)
    for (let p = 0; p < lossPlaceCount; p++) losses[p] += segment.losses[p]
  }
  for (const open of parts.open) {
    addOpenMinute(open, parts.pool, slotOf, writable, isSeen)
    for (let p = 0; p < lossPlaceCount; p++) losses[p] += open.losses[p]
  }
  isSeen[0] = 0
  const rows = listRows(parts, slotOf, slots)
  return {
    slots,
    isSeen,
    columns,
    column: name => columns[Counter[name]],
    openClient: new Int32Array(slots),
    openServer: new Int32Array(slots),
    openJoined: new Int32Array(slots),
    losses,
    addLatencies(slot, into) {
      for (let i = rows.starts[slot]; i < rows.starts[slot + 1]; i++)
        rows.add(rows.part[i], rows.row[i], into)
    },
  }
}

function addSegment(
  segment: Segment,
  slotOf: Int32Array,
  writable: (counter: number) => Float64Array,
  isSeen: Uint8Array,
): void {
  const { edges } = segment
  const slots = new Int32Array(edges.length)
  for (let i = 0; i < edges.length; i++) {
    slots[i] = slotOf[edges[i]]
    isSeen[slots[i]] = 1
  }
  for (const { counter, cells, wideRows, wideValues } of segment.columns) {
    const sums = writable(counter)
    if (cells instanceof Uint8Array) addCells8(sums, slots, cells)
    else if (cells instanceof Uint16Array) addCells16(sums, slots, cells)
    else if (cells) addCells32(sums, slots, cells)
    for (let i = 0; i < wideRows.length; i++) sums[slots[wideRows[i]]] += wideValues[i]
  }
}

// three equal loops, because one that sees three kinds of arrays is several times slower
function addCells8(sums: Float64Array, slots: Int32Array, cells: Uint8Array): void {
  for (let i = 0; i < slots.length; i++) sums[slots[i]] += cells[i]
}
function addCells16(sums: Float64Array, slots: Int32Array, cells: Uint16Array): void {
  for (let i = 0; i < slots.length; i++) sums[slots[i]] += cells[i]
}
function addCells32(sums: Float64Array, slots: Int32Array, cells: Uint32Array): void {
  for (let i = 0; i < slots.length; i++) sums[slots[i]] += cells[i]
}

function addOpenMinute(
  open: OpenMinute,
  pool: Float64Array,
  slotOf: Int32Array,
  writable: (counter: number) => Float64Array,
  isSeen: Uint8Array,
): void {
  for (let i = 0; i < open.edges.length; i++) {
    const slot = slotOf[open.edges[i]]
    const at = open.rows[i] * counterCount
    for (let counter = 0; counter < counterCount; counter++) {
      const value = pool[at + counter]
      if (value === 0) continue
      writable(counter)[slot] += value
      isSeen[slot] = 1
    }
  }
}

interface RowList {
  readonly starts: Int32Array
  readonly part: Uint16Array
  readonly row: Int32Array
  add(part: number, row: number, into: LatencySums): void
}

/** The rows of each slot, one after another: part number (segments first, then open minutes) and row in it. */
function listRows({ segments, open }: RangeParts, slotOf: Int32Array, slots: number): RowList {
  const starts = new Int32Array(slots + 2)
  const edgesOfPart = [...segments.map(s => s.edges), ...open.map(o => o.edges)]
  let rows = 0
  for (const edges of edgesOfPart) {
    rows += edges.length
    for (let i = 0; i < edges.length; i++) starts[slotOf[edges[i]] + 2]++
  }
  for (let s = 0; s < slots; s++) starts[s + 2] += starts[s + 1]
  const part = new Uint16Array(rows)
  const row = new Int32Array(rows)
  edgesOfPart.forEach((edges, p) => {
    for (let i = 0; i < edges.length; i++) {
      const at = starts[slotOf[edges[i]] + 1]++
      part[at] = p
      row[at] = i
    }
  })
  return {
    starts,
    part,
    row,
    add(p, r, into) {
      if (p >= segments.length) {
        const minute = open[p - segments.length]
        minute.latencies.addTo(minute.rows[r], into)
      } else addEntries(into, segments[p].entries, segments[p].entryAt[r], segments[p].entryAt[r + 1])
    },
  }
}

/** Adds the gauges of closed minutes. */
export function addGauges(sums: RangeSums, gauges: OpenGauges, slotOf: Int32Array): void {
  for (let i = 0; i < gauges.edges.length; i++) {
    const slot = slotOf[gauges.edges[i]]
    if (slot === 0) continue
    sums.isSeen[slot] = 1
    sums.openClient[slot] += gauges.client[i]
    sums.openServer[slot] += gauges.server[i]
    sums.openJoined[slot] += gauges.joined[i]
  }
}
