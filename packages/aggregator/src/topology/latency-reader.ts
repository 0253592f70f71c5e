import { addEntries, type LatencySums } from './latency-entries.ts'
import type { OpenMinute } from './open-minute.ts'
import type { RangeParts } from './range-sums.ts'
import type { Segment } from './segment.ts'

/** The latencies of a range, slot by slot. */
export interface LatencyReader {
  addTo(slot: number, sums: LatencySums): void
}

/** Memory that one reader after another uses. */
export interface RowListScratch {
  part: Uint16Array
  row: Int32Array
}

export function createLatencyReader(
  { segments, open }: RangeParts,
  slotOf: Int32Array,
  slots: number,
  keyLimit: number,
  scratch: RowListScratch,
): LatencyReader {
  const { starts, part, row } = listRows(segments, open, slotOf, slots, scratch)
  return {
    addTo(slot, sums) {
      for (let i = starts[slot]; i < starts[slot + 1]; i++) {
        const p = part[i]
        const r = row[i]
        if (p < segments.length) {
          const { entries, entryAt } = segments[p]
          addEntries(sums, entries, entryAt[r], entryAt[r + 1], keyLimit)
        } else {
          const minute = open[p - segments.length]
          minute.latencies.addTo(minute.rows[r], sums, keyLimit)
        }
      }
    },
  }
}

interface RowList {
  /** Rows of slot s are `[starts[s], starts[s + 1])`. */
  readonly starts: Int32Array
  /** Part number (segments first, then open minutes) and row in it. */
  readonly part: Uint16Array
  readonly row: Int32Array
}

/** The rows of each slot, one after another. */
function listRows(
  segments: readonly Segment[],
  open: readonly OpenMinute[],
  slotOf: Int32Array,
  slots: number,
  scratch: RowListScratch,
): RowList {
  const starts = new Int32Array(slots + 2)
  for (const { edges } of segments) countTyped(edges, slotOf, starts)
  for (const { edges } of open) countListed(edges, slotOf, starts)
  for (let s = 0; s < slots; s++) starts[s + 2] += starts[s + 1]
  const rows = starts[slots + 1]
  if (scratch.row.length < rows) {
    scratch.part = new Uint16Array(rows * 2)
    scratch.row = new Int32Array(rows * 2)
  }
  const { part, row } = scratch
  for (let p = 0; p < segments.length; p++) placeTyped(segments[p].edges, p, slotOf, starts, part, row)
  for (let p = 0; p < open.length; p++)
    placeListed(open[p].edges, segments.length + p, slotOf, starts, part, row)
  return { starts, part, row }
}

// twice the same, because a loop that sees two kinds of arrays is several times slower
function countTyped(edges: Uint32Array, slotOf: Int32Array, starts: Int32Array): void {
  for (let i = 0; i < edges.length; i++) starts[slotOf[edges[i]] + 2]++
}
function countListed(edges: readonly number[], slotOf: Int32Array, starts: Int32Array): void {
  for (let i = 0; i < edges.length; i++) starts[slotOf[edges[i]] + 2]++
}

function placeTyped(
  edges: Uint32Array,
  p: number,
  slotOf: Int32Array,
  starts: Int32Array,
  part: Uint16Array,
  row: Int32Array,
): void {
  for (let i = 0; i < edges.length; i++) {
    const at = starts[slotOf[edges[i]] + 1]++
    part[at] = p
    row[at] = i
  }
}
function placeListed(
  edges: readonly number[],
  p: number,
  slotOf: Int32Array,
  starts: Int32Array,
  part: Uint16Array,
  row: Int32Array,
): void {
  for (let i = 0; i < edges.length; i++) {
    const at = starts[slotOf[edges[i]] + 1]++
    part[at] = p
    row[at] = i
  }
}
