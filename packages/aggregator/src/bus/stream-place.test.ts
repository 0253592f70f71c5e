import { describe, expect, it } from 'vitest'
import { compareStream, type StreamExtent, type StreamPlace } from './stream-place.ts'

const known: StreamPlace = { stream: 'a', sequence: 100, unixMs: 5_000 }
const is: StreamExtent = { stream: 'a', firstSequence: 10, firstUnixMs: 1_000, lastSequence: 200 }

describe('compareStream', () => {
  it.each<[string, object, Partial<StreamExtent>, string]>([
    ['more came', {}, {}, 'same'],
    ['nothing came', {}, { lastSequence: 100 }, 'same'],
    ['nothing was read yet', { sequence: 0, stream: 'b' }, { lastSequence: 0 }, 'same'],
    ['all that was read is gone', {}, { firstSequence: 101, firstUnixMs: 9_000 }, 'same'],
    ['it is empty', {}, { firstSequence: 101, lastSequence: 100, firstUnixMs: undefined }, 'same'],
    ['what comes next is gone', {}, { firstSequence: 102, firstUnixMs: 9_000 }, 'trimmed'],
    ['it was made anew', {}, { stream: 'b' }, 'other'],
    ['it was made anew, and which it was is not known', { stream: undefined }, { stream: 'b' }, 'same'],
    ['it is numbered from the start', {}, { firstSequence: 1, lastSequence: 99 }, 'other'],
    [
      'it holds nothing and never did',
      {},
      { firstSequence: 0, lastSequence: 0, firstUnixMs: undefined },
      'other',
    ],
    [
      'it is numbered from the start, and by now further',
      {},
      { firstSequence: 1, firstUnixMs: 5_001 },
      'other',
    ],
    [
      'its first message is the one that was read last',
      {},
      { firstSequence: 100, firstUnixMs: 5_000 },
      'same',
    ],
  ])('%s', (_, place, extent, news) => {
    const from: StreamPlace = { ...known, ...place }
    expect(compareStream(from, { ...is, ...extent })).toBe(news)
  })
})
