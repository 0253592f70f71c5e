import { describe, expect, it } from 'vitest'
import { createLastBatches } from './last-batches.ts'
import type { TapMessage } from './tap-message.ts'

const message = (size: number): TapMessage => ({ payload: new Uint8Array(size) })

describe('createLastBatches', () => {
  it('keeps only the batches that the last records are in', () => {
    const last = createLastBatches(5)
    const all = Array.from({ length: 10 }, () => message(1))
    for (const one of all) last.add(one, 2)
    expect(last.messages).toEqual(all.slice(-3))
    expect([last.fitting, last.excess, last.isCut]).toEqual([6, 1, false])
  })

  it('keeps everything while there are too few', () => {
    const last = createLastBatches(5)
    for (const fitting of [0, 1, 0, 2]) last.add(message(1), fitting)
    expect([last.messages.length, last.fitting, last.excess]).toEqual([4, 3, 0])
  })

  it('holds no more bytes than its limit, and says when that cost records', () => {
    const last = createLastBatches(1_000, 100)
    for (let index = 0; index < 50; index++) last.add(message(10), 0)
    expect([last.messages.length, last.isCut]).toEqual([10, false])
    for (let index = 0; index < 50; index++) last.add(message(10), 1)
    expect([last.messages.length, last.fitting, last.isCut]).toEqual([10, 10, true])
  })
})
