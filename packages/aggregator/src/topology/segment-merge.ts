import { addCounters } from './closed-sums.ts'
import { counterCount } from './counters.ts'
import { addEntries, type LatencySums } from './latency-entries.ts'
import { lossPlaceCount } from './open-minute.ts'
import { SaidRows } from './said-rows.ts'
import { addSaid, packSaid } from './said-segment.ts'
import { addedGauges, createSegmentPacker, lastGauges, type Segment, type SegmentHead } from './segment.ts'

/** Adding a row's counters takes about a quarter of the time that packing it takes. */
const addingShare = 4

/**
 * One segment that holds the sum of several, made in steps: each one yields how many rows' worth of work it was, at
 * most `rowsPerStep` but for a part's counters, which are added in one go.
 */
export function* mergeSegments(
  head: SegmentHead,
  parts: readonly Segment[],
  edgeLimit: number,
  rowsPerStep: number,
): Generator<number, Segment> {
  const rowOf = new Int32Array(edgeLimit)
  const edges = unionOfEdges(parts, rowOf)
  const counters = new Float64Array(edges.length * counterCount)
  const losses = new Float64Array(lossPlaceCount)
  for (const part of parts) {
    addCounters(counters, part, rowOf, 1)
    for (let place = 0; place < lossPlaceCount; place++) losses[place] += part.losses[place]
    yield part.edges.length / addingShare
  }
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
  const rows = { edges, counters, at: (row: number) => row * counterCount, addLatencies }
  const packer = createSegmentPacker(head, rows, addedGauges(lastGauges(parts)), losses)
  while (packer.step(rowsPerStep)) yield rowsPerStep
  const said = yield* mergeSaid(parts, rowsPerStep)
  return { ...(yield* packer.finish()), ...(said && { said }) }
}

function* mergeSaid(parts: readonly Segment[], rowsPerStep: number) {
  const sums = new SaidRows()
  for (const { said } of parts) {
    if (said === undefined) continue
    for (let from = 0; from < said.edges.length; from += rowsPerStep) {
      addSaid(sums, said, 1, from, Math.min(said.edges.length, from + rowsPerStep))
      yield rowsPerStep
    }
  }
  return yield* packSaid(sums)
}

/** Edges of all parts, rising; `rowOf` is all zero and says then where each one is. */
function unionOfEdges(parts: readonly Segment[], rowOf: Int32Array): Uint32Array {
  let count = 0
  for (const { edges } of parts)
    for (let i = 0; i < edges.length; i++) {
      if (rowOf[edges[i]] === 0) count++
      rowOf[edges[i]] = 1
    }
  const union = new Uint32Array(count)
  let row = 0
  for (let edge = 0; edge < rowOf.length; edge++) {
    if (rowOf[edge] === 0) continue
    union[row] = edge
    rowOf[edge] = row++
  }
  return union
}
