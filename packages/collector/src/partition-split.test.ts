import { type Epoch, firstLayout, withEpoch } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { createPartitionSplit } from './partition-split.ts'

const one = firstLayout(2)
const two = withEpoch(one, 2, 3, 100)
const three = withEpoch(two, 3, 2, 102)

function begun(layout = one, minute = 90) {
  const told: Epoch[] = []
  const split = createPartitionSplit(layout, epoch => told.push(epoch))
  split.begin(minute)
  return { split, told: () => told.splice(0).map(({ first, fromMinute }) => [first, fromMinute]) }
}

describe('how a collector splits', () => {
  it('begins with what holds, and knows what is to come', () => {
    expect(begun(three, 99).told()).toEqual([
      [0, 0],
      [2, 100],
      [5, 102],
    ])
    expect(begun(three, 101).told()).toEqual([
      [2, 0],
      [5, 102],
    ])
  })

  it('changes at the minute, and says once what is over', () => {
    const { split, told } = begun()
    told()
    split.take(two, 97)
    expect(told()).toEqual([[2, 100]])
    split.take(two, 98)
    expect(split.running(99)).toEqual([0, 1])
    expect(split.over(98)).toEqual([])
    expect(split.running(100)).toEqual([0, 1, 2, 3, 4])
    expect(split.over(99)).toEqual([0, 1])
    expect(split.over(99)).toEqual([])
    expect(split.running(100)).toEqual([2, 3, 4])
    split.take(three, 100)
    expect(split.over(101)).toEqual([2, 3, 4])
    expect(split.running(102)).toEqual([5, 6])
  })

  it('goes on until the next minute where it hears too late', () => {
    const { split, told } = begun()
    told()
    split.take(two, 150)
    expect(told()).toEqual([[2, 151]])
    expect(split.running(150)).toEqual([0, 1])
    expect(split.over(149)).toEqual([])
    expect(split.over(150)).toEqual([0, 1])
    split.take(three, 160)
    expect(told()).toEqual([[5, 161]])
  })

  it('does without an epoch that it heard of too late', () => {
    const { split, told } = begun()
    told()
    split.take(three, 101)
    expect(told()).toEqual([[5, 102]])
    expect(split.over(101)).toEqual([0, 1])
    expect(split.running(102)).toEqual([5, 6])
  })
})
