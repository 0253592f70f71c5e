import { histogramScale, slotBucket } from '@skybraid/shared'
import { AttributeField, attributeBytes } from './attribute-bytes.ts'
import {
  createMetricsWriter,
  type Distribution,
  type MetricsRequest,
  type MetricsWriter,
} from './metrics-writer.ts'
import type { SeriesAmounts } from './series-amounts.ts'
import { type HistogramShape, secondsShift } from './series-shape.ts'

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
export function* encodeSeries(told: readonly SeriesAmounts[], span: RequestSpan): Generator<MetricsRequest> {
  const writer = createMetricsWriter({ scope: 'skybraid', ...span })
  const sender = attributeBytes(AttributeField.other, [['skybraid.aggregator', span.sender]])
  let room = seriesAtOnce
  for (const [local, all] of Map.groupBy(told, ({ series }) => series.local)) {
    const resource = Buffer.concat([local.resource, sender])
    for (let first = 0; first < all.length; ) {
      const part = all.slice(first, first + room)
      first += part.length
      room -= part.length
      writer.resource(resource, () => writeSeries(writer, part))
      if (room > 0) continue
      yield* finished(writer)
      room = seriesAtOnce
    }
  }
  yield* finished(writer)
}

function* finished(writer: MetricsWriter): Generator<MetricsRequest> {
  const request = writer.finish()
  if (request.points > 0) yield request
}

function writeSeries(writer: MetricsWriter, all: readonly SeriesAmounts[]): void {
  for (const [{ metrics, histograms }, same] of Map.groupBy(all, ({ series }) => series.shape)) {
    for (const { name, unit, parts } of metrics)
      writer.sum(name, unit, () => {
        for (const { at, attributes } of parts)
          for (const { series, sums } of same)
            if (sums[at] > 0) writer.amount(sums[at], series.attributes, attributes)
      })
    for (const [i, shape] of histograms.entries()) writeHistograms(writer, i, shape, same)
  }
}

function writeHistograms(
  writer: MetricsWriter,
  which: number,
  { name, perSecond, sumAt }: HistogramShape,
  all: readonly SeriesAmounts[],
): void {
  const filled = all.filter(({ histograms }) => histograms[which].size > 0)
  const byName = Map.groupBy(filled, ({ series }) => name ?? series.duration)
  for (const [metric, same] of byName)
    writer.histogram(metric, 's', () => {
      for (const { series, sums, histograms } of same) {
        const sum = sumAt === undefined ? undefined : sums[sumAt] / perSecond
        writer.distribution(distributionOf(histograms[which], perSecond), sum, series.attributes)
      }
    })
}

/** Slots of `bucketSlot` as buckets of seconds; what is 0 is apart. */
export function distributionOf(histogram: ReadonlyMap<number, number>, perSecond: number): Distribution {
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
