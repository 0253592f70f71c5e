import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PartitionRound } from './partition-core.ts'
import { encodeClaim, encodeRound, largestRollupMessage } from './round-bytes.ts'
import { decodeRollup } from './round-decode.ts'
import { createRoundLog } from './round-log.ts'
import type { RoundState } from './round-state.ts'
import { decodeRoundState } from './round-state-decode.ts'

const state: RoundState = {
  closedThrough: 29_453_760,
  appliedThrough: 1_234,
  appliedMs: 1_767_225_660_100,
  openSinceMs: 1_767_225_660_050,
  ingest: {
    received: 7,
    applied: 5,
    duplicates: 1,
    lost: { late: 1 },
    nodes: [
      {
        name: 'worker-a',
        lastSeenMs: 1_767_225_660_000,
        uncleanRestart: false,
        boots: [
          {
            bootId: '00000000000000aa',
            firstSentMs: 1_767_225_600_000,
            encoded: 9,
            merged: 1,
            sampledOut: 0,
            ringProduced: 20,
            ringConsumed: 20,
            lost: [[1, 2]],
            capabilities: 3,
            batches: 4,
            records: 5,
            duplicates: 1,
            logs: [
              {
                partition: 2,
                stopped: false,
                highest: 6,
                records: 8,
                missingRecords: 2,
                gaps: [
                  { from: 3, to: 4, fromRecord: 3, toRecord: 5, sinceMs: 1_767_225_650_000, settled: false },
                ],
              },
            ],
          },
        ],
      },
    ],
  },
  losses: [{ whose: 'here', place: 'late', total: 1, minutes: [[29_453_760, 1]] }],
  openLosses: [{ minute: 29_453_761, losses: [0, 1, 0] }],
}

function round(...sizes: number[]): PartitionRound {
  const bytes = sizes.map((size, i) => new Uint8Array(size * 4).fill(i + 1))
  return { closedThrough: state.closedThrough, state, bytes }
}

function takeAll(messages: readonly Uint8Array[]) {
  const log = createRoundLog(2)
  return { log, news: messages.map(message => log.take(message)) }
}

const large = round(300_000, 100_000)

describe('a log of rounds', () => {
  it('gives back a round of many messages once its last one is there', () => {
    const messages = encodeRound(2, 'me', large)
    expect(messages.length).toBe(2)
    for (const message of messages) expect(message.length).toBeLessThanOrEqual(largestRollupMessage)
    const { log, news } = takeAll(messages)
    expect(news.map(each => each.kind)).toEqual(['part', 'round'])
    const last = news.at(-1)!
    if (last.kind !== 'round') throw new Error(last.kind)
    expect(last.round.segments.map(s => Buffer.compare(s, large.bytes[0]!) === 0)).toEqual([true, false])
    expect(decodeRoundState(last.round.state)).toEqual(state)
    expect(log).toMatchObject({ rounds: 1, abandoned: 0, refused: 0, owner: 'me' })
    expect(log.latest).toMatchObject({ owner: 'me', closedThrough: state.closedThrough })
  })

  it('ignores a round that a claim interrupts, and takes the one of the claimant', () => {
    const [begun, rest] = encodeRound(2, 'me', large)
    const whole = encodeRound(2, 'you', round(3))
    const { log, news } = takeAll([begun!, encodeClaim(2, 'you'), ...whole, rest!])
    expect(news.map(each => each.kind)).toEqual(['part', 'claim', 'round', 'part'])
    expect(log).toMatchObject({ rounds: 1, claims: 1, abandoned: 1 })
    expect(log.latest?.owner).toBe('you')
  })

  it('ignores a round of which a message is missing', () => {
    const [first, , third] = encodeRound(2, 'me', round(300_000, 300_000))
    const { log, news } = takeAll([first!, third!])
    expect(news.map(each => each.kind)).toEqual(['part', 'part'])
    expect(log).toMatchObject({ rounds: 0, abandoned: 1 })
  })

  it('refuses what belongs to another partition', () => {
    const { news } = takeAll(encodeRound(3, 'me', round(1)))
    expect(news).toEqual([{ kind: 'refused', reason: 'other_partition' }])
  })

  it('refuses every flipped bit and every cut, and never more than that', () => {
    const [whole] = encodeRound(2, 'me', round(4, 2))
    const damaged = fc.record({
      at: fc.nat(whole!.length - 1),
      bit: fc.nat(7),
      length: fc.oneof(fc.constant(whole!.length), fc.nat(whole!.length)),
    })
    fc.assert(
      fc.property(damaged, ({ at, bit, length }) => {
        const bytes = whole!.slice(0, length)
        if (at < length) bytes[at]! ^= 1 << bit
        else if (length === whole!.length) return
        expect(typeof decodeRollup(bytes)).toBe('string')
        const log = createRoundLog(2)
        expect(log.take(bytes).kind).toBe('refused')
        expect(log).toMatchObject({ refused: 1, latest: undefined })
      }),
      { numRuns: 500 },
    )
  })

  it('takes no state that is not what it should be', () => {
    const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
    expect(decodeRoundState(encode(state))).toEqual(state)
    const wrong = [
      { ...state, appliedThrough: -1 },
      { ...state, openSinceMs: 'soon' },
      { ...state, ingest: { ...state.ingest, lost: { late: 0.5 } } },
      { ...state, ingest: { ...state.ingest, nodes: [{ name: 'worker-a' }] } },
      { ...state, losses: [{ whose: 'here', place: 'late', total: 1, minutes: [[1]] }] },
      { ...state, openLosses: {} },
      [],
      null,
    ]
    for (const each of wrong) expect(decodeRoundState(encode(each))).toBeUndefined()
    expect(decodeRoundState(new Uint8Array([0x7b, 0xff]))).toBeUndefined()
  })
})
