import { histogramNames } from './counters.ts'
import { bucketValue } from './latency-bucket.ts'
import {
  bucketsPerHistogram,
  clearHistogram,
  createLatencySums,
  type LatencySums,
} from './latency-entries.ts'
import type { RangeSums } from './range-sums.ts'

export const quantiles = [0.5, 0.9, 0.99, 1] as const
export const figuresPerHistogram = 1 + quantiles.length
export const figuresPerSlot = histogramNames.length * figuresPerHistogram

/**
 * Count and quantiles (nearest rank) of every histogram of the given slots: by slot, then by histogram. A count of 0
 * stands for nothing measured, also where corrections took everything back. Goes through the slots by age, because
 * that is how their rows lie in memory.
 */
export function latencyFigures(sums: RangeSums, slotsByAge: Int32Array, isWanted: Uint8Array): Float64Array {
  const figures = new Float64Array(sums.slots * figuresPerSlot)
  const latencies = createLatencySums()
  for (let i = 0; i < slotsByAge.length; i++) {
    const slot = slotsByAge[i]
    if (isWanted[slot] === 0) continue
    sums.addLatencies(slot, latencies)
    for (let histogram = 0; histogram < histogramNames.length; histogram++) {
      if (latencies.low[histogram] > latencies.high[histogram]) continue
      takeFigures(latencies, histogram, figures, slot * figuresPerSlot + histogram * figuresPerHistogram)
      clearHistogram(latencies, histogram)
    }
  }
  return figures
}

function takeFigures(
  { counts, low, high }: LatencySums,
  histogram: number,
  figures: Float64Array,
  at: number,
): void {
  const last = high[histogram]
  let count = 0
  for (let key = low[histogram]; key <= last; key++) count += counts[key]
  if (count <= 0) return
  figures[at] = count
  let below = 0
  let key = low[histogram] - 1
  for (let q = 0; q < quantiles.length; q++) {
    const rank = Math.ceil(quantiles[q] * count)
    while (below < rank && key < last) below += counts[++key]
    figures[at + 1 + q] = bucketValue(key & (bucketsPerHistogram - 1))
  }
}
