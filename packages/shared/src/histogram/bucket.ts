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
  if (value >>> 0 === value) return wholeSlot(value)
  if (!(value >= 1)) return 0
  return Math.min(bucketIndex(value) + 2, bucketSlots - 1)
}

const stepBits = 7
const stepMask = (1 << stepBits) - 1
// How many thresholds lie below each 128th of an octave: no 128th has two, so that one comparison decides the rest.
const slotsBelow = Uint8Array.from({ length: 1 << stepBits }, (_, step) =>
  step === 0 ? 0 : 1 + thresholds.filter(threshold => threshold < 1 + step / (1 << stepBits)).length,
)
/** The largest whole number in each slot that values below 2^32 have. */
const largestIn = Float64Array.from({ length: 32 * perOctave + 2 }, (_, slot) =>
  slot === 0 ? 0 : Math.floor(2 ** ((slot - 1) / perOctave)),
)

/** The slot of a whole number below 2^32, without arithmetic on doubles. */
function wholeSlot(value: number): number {
  if (value === 0) return 0
  const octave = 31 - Math.clz32(value)
  const step = (octave >= stepBits ? value >>> (octave - stepBits) : value << (stepBits - octave)) & stepMask
  const slot = octave * perOctave + 1 + slotsBelow[step]
  return value > largestIn[slot] ? slot + 1 : slot
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
