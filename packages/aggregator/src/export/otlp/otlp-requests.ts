import { histogramScale, slotBucket } from '@skybraid/shared'
import {
  type Amount,
  type Attributes,
  type Distribution,
  encodeMetricsRequest,
  type Metric,
  type ResourceMetrics,
} from './metrics-request.ts'
import type { SeriesAmounts } from './otlp-book.ts'
import type { OtlpEnd } from './otlp-end.ts'
import { secondsShift } from './series-shape.ts'

export interface OtlpRequest {
  readonly body: Uint8Array<ArrayBuffer>
  readonly points: number
}

export interface RequestSpan {
  readonly startMs: number
  readonly endMs: number
  /** Who sends: several aggregators may tell of the same ends, each what it booked. */
  readonly sender: string
  readonly version: string
}

/** A few hundred bytes each per metric: some hundred KB in all, far below what receivers take. */
const seriesAtOnce = 500

/** As requests of bounded size, those of one end together. */
export function* encodeSeries(told: readonly SeriesAmounts[], span: RequestSpan): Generator<OtlpRequest> {
  const sorted = told.toSorted((a, b) => compare(a.series.local.key, b.series.local.key))
  for (let first = 0; first < sorted.length; first += seriesAtOnce) {
    const byEnd = Map.groupBy(sorted.slice(first, first + seriesAtOnce), ({ series }) => series.local)
    let points = 0
    const resources: ResourceMetrics[] = []
    for (const [end, all] of byEnd) {
      const metrics = metricsOf(all)
      for (const { amounts = [], distributions = [] } of metrics)
        points += amounts.length + distributions.length
      if (metrics.length > 0) resources.push({ resource: resourceOf(end, span), metrics })
    }
    if (points === 0) continue
    const { startMs, endMs, version } = span
    yield { body: encodeMetricsRequest({ scope: 'skybraid', version, startMs, endMs, resources }), points }
  }
}

function resourceOf({ resource }: OtlpEnd, { sender }: RequestSpan): Attributes {
  return [...resource, ['skybraid.aggregator', sender]]
}

type Gathered = Metric & { readonly amounts: Amount[]; readonly distributions: Distribution[] }

function metricsOf(all: readonly SeriesAmounts[]): Metric[] {
  const metrics = new Map<string, Gathered>()
  const metric = (name: string, unit: string) => {
    const found = metrics.get(name) ?? { name, unit, amounts: [], distributions: [] }
    metrics.set(name, found)
    return found
  }
  for (const { series, sums, histograms } of all) {
    for (const [i, { name, unit, attributes }] of series.shape.sums.entries())
      if (name !== undefined && sums[i] > 0)
        metric(name, unit).amounts.push({
          attributes: attributes.length === 0 ? series.attributes : [...series.attributes, ...attributes],
          value: sums[i],
        })
    for (const [i, { name, perSecond, sumAt }] of series.shape.histograms.entries()) {
      if (histograms[i].size === 0) continue
      const sum = sumAt === undefined ? undefined : sums[sumAt] / perSecond
      const distribution = distributionOf(histograms[i], perSecond)
      metric(name ?? series.duration, 's').distributions.push({
        attributes: series.attributes,
        sum,
        ...distribution,
      })
    }
  }
  return [...metrics.values()].map(({ name, unit, amounts, distributions }) =>
    distributions.length > 0 ? { name, unit, distributions } : { name, unit, amounts },
  )
}

/** Slots of `bucketSlot` as buckets of seconds; what is 0 is apart. */
export function distributionOf(
  histogram: ReadonlyMap<number, number>,
  perSecond: number,
): Pick<Distribution, 'count' | 'scale' | 'zeroCount' | 'offset' | 'bucketCounts'> {
  let [low, high, count] = [Number.POSITIVE_INFINITY, 0, 0]
  for (const [slot, samples] of histogram) {
    count += samples
    if (slot === 0) continue
    low = Math.min(low, slot)
    high = Math.max(high, slot)
  }
  const bucketCounts =
    high === 0 ? [] : Array.from({ length: high - low + 1 }, (_, i) => histogram.get(low + i) ?? 0)
  return {
    count,
    scale: histogramScale,
    zeroCount: histogram.get(0) ?? 0,
    offset: high === 0 ? 0 : slotBucket(low) + secondsShift(perSecond),
    bucketCounts,
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
