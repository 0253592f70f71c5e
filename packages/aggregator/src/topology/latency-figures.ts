import type { Fold } from './fold.ts'
import {
  bucketsPerHistogram,
  bucketValue,
  createLatencySums,
  type LatencySums,
  latencyKeys,
} from './latency-entries.ts'
import { figuresPerHistogram, figuresPerSlot, type LatencyPlan } from './latency-plan.ts'
import { createLiveLatencies, type LiveLatencies } from './live-latencies.ts'
import type { RangeSums } from './range-sums.ts'

/**
 * Count and quantiles (nearest rank) of the histograms of all slots marked in `isWanted`: by slot, then by histogram. A
 * count of 0 stands for nothing measured, also where corrections took everything back. Goes through the slots by
 * number, because that is how their rows lie in memory.
 */
export function latencyFigures(
  fold: Fold,
  sums: RangeSums,
  isWanted: Uint8Array,
  plan: LatencyPlan,
  scratch: LatencyScratch,
): Float64Array {
  const live = liveLatencies(fold, sums, plan)
  if (live) return live.figures(sums.parts)
  const perSlot = figuresPerSlot(plan)
  const perHistogram = figuresPerHistogram(plan)
  if (scratch.figures.length < sums.slots * perSlot)
    scratch.figures = new Float64Array(Math.ceil(sums.slots * perSlot * 1.25))
  const { figures, latencies } = scratch
  const reader = sums.latencies(plan.histograms * bucketsPerHistogram)
  for (let slot = 1; slot < sums.slots; slot++) {
    if (isWanted[slot] === 0) continue
    reader.addTo(slot, latencies)
    takeSlot(latencies, plan, perHistogram, figures, slot * perSlot)
  }
  return figures
}

/**
 * Sums are kept from the second time on: a range that is asked for once is not worth it, one that is asked for again
 * and again is.
 */
function liveLatencies(fold: Fold, { kept }: RangeSums, plan: LatencyPlan): LiveLatencies | undefined {
  const live = kept.latencies.get(plan)
  if (live) return live
  kept.latencies.set(plan, kept.latencies.has(plan) ? createLiveLatencies(fold, plan) : undefined)
  return kept.latencies.get(plan)
}

// A function of its own, as everything that has a loop here: loops within a long loop would never be compiled well.
function takeSlot(
  latencies: LatencySums,
  plan: LatencyPlan,
  perHistogram: number,
  figures: Float64Array,
  first: number,
): void {
  for (let histogram = 0; histogram < plan.histograms; histogram++) {
    const at = first + histogram * perHistogram
    figures.fill(0, at, at + perHistogram)
    if (latencies.low[histogram] <= latencies.high[histogram])
      takeFigures(latencies, histogram, plan.quantiles, figures, at)
  }
}

/** Memory that one answer after another uses; fresh memory costs more than filling it. */
export interface LatencyScratch {
  figures: Float64Array
  readonly latencies: LatencySums
}

export function createLatencyScratch(): LatencyScratch {
  return { figures: new Float64Array(0), latencies: createLatencySums() }
}

/** Clears the histogram on the way. */
function takeFigures(
  { counts, low, high, total }: LatencySums,
  histogram: number,
  quantiles: readonly number[],
  figures: Float64Array,
  at: number,
): void {
  const first = low[histogram]
  const last = high[histogram]
  low[histogram] = latencyKeys
  high[histogram] = -1
  const count = total[histogram]
  total[histogram] = 0
  if (count <= 0) {
    counts.fill(0, first, last + 1)
    return
  }
  figures[at] = count
  let below = 0
  let key = first - 1
  for (let q = 0; q < quantiles.length; q++) {
    const rank = Math.ceil(quantiles[q] * count)
    while (below < rank && key < last) {
      below += counts[++key]
      counts[key] = 0
    }
    figures[at + 1 + q] = bucketValue(key & (bucketsPerHistogram - 1))
  }
  // what follows the highest quantile are buckets beyond it, or such that corrections emptied
  while (key < last) counts[++key] = 0
}
