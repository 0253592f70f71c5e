import { bucketSlot } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bucketOf, largestLatency } from './latency-bucket.ts'

describe('bucketOf', () => {
  it('puts every whole number where the histograms of the records put it', () => {
    for (let value = 0; value < 70_000; value++) expect(bucketOf(value)).toBe(bucketSlot(value))
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: largestLatency - 1 }),
        value => bucketOf(value) === bucketSlot(value),
      ),
    )
  })
})
