import { counterCount, counterNames } from './counters.ts'
import { addEntries, type LatencySums } from './latency-entries.ts'
import type { OpenMinute } from './open-minute.ts'
import { lossPlaceCount } from './open-minute.ts'
import type { OpenGauges, Segment } from './segment.ts'

/** Everything a range of minutes holds, summed by slot of a fold. */
export interface RangeSums {
  readonly slots: number
  /** By counter, then by slot. */
  readonly columns: readonly Float64Array[]
  /** By slot: a bit for each end that was seen, 0 for slots without anything. */
  readonly seen: Uint8Array
  readonly openClient: Int32Array
  readonly openServer: Int32Array
  readonly openJoined: Int32Array
  readonly losses: Float64Array
  /** Adds all latencies of a slot. */
  addLatencies(slot: number, into: LatencySums): void
}

export const Seen = { client: 1, server: 2, something: 4 } as const

const seenByCounter = Uint8Array.from(counterNames, name => {
  // loss names begin like those of one end, but need both
  if (name.includes('To') || name === 'openedJoined') return Seen.client | Seen.server
  if (/^(client|failed|openedClientOnly)/.test(name)) return Seen.client
  return /^(server|openedServerOnly)/.test(name) ? Seen.server : Seen.something
})

export interface RangeParts {
  readonly segments: readonly Segment[]
  readonly open: readonly OpenMinute[]
  /** Counters of the open minutes' rows. */
  readonly pool: Float64Array
}

/** Columns that one answer after another uses; fresh memory costs more than filling it. */
export interface SumsScratch {
  zeros: Float64Array
  readonly columns: Float64Array[]
}

export function createSumsScratch(): SumsScratch {
  return { zeros: new Float64Array(0), columns: [] }
}

/** `slotOf[edge]` is 0 for edges that don't count. The sums hold until the scratch is used again. */
export function sumRange(
  parts: RangeParts,
  slotOf: Int32Array,
  slots: number,
  scratch: SumsScratch,
): RangeSums {
  if (scratch.zeros.length < slots) {
    scratch.zeros = new Float64Array(slots * 2)
    scratch.columns.length = 0
  }
  const { zeros } = scratch
  const columns: Float64Array[] = Array.from({ length: counterCount }, () => zeros)
  const writable = (counter: number) => {
    if (columns[counter] === zeros) {
      scratch.columns[counter] ??= new Float64Array(zeros.length)
      columns[counter] = scratch.columns[counter].fill(0, 0, slots)
    }
    return columns[counter]
  }
  const losses = new Float64Array(lossPlaceCount)
  for (const segment of parts.segments) {
    addSegment(segment, slotOf, writable)
    for (let p = 0; p < lossPlaceCount; p++) losses[p] += segment.losses[p]
  }
  for (const open of parts.open) {
    addOpenMinute(open, parts.pool, slotOf, columns, zeros, writable)
    for (let p = 0; p < lossPlaceCount; p++) losses[p] += open.losses[p]
  }
  // only answers with latencies need it
  let rows: RowList | undefined
  return {
    slots,
    columns,
    seen: seenOf(columns, zeros, slots),
    openClient: new Int32Array(slots),
    openServer: new Int32Array(slots),
    openJoined: new Int32Array(slots),
    losses,
    addLatencies(slot, into) {
      rows ??= listRows(parts, slotOf, slots)
      for (let i = rows.starts[slot]; i < rows.starts[slot + 1]; i++)
        rows.add(rows.part[i], rows.row[i], into)
    },
  }
}

function addSegment(segment: Segment, slotOf: Int32Array, writable: (counter: number) => Float64Array): void {
  const { edges } = segment
  const slots = new Int32Array(edges.length)
  for (let i = 0; i < edges.length; i++) slots[i] = slotOf[edges[i]]
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
  columns: readonly Float64Array[],
  zeros: Float64Array,
  writable: (counter: number) => Float64Array,
): void {
  const { edges, rows } = open
  for (let i = 0; i < edges.length; i++) {
    const slot = slotOf[edges[i]]
    const at = rows[i] * counterCount
    for (let counter = 0; counter < counterCount; counter++) {
      const value = pool[at + counter]
      if (value === 0) continue
      const column = columns[counter] === zeros ? writable(counter) : columns[counter]
      column[slot] += value
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

/** Which ends each slot was seen by: an amount that corrections took back entirely was not. */
function seenOf(columns: readonly Float64Array[], zeros: Float64Array, slots: number): Uint8Array {
  const seen = new Uint8Array(slots)
  columns.forEach((column, counter) => {
    if (column === zeros) return
    const bits = seenByCounter[counter]
    for (let slot = 1; slot < slots; slot++) if (column[slot] !== 0) seen[slot] |= bits
  })
  return seen
}

export function addGauge(
  sums: RangeSums,
  slot: number,
  client: number,
  server: number,
  joined: number,
): void {
  if (slot === 0) return
  if (client > 0 || joined > 0) sums.seen[slot] |= Seen.client
  if (server > 0 || joined > 0) sums.seen[slot] |= Seen.server
  sums.openClient[slot] += client
  sums.openServer[slot] += server
  sums.openJoined[slot] += joined
}

/** Adds the gauges of closed minutes. */
export function addGauges(sums: RangeSums, gauges: OpenGauges, slotOf: Int32Array): void {
  for (let i = 0; i < gauges.edges.length; i++)
    addGauge(sums, slotOf[gauges.edges[i]], gauges.client[i], gauges.server[i], gauges.joined[i])
}
