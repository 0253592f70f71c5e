/**
 * Buckets of base-2 exponential histograms of scale 3, as OpenTelemetry defines them: bucket b ≥ 1 holds values in
 * (2^((b - 2) / 8), 2^((b - 1) / 8)], bucket 0 holds zeros. A bucket's value is its geometric middle: off by 4.4 % at
 * most.
 */
export const largestLatency = 0xffffffff
const perOctave = 8
const lastBucket = 32 * perOctave + 1

/** Largest whole number in each bucket. */
const upperBound = Float64Array.from({ length: lastBucket + 1 }, (_, b) =>
  b === 0 ? 0 : Math.floor(2 ** ((b - 1) / perOctave)),
)
const middle = Float64Array.from({ length: lastBucket + 1 }, (_, b) =>
  b === 0 ? 0 : Math.round(2 ** ((b - 1.5) / perOctave)),
)

/** Values are whole numbers; those that don't fit 32 bits count as the largest that does. */
export function bucketOf(value: number): number {
  if (value <= 0) return 0
  if (value >= largestLatency) return lastBucket
  const octave = 31 - Math.clz32(value)
  // 2^octave itself is the upper bound of this bucket; the rest of the octave is in the eight that follow
  let b = octave * perOctave + 1
  if (upperBound[b + 4] < value) b += 4
  if (upperBound[b + 2] < value) b += 2
  if (upperBound[b + 1] < value) b += 1
  return upperBound[b] < value ? b + 1 : b
}

export function bucketValue(bucket: number): number {
  return middle[Math.min(bucket, lastBucket)]
}
