import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LossBooking } from './loss-booking.ts'

const startMinute = 29_400_000

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
    for (const [minute, late, ringFull] of [
      [0, 2, 5],
      [1, 2, 5],
      [2, 3, 9],
    ] as const) {
      booking.follow('here', { late }, at(minute))
      booking.follow('a', { ring_full: ringFull }, at(minute))
    }
    expect([...minutes]).toEqual([
      [0, 7],
      [2, 5],
    ])
  })

  it('takes a gap that filled back from the minute it was booked to', () => {
    const { booking, minutes, at } = setUp()
    booking.follow('a b1', { sequence_gap: 10 }, at(0))
    booking.follow('a b1', { sequence_gap: 14 }, at(1))
    booking.follow('a b1', { sequence_gap: 8 }, at(2))
    booking.follow('a b1', {}, at(3))
    expect([...minutes]).toEqual([
      [0, 0],
      [1, 0],
    ])
  })

  it('keeps what an earlier boot lost when a collector starts again', () => {
    const { booking, minutes, at } = setUp()
    booking.follow('a b1', { spool_full: 10 }, at(0))
    booking.follow('a b2', {}, at(1))
    booking.follow('a b2', { spool_full: 1 }, at(2))
    expect([...minutes]).toEqual([
      [0, 10],
      [2, 1],
    ])
  })

  it('goes on with what an earlier process had booked', () => {
    const { booking, minutes, at } = setUp()
    booking.follow('a b1', { sequence_gap: 10 }, at(0))
    const later = setUp()
    later.booking.restore(booking.state())
    for (const [minute, records] of minutes) later.minutes.set(minute, records)
    later.booking.follow('a b1', { sequence_gap: 14 }, at(1))
    later.booking.follow('a b1', { sequence_gap: 8 }, at(2))
    expect([...later.minutes]).toEqual([
      [0, 8],
      [1, 0],
    ])
  })

  it('always has the running total booked, and no minute below zero', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100), { maxLength: 14 }), totals => {
        const { booking, minutes, at } = setUp()
        totals.forEach((total, i) => {
          booking.follow('a b', { sequence_gap: total }, at(i))
        })
        const sum = [...minutes.values()].reduce((a, b) => a + b, 0)
        return sum === (totals.at(-1) ?? 0) && [...minutes.values()].every(records => records >= 0)
      }),
    )
  })
})
