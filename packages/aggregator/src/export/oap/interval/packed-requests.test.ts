import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type HttpRequests, httpMethods } from './http-requests.ts'
import { createIntervalQueue } from './interval-queue.ts'
import { noPairs } from './packed-pairs.ts'
import { packRequests, unpackRequests } from './packed-requests.ts'

const end = (service: string) => ({ service, pod: 'pod-0', properties: [] })
const ends = ['web', 'api', 'db'].map(end)
const amount = fc.oneof(fc.maxSafeNat(), fc.nat(300), fc.double(), fc.integer())

const requests: fc.Arbitrary<HttpRequests> = fc.record({
  role: fc.constantFrom(0, 1),
  local: fc.constantFrom(...ends),
  remote: fc.constantFrom(...ends),
  method: fc.constantFrom(...Object.keys(httpMethods), 'PURGE'),
  path: fc.string(),
  status: fc.oneof(fc.integer({ min: 100, max: 599 }), fc.integer()),
  version: fc.constantFrom(1, 2),
  latencies: fc.array(fc.tuple(amount, amount), { maxLength: 4 }),
  requestHeaderBytes: amount,
  requestBodyBytes: amount,
  responseHeaderBytes: amount,
  responseBodyBytes: amount,
})

it('are the same afterwards, those with impossible numbers behind the others', () => {
  fc.assert(
    fc.property(fc.array(requests), all => {
      const packed = packRequests(all)
      const isOdd = (one: HttpRequests) => packed.odd.includes(one)
      expect(unpackRequests(packed)).toEqual([...all.filter(one => !isOdd(one)), ...packed.odd])
      expect(packed.count + packed.odd.length).toBe(all.length)
    }),
  )
})

it('of 15 minutes wait for an OAP that is away, as many as the budget allows, all different', () => {
  const queue = createIntervalQueue({ maxAgeMs: 15 * 60_000, maxBytes: 128 * 1024 * 1024 })
  const many = Array.from({ length: 200 }, (_, i) => end(`service-${i}`))
  const http = Array.from({ length: 20_000 }, (_, i): HttpRequests => {
    const bytes = {
      requestHeaderBytes: 0,
      requestBodyBytes: 300,
      responseHeaderBytes: 0,
      responseBodyBytes: 9_000,
    }
    const [local, remote] = [many[i % 200]!, many[(i + 1) % 200]!]
    const operation = { method: 'GET', path: `/items/${i}`, status: 200, version: 1 } as const
    return { role: 1, local, remote, ...operation, ...bytes, latencies: [[15_000, 1]] }
  })
  for (let i = 0; i < 90; i++) queue.push({ unixMinute: 1, takenMs: i * 10_000, pairs: noPairs, http })
  expect(queue.counts()).toMatchObject({ intervals: 90, droppedIntervals: 0 })
  // beside which the pairs of 20,000 edges must find room
  expect(queue.counts().bytes).toBeLessThan(70 * 1024 * 1024)
  expect(queue.shift(0)!.http).toEqual(http)
})
