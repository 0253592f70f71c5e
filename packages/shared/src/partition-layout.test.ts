import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  epochAt,
  epochOf,
  firstLayout,
  type PartitionLayout,
  parseLayout,
  partitionsOf,
  sharingKeys,
  untilMinute,
  withEpoch,
} from './partition-layout.ts'

const layouts = fc
  .array(fc.record({ partitions: fc.integer({ min: 1, max: 64 }), after: fc.integer({ min: 1, max: 9 }) }), {
    maxLength: 12,
  })
  .map(changes =>
    changes.reduce<PartitionLayout>((layout, { partitions, after }) => {
      const last = layout.at(-1)!
      return withEpoch(layout, last.epoch + 1, partitions, Math.max(1_000, last.fromMinute + after))
    }, firstLayout(4)),
  )

describe('the layout of partitions', () => {
  it('gives every epoch numbers of its own and every minute one epoch, and survives being written', () => {
    fc.assert(
      fc.property(layouts, layout => {
        const numbers = layout.flatMap(partitionsOf)
        expect(new Set(numbers).size).toBe(numbers.length)
        expect(layout.length).toBeLessThanOrEqual(8)
        expect(parseLayout(JSON.stringify(layout))).toEqual(layout)
        for (const each of layout) {
          expect(partitionsOf(each).every(p => epochOf(layout, p) === each)).toBe(true)
          expect(epochAt(layout, each.fromMinute)).toBe(each)
          const until = untilMinute(layout, each)
          if (until !== Number.POSITIVE_INFINITY) expect(epochAt(layout, until - 1)).toBe(each)
        }
      }),
    )
  })

  it('says where else the records of a key may be, whatever both counts are', () => {
    fc.assert(
      fc.property(layouts, fc.nat(2 ** 32 - 1), (layout, hash) => {
        for (const a of layout)
          for (const b of layout) {
            const there = b.first + (hash % b.partitions)
            expect(sharingKeys(a.first + (hash % a.partitions), a, b)).toContain(there)
          }
      }),
    )
    const [four, eight] = withEpoch(firstLayout(4), 2, 8, 100) as [never, never]
    expect(sharingKeys(1, four, eight)).toEqual([5, 9])
    expect(sharingKeys(9, eight, four)).toEqual([1])
    expect(sharingKeys(9, eight, eight)).toEqual([9])
  })

  it('begins again with numbers that are long out of use', () => {
    let layout = firstLayout(4)
    for (let n = 2; n < 1_200; n++) layout = withEpoch(layout, n, 64, n)
    expect(layout.every(({ first, partitions }) => first + partitions <= 65_536)).toBe(true)
    expect(layout[0]).toEqual(firstLayout(4)[0])
  })

  it.each([
    '',
    '[]',
    '{}',
    '[null]',
    '[{"epoch":1,"partitions":0,"first":0,"fromMinute":0}]',
    '[{"epoch":1,"partitions":65,"first":0,"fromMinute":0}]',
    '[{"epoch":1,"partitions":4,"first":65533,"fromMinute":0}]',
    '[{"epoch":1,"partitions":4,"first":0.5,"fromMinute":0}]',
    '[{"epoch":2,"partitions":4,"first":0,"fromMinute":0},{"epoch":1,"partitions":8,"first":4,"fromMinute":9}]',
    '[{"epoch":1,"partitions":4,"first":0,"fromMinute":9},{"epoch":2,"partitions":8,"first":4,"fromMinute":9}]',
  ])('refuses %s', text => {
    expect(parseLayout(text)).toBeUndefined()
  })
})
