import type { Series } from './series-table.ts'

/** What a series grew by. Negative where something was taken back. */
export interface SeriesAmounts {
  readonly series: Series
  /** In the order of the shape's sums. */
  readonly sums: Float64Array
  /** Samples by bucket slot, in the order of the shape's histograms. */
  readonly histograms: readonly Map<number, number>[]
}

export function noAmounts(series: Series): SeriesAmounts {
  const { sumCount, histograms } = series.shape
  return {
    series,
    sums: new Float64Array(sumCount),
    histograms: histograms.map(() => new Map<number, number>()),
  }
}

export function addTo(histogram: Map<number, number>, slot: number, count: number): void {
  if (count !== 0) histogram.set(slot, (histogram.get(slot) ?? 0) + count)
}
