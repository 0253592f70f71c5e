import { histogramNames } from './counters.ts'
import { bucketValue } from './latency-bucket.ts'
import { bucketsPerHistogram, createLatencySums, type LatencySums, latencyKeys } from './latency-entries.ts'
import type { RangeSums } from './range-sums.ts'

export const quantiles = [0.5, 0.9, 0.99, 1] as const
export const figuresPerHistogram = 1 + quantiles.length
export const figuresPerSlot = histogramNames.length * figuresPerHistogram

/**
 * Count and quantiles (nearest rank) of every histogram of the given slots: by slot, then by histogram. A count of 0
 * stands for nothing measured, also where corrections took everything back. Goes through the slots by age, because
 * that is how their rows lie in memory.
 */
export function latencyFigures(
  sums: RangeSums,
  slotsByAge: Int32Array,
  isWanted: Uint8Array,
  scratch: LatencyScratch,
): Float64Array {
  const length = sums.slots * figuresPerSlot
  if (scratch.figures.length < length) scratch.figures = new Float64Array(length)
  const { figures, latencies } = scratch
  for (let i = 0; i < slotsByAge.length; i++) {
    const slot = slotsByAge[i]
    if (isWanted[slot] === 0) continue
    sums.addLatencies(slot, latencies)
    for (let histogram = 0; histogram < histogramNames.length; histogram++) {
      const at = slot * figuresPerSlot + histogram * figuresPerHistogram
      figures[at] = 0
      if (latencies.low[histogram] <= latencies.high[histogram])
        takeFigures(latencies, histogram, figures, at)
    }
  }
  return figures
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
  { counts, low, high }: LatencySums,
  histogram: number,
  figures: Float64Array,
  at: number,
): void {
  const first = low[histogram]
  const last = high[histogram]
  low[histogram] = latencyKeys
  high[histogram] = -1
  let count = 0
  for (let key = first; key <= last; key++) count += counts[key]
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
  // what follows the highest quantile are buckets that corrections emptied, or worse
  while (key < last) counts[++key] = 0
}
