import { expect, it } from 'vitest'
import { createPodBook } from './pod-book.ts'

const limit = 20_000
const repeatMs = 5 * 60_000
const end = (n: number) => ({ service: `service-${n % 100}`, pod: `pod-${n}`, properties: [] })

it('tells of 20,000 pods at most, counts how often further ones came up, and takes them once there is room', () => {
  const book = createPodBook()
  book.see(
    Array.from({ length: limit + 7 }, (_, n) => end(n)),
    0,
  )
  expect(book.size).toBe(limit)
  expect(book.turnedAway).toBe(7)
  const told = book.due(0, Number.POSITIVE_INFINITY)
  expect(told).toHaveLength(limit)
  for (const each of told) each.done(0)
  book.see([end(0), end(limit)], repeatMs)
  expect(book.turnedAway).toBe(8)
  // those that nobody saw for 15 minutes make room
  expect(book.due(4 * repeatMs, 10)).toHaveLength(1)
  book.see([end(limit)], 4 * repeatMs)
  expect([book.size, book.turnedAway]).toEqual([2, 8])
})
