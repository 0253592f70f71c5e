import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BusMessage } from './bus.ts'
import { createInProcessBus } from './in-process-bus.ts'

const message = (partition: number): BusMessage => ({ node: 'n', partition, data: new Uint8Array(0) })

describe('createInProcessBus', () => {
  it('hands over later, never inside publish', async () => {
    const bus = createInProcessBus()
    const seen: number[] = []
    bus.subscribe(({ partition }) => seen.push(partition))
    const published = bus.publish(message(1))
    expect(seen).toEqual([])
    await published
    expect(seen).toEqual([1])
  })

  it('keeps the order, whatever the sizes of the bursts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(20), { maxLength: 20 }), async bursts => {
        const bus = createInProcessBus({ capacity: 10_000 })
        const seen: number[] = []
        bus.subscribe(({ partition }) => seen.push(partition))
        let next = 0
        for (const size of bursts) {
          for (let index = 0; index < size; index++) void bus.publish(message(next++))
          await new Promise(resolve => setImmediate(resolve))
        }
        await bus.idle()
        expect(seen).toEqual(Array.from({ length: next }, (_, index) => index))
        expect(bus.queued).toBe(0)
      }),
      { numRuns: 30 },
    )
  })

  it('lets other work run between the messages of a burst', async () => {
    const bus = createInProcessBus()
    const events: string[] = []
    bus.subscribe(() => events.push('message'))
    for (let index = 0; index < 20; index++) void bus.publish(message(0))
    setImmediate(() => events.push('other'))
    await bus.idle()
    expect(events.indexOf('other')).toBeLessThan(events.length - 1)
    expect(events.indexOf('other')).toBeGreaterThan(-1)
  })

  it('keeps messages until somebody subscribes, and refuses what goes beyond its capacity', async () => {
    const bus = createInProcessBus({ capacity: 2 })
    const first = bus.publish(message(1))
    const second = bus.publish(message(2))
    await expect(bus.publish(message(3))).rejects.toMatchObject({ code: 'SB_BUS_FULL' })
    expect(bus.queued).toBe(2)
    const seen: number[] = []
    bus.subscribe(({ partition }) => seen.push(partition))
    await Promise.all([first, second])
    expect(seen).toEqual([1, 2])
    await expect(bus.publish(message(4))).resolves.toBeUndefined()
  })

  it('tells the publisher that a subscriber failed, and goes on', async () => {
    const bus = createInProcessBus()
    bus.subscribe(({ partition }) => {
      if (partition === 1) throw new Error('boom')
    })
    const failed = bus.publish(message(1))
    const fine = bus.publish(message(2))
    await expect(failed).rejects.toMatchObject({ code: 'SB_BUS_SUBSCRIBER', cause: { message: 'boom' } })
    await expect(fine).resolves.toBeUndefined()
  })
})
