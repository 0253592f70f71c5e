import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bucketIndex,
  bucketLowerBound,
  bucketSlot,
  bucketSlots,
  bucketUpperBound,
  slotBucket,
} from './bucket.ts'
import {
  createHistogram,
  decodeSparse,
  type ExponentialHistogram,
  encodeSparse,
  largestPossible,
  mergeHistogram,
  percentile,
  recordSample,
  sampleCount,
  toOtlp,
} from './exponential.ts'

const value = fc.oneof(fc.nat(20), fc.maxSafeNat(), fc.integer({ min: 1, max: 5_000_000 }))

function histogramOf(values: readonly number[], count = 1): ExponentialHistogram {
  const histogram = createHistogram()
  for (const one of values) recordSample(histogram, one, count)
  return histogram
}

/** Is 2^(index/8) < value <= 2^((index+1)/8)? Eighth powers of integers are exact as BigInts. */
function isExactlyIn(index: number, integer: number): boolean {
  const eighth = BigInt(integer) ** 8n
  return eighth > 2n ** BigInt(index) && eighth <= 2n ** BigInt(index + 1)
}

describe('bucketIndex', () => {
  it('is exact for integers', () => {
    for (let integer = 2; integer < 70_000; integer++) {
      if (!isExactlyIn(bucketIndex(integer), integer)) throw new Error(`${integer} is in the wrong bucket`)
    }
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 2 ** 53 - 1 }), one => isExactlyIn(bucketIndex(one), one)),
    )
  })

  it('puts a power of two at the upper end of its bucket, as OpenTelemetry wants', () => {
    for (let exponent = -20; exponent <= 53; exponent++)
      expect(bucketIndex(2 ** exponent)).toBe(8 * exponent - 1)
  })

  it('agrees with the bounds for fractions', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), one => {
        const index = bucketIndex(one)
        expect(one).toBeGreaterThanOrEqual(bucketLowerBound(index) * (1 - 1e-12))
        expect(one).toBeLessThanOrEqual(bucketUpperBound(index) * (1 + 1e-12))
      }),
    )
  })
})

describe('bucketSlot', () => {
  it('puts whole numbers where the exact rule for all numbers puts them', () => {
    for (let one = 1; one < 70_000; one++) expect(bucketSlot(one)).toBe(bucketIndex(one) + 2)
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 33 }), one => bucketSlot(one) === bucketIndex(one) + 2),
    )
    for (let octave = 0; octave < 34; octave++)
      for (const one of [2 ** octave - 1, 2 ** octave, 2 ** octave + 1])
        if (one > 0) expect(bucketSlot(one)).toBe(bucketIndex(one) + 2)
  })

  it('has a slot for everything', () => {
    expect([0, -5, 0.5, Number.NaN].map(bucketSlot)).toEqual([0, 0, 0, 0])
    expect(bucketSlot(1)).toBe(1)
    expect(slotBucket(bucketSlot(1_000))).toBe(bucketIndex(1_000))
    expect(bucketSlot(2 ** 53)).toBeLessThan(bucketSlots)
    expect(bucketSlot(Number.POSITIVE_INFINITY)).toBe(bucketSlots - 1)
  })
})

describe('percentile', () => {
  it('is within 4.5 % of the true value', () => {
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, share) => {
          const sorted = [...values].sort((a, b) => a - b)
          const truth = sorted[Math.max(1, Math.ceil(share * values.length)) - 1]
          const answer = percentile(histogramOf(values), share)!
          expect(Math.abs(answer - truth)).toBeLessThanOrEqual(0.045 * truth)
        },
      ),
    )
  })

  it('has no answer without samples', () => {
    expect(percentile(createHistogram(), 0.5)).toBeUndefined()
    expect(largestPossible(createHistogram())).toBeUndefined()
  })

  it('knows a bound that no sample exceeds', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 50 }), values => {
        const largest = Math.max(...values)
        const bound = largestPossible(histogramOf(values))!
        expect(bound).toBeGreaterThanOrEqual(largest * (1 - 1e-12))
        expect(bound).toBeLessThanOrEqual(largest * 1.0906)
      }),
    )
  })
})

describe('merging', () => {
  it('is addition: order and grouping do not matter, and a correction takes samples back', () => {
    fc.assert(
      fc.property(fc.array(value), fc.array(value), fc.array(value), (first, second, wrong) => {
        const merged = histogramOf([...first, ...wrong])
        mergeHistogram(merged, histogramOf(second))
        mergeHistogram(merged, histogramOf(wrong, -1))
        expect(merged).toEqual(histogramOf([...second, ...first]))
      }),
    )
  })
})

describe('encodeSparse and decodeSparse', () => {
  const counts = fc.array(fc.tuple(fc.nat(bucketSlots - 1), fc.integer({ min: -1e6, max: 1e12 })), {
    maxLength: 30,
  })

  it('give back every histogram, negative counts included', () => {
    fc.assert(
      fc.property(counts, pairs => {
        const histogram = createHistogram()
        for (const [slot, count] of pairs) histogram.counts[slot] += count
        const again = createHistogram()
        expect(decodeSparse(encodeSparse(histogram), again)).toBe(true)
        expect(again).toEqual(histogram)
      }),
    )
  })

  it('refuse malformed bytes and change nothing then', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
        const into = histogramOf([5])
        if (!decodeSparse(bytes, into)) expect(into).toEqual(histogramOf([5]))
      }),
    )
    for (const bytes of [[1], [0, 2], [0x80], [0xff, 0xff, 1, 2], [1, 2, 1]]) {
      expect(decodeSparse(Uint8Array.from(bytes), createHistogram())).toBe(false)
    }
  })
})

describe('toOtlp', () => {
  it('keeps every sample in the bucket OpenTelemetry would put it', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 60 }), values => {
        const otlp = toOtlp(histogramOf(values))
        expect(otlp.scale).toBe(3)
        expect(otlp.count).toBe(values.length)
        expect(otlp.zeroCount).toBe(values.filter(one => one === 0).length)
        const expected = new Map<number, number>()
        for (const one of values)
          if (one > 0) expected.set(bucketIndex(one), (expected.get(bucketIndex(one)) ?? 0) + 1)
        const { offset, bucketCounts } = otlp.positive
        const found = bucketCounts
          .map((count, index) => [offset + index, count] as const)
          .filter(([, count]) => count > 0)
        expect(new Map(found)).toEqual(new Map([...expected].sort(([a], [b]) => a - b)))
        expect(sampleCount(histogramOf(values))).toBe(values.length)
      }),
    )
  })
})
