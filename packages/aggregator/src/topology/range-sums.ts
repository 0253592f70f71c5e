import { type ClosedSums, sumClosed } from './closed-sums.ts'
import { counterCount, counterNames } from './counters.ts'
import { createLatencyReader, type LatencyReader, type RowListScratch } from './latency-reader.ts'
import type { OpenMinute } from './open-minute.ts'
import { lossPlaceCount } from './open-minute.ts'
import { rowStride } from './row-pool.ts'
import { type SaidSums, sumSaid } from './said-sums.ts'
import type { OpenGauges, Segment } from './segment.ts'

/** Everything a range of minutes holds, summed by slot of a fold. */
export interface RangeSums {
  readonly slots: number
  /** All counters of a slot together: `counters[slot * counterCount + counter]`. */
  readonly counters: Float64Array
  /** By slot: a bit for each end that was seen, 0 for slots without anything. */
  readonly seen: Uint8Array
  readonly openClient: Int32Array
  readonly openServer: Int32Array
  readonly openJoined: Int32Array
  readonly losses: Float64Array
  /** What was said; undefined where nothing was. */
  readonly said: SaidSums | undefined
  /** Reads latencies whose keys are below `keyLimit`. */
  latencies(keyLimit: number): LatencyReader
  /** What is kept of such a range, and what the range is made of. */
  readonly kept: ClosedSums
  readonly parts: RangeParts
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
  /** Minutes that can still be written, and closed ones that are not packed yet. */
  readonly open: readonly OpenMinute[]
  /** Counters of the open minutes' rows. */
  readonly pool: Float64Array
}

/** Memory that one answer after another uses; fresh memory costs more than filling it. */
export interface SumsScratch {
  counters: Float64Array
  seen: Uint8Array
  gauges: Int32Array
  readonly rows: RowListScratch
}

export function createSumsScratch(): SumsScratch {
  return {
    counters: new Float64Array(0),
    seen: new Uint8Array(0),
    gauges: new Int32Array(0),
    rows: { part: new Uint16Array(0), row: new Int32Array(0) },
  }
}

/**
 * `slotOf[edge]` is 0 for edges that don't count. What is closed comes from `closed`, which is brought up to date. The
 * sums hold until the scratch is used again.
 */
export function sumRange(
  parts: RangeParts,
  slotOf: Int32Array,
  slots: number,
  closed: ClosedSums,
  scratch: SumsScratch,
): RangeSums {
  const cells = slots * counterCount
  if (scratch.counters.length < cells) {
    scratch.counters = new Float64Array(cells * 2)
    scratch.seen = new Uint8Array(slots * 2)
    scratch.gauges = new Int32Array(slots * 6)
  }
  const { counters, seen } = scratch
  sumClosed(closed, parts.segments, slotOf, slots)
  counters.set(closed.counters.subarray(0, cells))
  const losses = new Float64Array(lossPlaceCount)
  for (const segment of parts.segments)
    for (let p = 0; p < lossPlaceCount; p++) losses[p] += segment.losses[p]
  for (const open of parts.open) {
    addOpenMinute(open, parts.pool, slotOf, counters)
    for (let p = 0; p < lossPlaceCount; p++) losses[p] += open.losses[p]
  }
  lookWhoSaw(counters, seen, slots)
  scratch.gauges.fill(0, 0, slots * 3)
  return {
    slots,
    counters,
    seen,
    openClient: scratch.gauges.subarray(0, slots),
    openServer: scratch.gauges.subarray(slots, slots * 2),
    openJoined: scratch.gauges.subarray(slots * 2, slots * 3),
    losses,
    said: sumSaid(parts.segments, parts.open, slotOf, slots, closed.said),
    latencies: keyLimit => createLatencyReader(parts, slotOf, slots, keyLimit, scratch.rows),
    kept: closed,
    parts,
  }
}

function addOpenMinute(
  { edges, rows }: OpenMinute,
  pool: Float64Array,
  slotOf: Int32Array,
  counters: Float64Array,
): void {
  for (let i = 0; i < edges.length; i++)
    addRow(counters, slotOf[edges[i]] * counterCount, pool, rows[i] * rowStride)
}

function addRow(counters: Float64Array, to: number, pool: Float64Array, from: number): void {
  for (let counter = 0; counter < counterCount; counter++) counters[to + counter] += pool[from + counter]
}

/** Which ends each slot was seen by: an amount that corrections took back entirely was not. */
function lookWhoSaw(counters: Float64Array, seen: Uint8Array, slots: number): void {
  seen[0] = 0
  for (let slot = 1; slot < slots; slot++) seen[slot] = seenIn(counters, slot * counterCount)
}

/** Bits for the ends that a row of counters was seen by. */
export function seenIn(counters: Float64Array, at: number): number {
  let bits = 0
  for (let counter = 0; counter < counterCount; counter++)
    if (counters[at + counter] !== 0) bits |= seenByCounter[counter]
  return bits
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
