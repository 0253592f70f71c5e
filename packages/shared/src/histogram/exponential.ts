import { bucketMiddle, bucketSlot, bucketSlots, bucketUpperBound, histogramScale } from './bucket.ts'

/**
 * A mergeable latency distribution. `counts[slot]` are samples by `bucketSlot`; slot 0 counts zeros. Counts are exact
 * integers and may be negative in corrections, which take samples back.
 */
export interface ExponentialHistogram {
  readonly counts: Float64Array
}

export interface OtlpExponentialHistogram {
  readonly scale: number
  readonly count: number
  readonly zeroCount: number
  readonly positive: { readonly offset: number; readonly bucketCounts: readonly number[] }
}

export function createHistogram(): ExponentialHistogram {
  return { counts: new Float64Array(bucketSlots) }
}

/** Adds `count` samples of a non-negative value; a negative count takes samples back. */
export function recordSample(histogram: ExponentialHistogram, value: number, count = 1): void {
  histogram.counts[bucketSlot(value)] += count
}

/** Adds every count of `from`: merging is addition, so order and grouping do not matter. */
export function mergeHistogram(into: ExponentialHistogram, from: ExponentialHistogram): void {
  const target = into.counts
  const source = from.counts
  for (let slot = 0; slot < bucketSlots; slot++) target[slot] += source[slot]
}

export function sampleCount(histogram: ExponentialHistogram): number {
  let total = 0
  for (const count of histogram.counts) total += count
  return total
}

/**
 * The value below which the share `quantile` (0 to 1) of the samples lies: the middle of that sample's bucket, at
 * most 4.5 % away from the true value. Undefined without samples. Values of 2^53 and more count as the last bucket.
 */
export function percentile(histogram: ExponentialHistogram, quantile: number): number | undefined {
  const total = sampleCount(histogram)
  if (total <= 0) return undefined
  const rank = Math.max(1, Math.ceil(quantile * total))
  let seen = 0
  for (let slot = 0; slot < bucketSlots; slot++) {
    seen += histogram.counts[slot]
    if (seen >= rank) return slotValue(slot)
  }
  return undefined
}

/** The value that stands for a slot's samples: exact for 0 and 1, otherwise the bucket's middle. */
export function slotValue(slot: number): number {
  if (slot < 2) return slot
  return bucketMiddle(slot - 2)
}

/** Upper bound of the highest bucket in use: no sample was larger. Undefined without samples. */
export function largestPossible(histogram: ExponentialHistogram): number | undefined {
  for (let slot = bucketSlots - 1; slot >= 0; slot--) {
    if (histogram.counts[slot] > 0) return slot < 2 ? slot : bucketUpperBound(slot - 2)
  }
  return undefined
}

/** The same distribution in OTLP's form. Counts must not be negative there: merge corrections first. */
export function toOtlp(histogram: ExponentialHistogram): OtlpExponentialHistogram {
  const { counts } = histogram
  let first = 1
  while (first < bucketSlots && counts[first] === 0) first++
  let end = bucketSlots
  while (end > first && counts[end - 1] === 0) end--
  return {
    scale: histogramScale,
    count: sampleCount(histogram),
    zeroCount: counts[0],
    positive: {
      offset: first < end ? first - 2 : 0,
      bucketCounts: Array.from(counts.subarray(first, end)),
    },
  }
}

/** Appends (slot step, zigzag count) pairs as varints: 2 to 4 bytes per slot in use. */
export function encodeSparse(histogram: ExponentialHistogram): Uint8Array<ArrayBuffer> {
  const bytes: number[] = []
  let previous = -1
  histogram.counts.forEach((count, slot) => {
    if (count === 0) return
    pushVarint(bytes, slot - previous)
    pushVarint(bytes, count > 0 ? 2 * count : -2 * count - 1)
    previous = slot
  })
  return Uint8Array.from(bytes)
}

/** Reads `encodeSparse`'s bytes and adds them to `into`. Answers false, and leaves `into` as it was, if malformed. */
export function decodeSparse(bytes: Uint8Array, into: ExponentialHistogram): boolean {
  const added = createHistogram()
  let slot = -1
  let at = 0
  while (at < bytes.length) {
    const step = readVarint(bytes, at)
    if (step === undefined) return false
    const count = readVarint(bytes, step.next)
    if (count === undefined) return false
    slot += step.value
    if (step.value === 0 || slot >= bucketSlots) return false
    added.counts[slot] = count.value % 2 === 0 ? count.value / 2 : -(count.value + 1) / 2
    at = count.next
  }
  mergeHistogram(into, added)
  return true
}

function pushVarint(bytes: number[], value: number): void {
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  bytes.push(rest)
}

function readVarint(bytes: Uint8Array, start: number): { value: number; next: number } | undefined {
  let value = 0
  let scale = 1
  for (let at = start; at < bytes.length && at < start + 8; at++) {
    value += (bytes[at] & 0x7f) * scale
    if (bytes[at] < 0x80) return Number.isSafeInteger(value) ? { value, next: at + 1 } : undefined
    scale *= 128
  }
  return undefined
}
