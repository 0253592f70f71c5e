import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EndName } from './end-name.ts'
import type { MinuteTake } from './export-book.ts'
import { mergeTakes } from './merge-takes.ts'
import { packPairs } from './packed-pairs.testing.ts'
import { unpackPairs } from './packed-pairs.ts'
import { createPairSums, type MinutePairs, roleOffset } from './pair-sums.ts'
import { amountCount, type PodPair, type Role } from './pod-pair.ts'

const minute = 29_500_000
const ends: readonly EndName[] = Array.from({ length: 60 }, (_, i) => ({
  service: `service-${i % 7}`,
  pod: `pod-${i}`,
  properties: [],
}))

interface Addition {
  readonly minute: number
  readonly client: number
  readonly server: number
  readonly role: Role
  readonly amount: number
  readonly value: number
}

const addition: fc.Arbitrary<Addition> = fc.record({
  minute: fc.integer({ min: minute - 2, max: minute + 1 }),
  client: fc.nat(ends.length - 1),
  server: fc.nat(ends.length - 1),
  role: fc.constantFrom<Role>(0, 1),
  amount: fc.nat(amountCount - 1),
  value: fc.nat(2 ** 40),
})

/** Every amount above 0, by what it is of. */
function amountsOf(drained: readonly MinutePairs[]): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { unixMinute, pairs } of drained)
    for (const { role, local, remote, amounts } of unpackPairs(pairs))
      for (const [i, value] of amounts.entries()) {
        const key = `${unixMinute} ${role} ${local.pod} ${remote.pod} ${i}`
        if (value > 0) found[key] = (found[key] ?? 0) + value
      }
  return found
}

function keyOf({ minute, role, client, server, amount }: Addition): string {
  const [local, remote] = role === 0 ? [client, server] : [server, client]
  return `${minute} ${role} ${ends[local]!.pod} ${ends[remote]!.pod} ${amount}`
}

function sumsOf(additions: readonly Addition[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const each of additions) if (each.value > 0) sums[keyOf(each)] = (sums[keyOf(each)] ?? 0) + each.value
  return sums
}

describe('sums of pairs', () => {
  it('are what was added since the last time, interval after interval', () => {
    fc.assert(
      fc.property(fc.array(fc.array(addition, { maxLength: 40 }), { maxLength: 12 }), intervals => {
        const sums = createPairSums(1_000)
        for (const interval of intervals) {
          for (const { minute, client, server, role, amount, value } of interval) {
            const ofMinute = sums.ofMinute(minute)
            const first = ofMinute.placeOf(ends[client]!, ends[server]!)
            ofMinute.amounts[first + roleOffset[role] + amount]! += value
          }
          const drained = sums.drain()
          expect(amountsOf(drained)).toEqual(sumsOf(interval))
          const minutes = drained.map(({ unixMinute }) => unixMinute)
          expect(minutes).toEqual([...minutes].sort())
        }
      }),
    )
  })

  it('take so many pairs at a time, whatever was there before', () => {
    const sums = createPairSums(3)
    for (let round = 0; round < 4; round++) {
      const { placeOf } = sums.ofMinute(minute + round)
      const placed = [0, 1, 2, 3, 4].map(i => placeOf(ends[10 * round + i]!, ends[9]!) >= 0)
      expect(placed).toEqual([true, true, true, false, false])
      expect(placeOf(ends[10 * round]!, ends[9]!)).toBeGreaterThanOrEqual(0)
      expect(sums.drain()).toEqual([])
    }
  })

  it('forget pairs that are not used any more, and go on with right sums', () => {
    const sums = createPairSums(1e6)
    const many = Array.from({ length: 5_000 }, (_, i) => ({ service: 's', pod: `p${i}`, properties: [] }))
    const add = (client: EndName) => {
      const ofMinute = sums.ofMinute(minute)
      const first = ofMinute.placeOf(client, ends[0]!)
      ofMinute.amounts[first]! += 1
      return first
    }
    for (const client of many) add(client)
    expect(sums.drain()[0]!.pairs.count).toBe(many.length)
    const last = many.at(-1)!
    expect(add(last)).toBeGreaterThan(0)
    expect(amountsOf(sums.drain())).toEqual({ [`${minute} 0 p4999 pod-0 0`]: 1 })
    expect(add(last)).toBe(0)
    expect(amountsOf(sums.drain())).toEqual({ [`${minute} 0 p4999 pod-0 0`]: 1 })
  })

  it('of several takes are those of all', () => {
    fc.assert(
      fc.property(fc.array(fc.array(addition, { maxLength: 20 }), { maxLength: 5 }), takes => {
        const take = (additions: readonly Addition[]): MinuteTake[] =>
          [...Map.groupBy(additions, each => each.minute)].map(([unixMinute, all]) => ({
            unixMinute,
            pairs: packPairs(all.map(pairOf)),
            requests: [],
            figures: [],
          }))
        expect(amountsOf(mergeTakes(takes.map(take)))).toEqual(sumsOf(takes.flat()))
      }),
    )
  })
})

function pairOf({ role, client, server, amount, value }: Addition): PodPair {
  const amounts = new Float64Array(amountCount)
  amounts[amount] = value
  const [local, remote] = role === 0 ? [client, server] : [server, client]
  return { role, local: ends[local]!, remote: ends[remote]!, amounts }
}
