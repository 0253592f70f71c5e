import { bucketSlot, L7Protocol } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OtlpEnd } from './otlp-end.ts'
import { distributionOf } from './otlp-requests.ts'
import { noAmounts, type SeriesAmounts } from './series-amounts.ts'
import { createSeriesLedger, noneOverstated } from './series-ledger.ts'
import { operationShape, tcpShape } from './series-shape.ts'
import { createSeriesTable, type Series } from './series-table.ts'

const end = (name: string): OtlpEnd => ({
  key: name,
  name,
  namespace: '',
  resource: [['service.name', name]],
})

describe('the table of series', () => {
  it('never knows more than its limit, and gives the same series for the same thing', () => {
    const seen = fc.record({
      local: fc.integer({ max: 40, min: 0 }),
      remote: fc.integer({ max: 40, min: 0 }),
      isServer: fc.boolean(),
      protocol: fc.constantFrom(...Object.values(L7Protocol)),
      name: fc.integer({ max: 60, min: 0 }).map(n => `GET /${n}`),
      status: fc.constantFrom(undefined, 200, 404, 500),
      outcome: fc.constantFrom('ok' as const, 'error' as const, 'unanswered' as const),
    })
    fc.assert(
      fc.property(fc.array(seen, { maxLength: 3_000, minLength: 1_500 }), all => {
        const table = createSeriesTable(400)
        for (const { local, remote, ...operation } of all) {
          const [own, peer] = [end(`a${local}`), end(`b${remote}`)]
          const first = table.operation(own, peer, 80, { ...operation, host: 'shop' })
          expect(table.operation(own, peer, 80, { ...operation, host: 'shop' })).toBe(first)
          table.transport(own, peer, operation.isServer, tcpShape)
        }
        const { series, folded, limit } = table.counts()
        expect(series).toBeLessThanOrEqual(limit)
        expect(folded).toBeGreaterThan(0)
      }),
      { numRuns: 5 },
    )
  })

  it('forgets what was not seen for an hour', () => {
    const table = createSeriesTable(1_000)
    table.forget(1_000)
    table.transport(end('a'), end('b'), false, tcpShape)
    table.forget(3_601_000)
    expect(table.counts().series).toBe(1)
    table.forget(3_601_001)
    expect(table.counts().series).toBe(0)
  })
})

describe('what is taken back', () => {
  const series: Series = {
    local: { resource: new Uint8Array() },
    attributes: new Uint8Array(),
    shape: operationShape,
    duration: 'http.client.request.duration',
  }
  const amountsOf = (count: number, samples: readonly number[]): SeriesAmounts => {
    const amounts = noAmounts(series)
    amounts.sums[0] = count
    for (const [slot, of] of samples.entries()) amounts.histograms[0].set(slot, of)
    return amounts
  }

  it('is told as less of what follows: no amount is negative, and what was told is all there is', () => {
    const step = fc.tuple(
      fc.integer({ min: -20, max: 40 }),
      fc.array(fc.integer({ min: -5, max: 9 }), { maxLength: 4 }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), steps => {
        const ledger = createSeriesLedger(noneOverstated())
        const told = { count: 0, samples: [0, 0, 0, 0] }
        const take = (amounts: SeriesAmounts) => {
          for (const { sums, histograms } of ledger.settle([amounts], 0)) {
            expect(Math.min(...sums, ...histograms[0].values())).toBeGreaterThanOrEqual(0)
            told.count += sums[0]
            for (const [slot, samples] of histograms[0]) told.samples[slot]! += samples
          }
        }
        for (const [count, samples] of steps) take(amountsOf(count, samples))
        // more than everything that can be owed
        take(amountsOf(1_000, [1_000, 1_000, 1_000, 1_000]))
        expect(told.count).toBe(steps.reduce((sum, [count]) => sum + count, 1_000))
        for (let slot = 0; slot < 4; slot++)
          expect(told.samples[slot]).toBe(
            steps.reduce((sum, [, samples]) => sum + (samples[slot] ?? 0), 1_000),
          )
      }),
    )
  })

  it('is counted once nothing more can come', () => {
    const overstated = noneOverstated()
    const ledger = createSeriesLedger(overstated)
    ledger.settle([amountsOf(-7, [])], 1_000)
    ledger.settle([], 1_201_000)
    expect([overstated, ledger.owed()]).toEqual([noneOverstated(), { requests: 7, connections: 0 }])
    ledger.settle([], 1_201_001)
    expect([overstated, ledger.owed()]).toEqual([{ requests: 7, connections: 0 }, noneOverstated()])
  })
})

describe('buckets of seconds', () => {
  it('are off by half a bucket at most, whatever unit was counted in', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), fc.constantFrom(1e6, 1e3), (value, perSecond) => {
        const { offset, bucketCounts, count, zeroCount, scale } = distributionOf(
          new Map([[bucketSlot(value), 3]]),
          perSecond,
        )
        expect({ bucketCounts, count, zeroCount, scale }).toEqual({
          bucketCounts: [3],
          count: 3,
          zeroCount: 0,
          scale: 3,
        })
        const seconds = value / perSecond
        expect(2 ** ((offset - 0.5) / 8)).toBeLessThanOrEqual(seconds)
        expect(2 ** ((offset + 1.5) / 8)).toBeGreaterThanOrEqual(seconds)
      }),
    )
  })

  it('keep zeros apart', () => {
    expect(distributionOf(new Map([[0, 4]]), 1e6)).toEqual({
      count: 4,
      scale: 3,
      zeroCount: 4,
      offset: 0,
      bucketCounts: [],
    })
  })
})
