import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HttpRequests, requestCount, sampleRequests } from './http-requests.ts'
import { createRequestBudget } from './request-budget.ts'

const end = (service: string) => ({ service, pod: '', properties: [] })

function requests(client: string, latencies: HttpRequests['latencies'], bytes = 0): HttpRequests {
  return {
    role: 1,
    local: end('web.shop'),
    remote: end(client),
    method: 'GET',
    path: '/',
    status: 200,
    version: 1,
    latencies,
    requestHeaderBytes: 0,
    requestBodyBytes: bytes,
    responseHeaderBytes: 0,
    responseBodyBytes: 2 * bytes,
  }
}

const several = fc.array(fc.array(fc.nat({ max: 500 }), { maxLength: 5 }), { minLength: 1, maxLength: 20 })

describe('sampleRequests', () => {
  it('keeps the whole budget, and of every edge and latency its share of it', () => {
    fc.assert(
      fc.property(several, fc.nat({ max: 5_000 }), (edges, budget) => {
        const all = edges.map((counts, i) =>
          requests(
            `client-${i}`,
            counts.map((count, us) => [us, count] as const),
          ),
        )
        const { requests: kept, seen, sent } = sampleRequests(all, budget)
        expect(seen).toBe(edges.flat().reduce((sum, count) => sum + count, 0))
        expect(sent).toBe(Math.min(seen, budget))
        expect(kept.reduce((sum, one) => sum + requestCount(one), 0)).toBe(sent)
        for (const one of all) {
          const own = kept.find(({ remote }) => remote.service === one.remote.service)
          const share = seen <= budget ? 1 : budget / seen
          const got = own === undefined ? 0 : requestCount(own)
          expect(Math.abs(got - requestCount(one) * share)).toBeLessThan(1.000_001)
          for (const [us, count] of one.latencies) {
            const kept = own?.latencies.find(([of]) => of === us)?.[1] ?? 0
            expect(Math.abs(kept - count * share)).toBeLessThan(1.000_001)
          }
        }
      }),
    )
  })

  it('shrinks the bytes of an edge by the same share', () => {
    const all = [requests('a', [[100, 900]], 90_000), requests('b', [[100, 100]], 500_000)]
    const { requests: kept } = sampleRequests(all, 100)
    expect(kept.map(requestCount)).toEqual([90, 10])
    expect(kept.map(one => [one.requestBodyBytes, one.responseBodyBytes])).toEqual([
      [9_000, 18_000],
      [50_000, 100_000],
    ])
  })

  it('leaves something of edges whose share is less than one request', () => {
    const all = Array.from({ length: 1_000 }, (_, i) => requests(`client-${i}`, [[100, 1]]))
    const { requests: kept } = sampleRequests(all, 100)
    const numbers = kept.map(({ remote }) => Number(remote.service.slice('client-'.length)))
    expect(numbers.length).toBe(100)
    expect(numbers.slice(1).every((number, i) => number - numbers[i]! === 10)).toBe(true)
  })
})

describe('the budget of requests', () => {
  it('grows with time up to a minute’s worth and a bit, and is spent', () => {
    const budget = createRequestBudget(100, 0)
    // what came before it began comes at once
    expect(budget.left(0)).toBe(7_500)
    budget.spend(7_500)
    expect(budget.left(1_000)).toBe(100)
    budget.spend(90)
    expect(budget.left(2_000)).toBe(110)
    expect(budget.left(600_000)).toBe(7_500)
  })

  /** How many of the requests of five minutes are sent: some in every interval, some when their minute is closed. */
  function sentOf(perSecond: number, twoSided: number, oneSided: number): number {
    const budget = createRequestBudget(perSecond, 0)
    let sent = 0
    for (let second = 10; second <= 300; second += 10) {
      // a minute is closed some seconds after its end, so that one interval or the next has it
      const isClosing = second % 60 === (second < 130 ? 20 : 10) && second > 60
      const due = [
        requests('a', [[100, twoSided * 10]]),
        requests('b', [[100, isClosing ? oneSided * 60 : 0]]),
      ]
      const sample = sampleRequests(due, budget.left(second * 1000 + 2_000))
      budget.spend(sample.sent)
      sent += sample.sent
    }
    return sent
  }

  it('is enough for what comes at once at the end of a minute, while it is below so many a second', () => {
    expect(sentOf(2_000, 0, 1_000)).toBe(4 * 60_000)
    expect(sentOf(2_000, 800, 1_000)).toBe(300 * 800 + 4 * 60_000)
  })

  it('is kept to all the same', () => {
    const sent = sentOf(2_000, 1_500, 1_500)
    expect(sent).toBeLessThanOrEqual((302 + 75) * 2_000)
    expect(sent).toBeGreaterThan(250 * 2_000)
  })
})
