import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  bucketsPerHistogram,
  createLatencySums,
  drainSums,
  type EntryList,
  latencyKeys,
} from './latency-entries.ts'
import { createRowLatencies, type RowLatencies } from './row-latencies.ts'

const row = fc.constantFrom(0, 1, 7, 300, 5_000)
// near each other, so that cells fill up, and anywhere
const bucket = fc.oneof(fc.integer({ min: 90, max: 96 }), fc.nat({ max: bucketsPerHistogram - 1 }))
const key = fc
  .tuple(fc.nat({ max: latencyKeys / bucketsPerHistogram - 1 }), bucket)
  .map(([histogram, b]) => histogram * bucketsPerHistogram + b)
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ rows: fc.array(fc.tuple(row, key), { minLength: 1 }), times: fc.nat(90) }),
  },
  { weight: 4, arbitrary: fc.record({ row, key, count: fc.constantFrom(1, -1, 5) }) },
  { weight: 1, arbitrary: fc.record({ clear: row }) },
)

function countsOf(latencies: RowLatencies, ofRow: number, keyLimit?: number): [number, number][] {
  const sums = createLatencySums()
  latencies.addTo(ofRow, sums, keyLimit)
  const found: [number, number][] = []
  const list: EntryList = { add: (...entry) => found.push(entry), length: 0, finish: () => new Uint16Array() }
  drainSums(sums, list)
  return found
}

it('counts every sample of every row, whatever its histogram, bucket and number', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const latencies = createRowLatencies()
      const expected = new Map<number, Map<number, number>>()
      const expect1 = (r: number, k: number, count: number) => {
        const ofRow = expected.get(r) ?? new Map<number, number>()
        expected.set(r, ofRow.set(k, (ofRow.get(k) ?? 0) + count))
      }
      for (const s of steps) {
        if ('clear' in s) {
          latencies.clear(s.clear)
          expected.delete(s.clear)
        } else if ('key' in s) {
          latencies.add(s.row, s.key, s.count)
          expect1(s.row, s.key, s.count)
        } else {
          const rows = Int32Array.from(s.rows, ([r]) => r)
          const keys = Int32Array.from(s.rows, ([, k]) => k)
          for (let time = 0; time < s.times; time++) latencies.addEach(rows, keys, rows.length)
          for (const [r, k] of s.rows) expect1(r, k, s.times)
        }
      }
      for (const r of [0, 1, 7, 300, 5_000]) {
        const wanted = [...(expected.get(r) ?? [])]
          .filter(([, count]) => count !== 0)
          .sort(([a], [b]) => a - b)
        expect(countsOf(latencies, r)).toEqual(wanted)
        const limit = 3 * bucketsPerHistogram
        expect(countsOf(latencies, r, limit)).toEqual(wanted.filter(([k]) => k < limit))
      }
    }),
    { numRuns: 200 },
  )
})
