/**
 * Buckets of a base-2 exponential histogram of scale 3, those of OpenTelemetry: bucket `i` holds values in
 * (2^(i/8), 2^((i+1)/8)], so neighbours differ by 9 % and a bucket's middle is within 4.5 % of each of its values.
 */
export const histogramScale = 3
const perOctave = 1 << histogramScale

// The largest double that is not above 2^(j/8), for j from 1 to 7. Those roots are irrational, so comparing with the
// double below them is exact for every value, while Math.log2 puts some values into the wrong bucket.
const thresholds = Float64Array.from({ length: perOctave - 1 }, (_, j) => floorOfRoot(j + 1))

const words = new Uint32Array(2)
const double = new Float64Array(words.buffer)

/** Bucket of a positive number that is not smaller than 2^-1022. Exact. */
export function bucketIndex(value: number): number {
  double[0] = value
  const exponent = ((words[1] >>> 20) & 0x7ff) - 1_023
  if (words[0] === 0 && (words[1] & 0xf_ffff) === 0) return exponent * perOctave - 1
  words[1] = (words[1] & 0xf_ffff) | 0x3ff0_0000
  const mantissa = double[0]
  let part = mantissa > thresholds[3] ? 4 : 0
  if (mantissa > thresholds[part + 1]) part += 2
  if (mantissa > thresholds[part]) part += 1
  return exponent * perOctave + part
}

/** The value that bucket `index` begins above. */
export function bucketLowerBound(index: number): number {
  return 2 ** (index / perOctave)
}

/** The largest value of bucket `index`. */
export function bucketUpperBound(index: number): number {
  return 2 ** ((index + 1) / perOctave)
}

/** The geometric middle of bucket `index`: within 4.5 % of every value in it. */
export function bucketMiddle(index: number): number {
  return 2 ** ((index + 0.5) / perOctave)
}

/**
 * Buckets as small numbers for tables: slot 0 is zero (and anything below 1), slot `n` is bucket `n - 2`, so that the
 * value 1 has slot 1. Integers up to 2^53 fit into the 512 slots; larger values share the last one.
 */
export const bucketSlots = 512

export function bucketSlot(value: number): number {
  if (!(value >= 1)) return 0
  return Math.min(bucketIndex(value) + 2, bucketSlots - 1)
}

/** Bucket of a slot other than 0. */
export function slotBucket(slot: number): number {
  return slot - 2
}

/** floor(2^(52 + j/8)) / 2^52 by bisection over integers. */
function floorOfRoot(j: number): number {
  const target = 1n << BigInt(52 * perOctave + j)
  let low = 1n << 52n
  let high = 1n << 53n
  while (high - low > 1n) {
    const middle = (low + high) >> 1n
    if (middle ** BigInt(perOctave) <= target) low = middle
    else high = middle
  }
  return Number(low) / 2 ** 52
}
