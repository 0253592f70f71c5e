import { describe, expect, it } from 'vitest'
import { createMessageQueue } from './message-queue.ts'
import type { TapMessage } from './tap-message.ts'

const message = (size: number): TapMessage => ({ payload: new Uint8Array(size) })

describe('createMessageQueue', () => {
  it('hands on in order, waits for the next, and ends when closed and empty', async () => {
    const queue = createMessageQueue(1e6, () => undefined)
    const [a, b] = [message(1), message(2)]
    const early = queue.next()
    queue.add(a)
    queue.add(b)
    queue.close()
    queue.add(message(3))
    expect([await early, await queue.next(), await queue.next()]).toEqual([a, b, undefined])
  })

  it('lets go the oldest over its limit, each told once, and never the newest', async () => {
    const dropped: TapMessage[] = []
    const queue = createMessageQueue(20_000, old => dropped.push(old))
    const all = Array.from({ length: 5_000 }, () => message(500))
    for (const one of all) queue.add(one)
    queue.add(message(50_000))
    queue.close()
    expect(dropped).toEqual(all)
    expect((await queue.next())?.payload.length).toBe(50_000)
    expect(await queue.next()).toBeUndefined()
  })

  it('holds no more than its limit while it is read and filled by turns', async () => {
    let dropped = 0
    const queue = createMessageQueue(100 * (512 + 88), () => dropped++)
    for (let round = 0; round < 3_000; round++) {
      queue.add(message(88))
      queue.add(message(88))
      await queue.next()
    }
    expect(dropped).toBe(6_000 - 3_000 - 99)
  })
})
