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

it('tells of every one in turn, however many are due again before it is its turn', () => {
  const book = createPodBook()
  const all = Array.from({ length: limit }, (_, n) => end(n))
  const told = new Set<string>()
  for (let nowMs = 0; told.size < limit && nowMs < 10 * 60_000; nowMs += 10_000) {
    book.see(all, nowMs)
    for (const { keepAlive, done } of book.due(nowMs, 500)) {
      told.add(Buffer.from(keepAlive).toString('latin1'))
      done(nowMs)
    }
  }
  expect(told.size).toBe(limit)
})

it('tells what is known of a pod by now', () => {
  const book = createPodBook()
  const onNode = (node: string) => ({ service: 'db', pod: 'db-0', properties: [['node', node]] as const })
  book.see([onNode('node-a')], 0)
  book.see([onNode('node-b')], 10_000)
  const [told] = book.due(10_000, 10)
  expect(Buffer.from(told!.properties!).toString('latin1')).toContain('node-b')
})
