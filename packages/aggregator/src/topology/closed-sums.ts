import { LRUCache } from 'lru-cache'
import { counterCount } from './counters.ts'
import type { Fold } from './fold.ts'
import type { LatencyPlan } from './latency-plan.ts'
import type { LiveLatencies } from './live-latencies.ts'
import { createKeptSaid, type KeptSaid } from './said-sums.ts'
import type { Segment } from './segment.ts'

/**
 * Counters of closed segments summed by slot of one fold, kept from one answer to the next. Segments never change, so
 * which ones are in the sums says all there is to say: those that left the range are taken out, those that came are
 * added, exactly, because all amounts are whole numbers.
 */
export interface ClosedSums {
  counters: Float64Array
  readonly segments: Set<Segment>
  /** Latencies of the same range by plan, once they are asked for a second time. */
  readonly latencies: Map<LatencyPlan, LiveLatencies | undefined>
  readonly said: KeptSaid
}

export function createClosedSums(): ClosedSums {
  return {
    counters: new Float64Array(0),
    segments: new Set(),
    latencies: new Map(),
    said: createKeptSaid(),
  }
}

const mostCells = 16 * 1024 * 1024
const mostKept = 8

/** Closed sums by fold and length of range, so that a range that moves on takes over what stays in it. */
export interface ClosedSumsCache {
  get(fold: Fold, minutes: number): ClosedSums
  clear(): void
}

export function createClosedSumsCache(): ClosedSumsCache {
  const kept = new Map<Fold, Map<number, ClosedSums>>()
  const recent = new LRUCache<ClosedSums, { readonly fold: Fold; readonly minutes: number }>({
    max: mostKept,
    dispose: ({ fold, minutes }) => {
      const ofFold = kept.get(fold)
      ofFold?.delete(minutes)
      if (ofFold?.size === 0) kept.delete(fold)
    },
  })

  function shrink(): void {
    let cells = 0
    for (const sums of recent.keys()) {
      cells += sums.counters.length
      // the newest comes first, and stays whatever its size
      if (cells > mostCells && cells > sums.counters.length) recent.delete(sums)
    }
  }

  return {
    get(fold, minutes) {
      let sums = kept.get(fold)?.get(minutes)
      if (!sums) {
        sums = createClosedSums()
        const ofFold = kept.get(fold) ?? new Map<number, ClosedSums>()
        kept.set(fold, ofFold.set(minutes, sums))
      }
      recent.set(sums, { fold, minutes }, { noDisposeOnSet: true })
      shrink()
      return sums
    },
    clear: () => recent.clear(),
  }
}

/** Makes the sums those of exactly these segments. Slots may have been added since, but never changed. */
export function sumClosed(
  sums: ClosedSums,
  segments: readonly Segment[],
  slotOf: Int32Array,
  slots: number,
): void {
  const cells = slots * counterCount
  if (sums.counters.length < cells) {
    const larger = new Float64Array(Math.ceil(cells * 1.25))
    larger.set(sums.counters)
    sums.counters = larger
  }
  const wanted = new Set(segments)
  const gone = [...sums.segments].filter(s => !wanted.has(s))
  const come = segments.filter(s => !sums.segments.has(s))
  if (gone.length > 0 && gone.length + come.length >= segments.length) {
    sums.counters.fill(0)
    sums.segments.clear()
    for (const segment of segments) addSegment(sums, segment, slotOf, 1)
    return
  }
  for (const segment of gone) addSegment(sums, segment, slotOf, -1)
  for (const segment of come) addSegment(sums, segment, slotOf, 1)
}

const rowsAtATime = 512

function addSegment(sums: ClosedSums, segment: Segment, slotOf: Int32Array, sign: 1 | -1): void {
  addCounters(sums.counters, segment, slotOf, sign)
  if (sign > 0) sums.segments.add(segment)
  else sums.segments.delete(segment)
}

/**
 * Adds all counters of a segment to rows of counters, `placeOf[edge]` says to which. A stretch of rows at a time, so that
 * what one column after another adds to stays in the processor's cache.
 */
export function addCounters(
  counters: Float64Array,
  segment: Segment,
  placeOf: Int32Array,
  sign: 1 | -1,
): void {
  const { edges } = segment
  const places = new Int32Array(edges.length)
  for (let i = 0; i < edges.length; i++) places[i] = placeOf[edges[i]] * counterCount
  for (let from = 0; from < edges.length; from += rowsAtATime) {
    const to = Math.min(from + rowsAtATime, edges.length)
    for (const { counter, cells } of segment.columns) {
      if (cells instanceof Uint8Array) addCells8(counters, counter, places, cells, from, to, sign)
      else if (cells instanceof Uint16Array) addCells16(counters, counter, places, cells, from, to, sign)
      else if (cells) addCells32(counters, counter, places, cells, from, to, sign)
    }
  }
  for (const { counter, wideRows, wideValues } of segment.columns)
    for (let i = 0; i < wideRows.length; i++) counters[places[wideRows[i]] + counter] += sign * wideValues[i]
}

// three equal loops, because one that sees three kinds of arrays is several times slower
function addCells8(
  counters: Float64Array,
  counter: number,
  places: Int32Array,
  cells: Uint8Array,
  from: number,
  to: number,
  sign: number,
): void {
  for (let i = from; i < to; i++) counters[places[i] + counter] += sign * cells[i]
}
function addCells16(
  counters: Float64Array,
  counter: number,
  places: Int32Array,
  cells: Uint16Array,
  from: number,
  to: number,
  sign: number,
): void {
  for (let i = from; i < to; i++) counters[places[i] + counter] += sign * cells[i]
}
function addCells32(
  counters: Float64Array,
  counter: number,
  places: Int32Array,
  cells: Uint32Array,
  from: number,
  to: number,
  sign: number,
): void {
  for (let i = from; i < to; i++) counters[places[i] + counter] += sign * cells[i]
}
