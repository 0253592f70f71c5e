import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { firstConnectDelays, reconnectDelays } from './reconnect-delay.ts'

/** When each client connects, in milliseconds after its server is back, if that was away for `awayMs`. */
function comeBack(clients: number, periodMs: number, awayMs: number, seed: number): number[] {
  const random = randomFrom(seed)
  return Array.from({ length: clients }, () => {
    const delays = reconnectDelays(periodMs, random)
    let at = 0
    do at += delays.next(1)
    while (at < awayMs)
    return at - awayMs
  })
}

/** Numbers between 0 and 1, evenly spread (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

function mostInASecond(times: readonly number[]): number {
  const perSecond = new Map<number, number>()
  for (const time of times)
    perSecond.set(Math.floor(time / 1000), (perSecond.get(Math.floor(time / 1000)) ?? 0) + 1)
  return Math.max(...perSecond.values())
}

describe('reconnectDelays', () => {
  it.each([1, 100, 3_000, 30_000, 300_000])('spreads 500 clients after %d ms without a server', awayMs => {
    for (let seed = 1; seed <= 20; seed++) {
      const times = comeBack(500, 18_000, awayMs, seed)
      expect(Math.max(...times)).toBeLessThanOrEqual(18_000)
      expect(mostInASecond(times)).toBeLessThanOrEqual(50)
    }
  })

  it('tries every server of a cluster before it waits again', () => {
    const delays = reconnectDelays(1_000, () => 0.25)
    const waits = Array.from({ length: 7 }, () => delays.next(3))
    expect(waits).toEqual([250, 0, 0, 1_000, 0, 0, 1_000])
    delays.reset()
    expect(delays.next(3)).toBe(250)
  })
})

describe('firstConnectDelays', () => {
  it('begins short and never waits longer than the period', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60_000 }), fc.nat(), (periodMs, seed) => {
        const delays = firstConnectDelays(periodMs, randomFrom(seed))
        const waits = Array.from({ length: 20 }, () => delays.next())
        expect(waits[0]).toBeLessThanOrEqual(Math.min(1_000, periodMs))
        expect(Math.max(...waits)).toBe(periodMs)
      }),
    )
  })
})
