import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LossBooking } from './loss-booking.ts'
import type { IngestStatus, NodeStatus } from './topology/answer.ts'

const startMinute = 29_400_000

function status(here: Record<string, number>, nodes: [string, string, Record<string, number>][] = []) {
  return {
    identity: { received: 0, applied: 0, duplicates: 0, lost: here, holds: true },
    nodes: nodes.map(
      ([node, bootId, lost]) => ({ node, bootId, identity: { records: { lost } } }) as unknown as NodeStatus,
    ),
  } satisfies Pick<IngestStatus, 'nodes' | 'identity'>
}

function setUp() {
  const minutes = new Map<number, number>()
  const booking = new LossBooking((_place, minute, records) => {
    minutes.set(minute - startMinute, (minutes.get(minute - startMinute) ?? 0) + records)
  })
  const at = (minute: number) => (startMinute + minute) * 60_000
  return { booking, minutes, at }
}

describe('LossBooking', () => {
  it('books each change to its minute, once', () => {
    const { booking, minutes, at } = setUp()
    booking.update(status({ late: 2 }, [['a', 'b1', { ring_full: 5 }]]), at(0))
    booking.update(status({ late: 2 }, [['a', 'b1', { ring_full: 5 }]]), at(1))
    booking.update(status({ late: 3 }, [['a', 'b1', { ring_full: 9 }]]), at(2))
    expect([...minutes]).toEqual([
      [0, 7],
      [2, 5],
    ])
  })

  it('takes a gap that filled back from the minute it was booked to', () => {
    const { booking, minutes, at } = setUp()
    booking.update(status({}, [['a', 'b1', { sequence_gap: 10 }]]), at(0))
    booking.update(status({}, [['a', 'b1', { sequence_gap: 14 }]]), at(1))
    booking.update(status({}, [['a', 'b1', { sequence_gap: 8 }]]), at(2))
    booking.update(status({}, [['a', 'b1', {}]]), at(3))
    expect([...minutes]).toEqual([
      [0, 0],
      [1, 0],
    ])
  })

  it('keeps what an earlier boot lost when a collector starts again', () => {
    const { booking, minutes, at } = setUp()
    booking.update(status({}, [['a', 'b1', { spool_full: 10 }]]), at(0))
    booking.update(status({}, [['a', 'b2', {}]]), at(1))
    booking.update(status({}, [['a', 'b2', { spool_full: 1 }]]), at(2))
    expect([...minutes]).toEqual([
      [0, 10],
      [2, 1],
    ])
  })

  it('always has the running total booked, and no minute below zero', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100), { maxLength: 14 }), totals => {
        const { booking, minutes, at } = setUp()
        totals.forEach((total, i) => {
          booking.update(status({}, [['a', 'b', { sequence_gap: total }]]), at(i))
        })
        const sum = [...minutes.values()].reduce((a, b) => a + b, 0)
        return sum === (totals.at(-1) ?? 0) && [...minutes.values()].every(records => records >= 0)
      }),
    )
  })
})
