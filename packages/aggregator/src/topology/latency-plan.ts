import { histogramNames } from './counters.ts'

/** Which figures are wanted: of the first `histograms` histograms the count and these quantiles. */
export interface LatencyPlan {
  readonly histograms: number
  readonly quantiles: readonly number[]
}

export const allLatencies: LatencyPlan = {
  histograms: histogramNames.length,
  quantiles: [0.5, 0.9, 0.99, 1],
}
/** Handshakes and round trips, which come first. */
export const mainLatencies: LatencyPlan = { histograms: 4, quantiles: [0.5, 0.99] }

export function figuresPerHistogram(plan: LatencyPlan): number {
  return 1 + plan.quantiles.length
}

export function figuresPerSlot(plan: LatencyPlan): number {
  return plan.histograms * figuresPerHistogram(plan)
}
