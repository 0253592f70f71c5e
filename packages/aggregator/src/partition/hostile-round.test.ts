import { batchLimits, encodeFlowBatch, lossPlaces } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { epochMs, flowBatch, minuteMs, record, type TestRecord } from '../join/flow-batch.testing.ts'
import { encodeRound } from './round-bytes.ts'
import { createRoundLog } from './round-log.ts'
import { decodeRoundState } from './round-state-decode.ts'
import { createProcess, partition } from './stream-run.testing.ts'

const node = 'north'

type Claim = Omit<Parameters<typeof flowBatch>[0], 'node'> & {
  readonly atS: number
  readonly records?: readonly Partial<TestRecord>[]
}

/** One process, told at its n-th second what a node claims of itself. */
function tell(...claims: readonly Claim[]) {
  const process = createProcess(epochMs, [])
  let sequence = 0
  for (const { atS, records = [], ...header } of claims) {
    const unixMs = epochMs + atS * 1000
    const sentUnixMs = unixMs
    const columns = flowBatch({ node, partition, sentUnixMs, ...header }, records.map(record))
    process.core.accept({ node, partition, data: encodeFlowBatch(columns) }, { sequence: ++sequence, unixMs })
  }
  for (let at = epochMs; at <= epochMs + 4 * minuteMs; at += 1_000) {
    process.core.tick(at)
    process.topology.tidy(at)
  }
  return process
}

/** What somebody else reads of the rounds that were appended: states, and whether segments were taken. */
function readBack({ ready }: ReturnType<typeof tell>) {
  expect(ready.length).toBeGreaterThan(0)
  const log = createRoundLog(partition)
  const follower = createProcess(epochMs, [])
  return ready.map(round => {
    let segments: readonly Uint8Array[] = []
    for (const bytes of encodeRound(partition, 'owner', round)) {
      const news = log.take(bytes)
      if (news.kind === 'round') segments = news.round.segments
    }
    return {
      state: decodeRoundState(log.latest!.state),
      refused: segments.flatMap(bytes => {
        const loaded = follower.topology.follow(bytes, partition)
        return loaded.ok ? [] : [loaded.reason]
      }),
    }
  })
}

const bootIds = Array.from({ length: 80 }, (_, boot) => (boot + 1).toString(16).padStart(16, '0'))

describe('what is appended of a node that lies', () => {
  it('can be gone on from, however far its numbers are ahead', () => {
    const last = batchLimits.counted
    const process = tell({ atS: 5, bootId: bootIds[0]!, sequence: last, firstRecord: last })
    for (const { state } of readBack(process)) {
      expect(state).toBeDefined()
      expect(state!.ingest.lost).toEqual({})
    }
    expect(readBack(process).at(-1)!.state!.ingest.nodes[0]!.boots[0]!.logs[0]!.highest).toBe(last)
  })

  it('costs nothing but one counter where its numbers are beyond all that can be counted', () => {
    const claim = { atS: 5, bootId: bootIds[0]!, sequence: 2, records: [{}] }
    for (const firstRecord of [batchLimits.counted, Number.MAX_SAFE_INTEGER]) {
      const process = tell({ ...claim, firstRecord })
      expect(process.core.figures()).toMatchObject({ received: 1, applied: 0, lost: { malformed: 1 } })
      for (const { state } of readBack(process)) expect(state!.ingest.nodes).toEqual([])
    }
  })

  it('can be read by others when its losses and gaps add up to more than a number holds', () => {
    const claims = bootIds.map((bootId, boot) => ({
      // in a minute that is closed, and in one that is open when that closes
      atS: boot % 2 === 0 ? 20 : 65,
      bootId,
      sequence: batchLimits.counted,
      firstRecord: batchLimits.counted,
      losses: [{ place: lossPlaces.ring_full, records: batchLimits.counted }],
    }))
    const rounds = readBack(tell(...claims.toSorted((a, b) => a.atS - b.atS)))
    for (const { state, refused } of rounds) {
      expect(state).toBeDefined()
      expect(refused).toEqual([])
    }
  })

  it('can be read by others when one connection claims more bytes than a number holds', () => {
    const records = [{ bytesSent: 2 ** 53 - 1, bytesSentTotal: 2 ** 53 - 1 }]
    const claim = { bootId: bootIds[0]!, firstRecord: 0, records }
    const process = tell({ ...claim, atS: 5, sequence: 1 }, { ...claim, atS: 6, sequence: 2, firstRecord: 1 })
    expect(process.core.figures().applied).toBe(2)
    for (const { refused } of readBack(process)) expect(refused).toEqual([])
  })

  it('can be gone on from whatever its name is', () => {
    const name = '\u0001'.repeat(1_000)
    const process = createProcess(epochMs, [])
    const columns = flowBatch(
      { node: name, partition, sentUnixMs: epochMs, sequence: 3, firstRecord: 7, bootId: bootIds[0]! },
      [],
    )
    process.core.accept(
      { node: name, partition, data: encodeFlowBatch(columns) },
      { sequence: 1, unixMs: epochMs },
    )
    process.core.tick(epochMs + 2 * minuteMs)
    process.topology.tidy(epochMs + 2 * minuteMs)
    for (const { state } of readBack(process)) expect(state).toBeDefined()
  })
})

describe('a message of a partition that is in no epoch', () => {
  it('is counted once, and its position is known, so that it is not counted again', () => {
    const process = createProcess(epochMs, [])
    const columns = flowBatch({ node, partition: 40, sentUnixMs: epochMs }, [
      record({}),
      record({ flowId: 2 }),
    ])
    const message = { node, partition: 40, data: encodeFlowBatch(columns) }
    process.core.refuse(message, { sequence: 7, unixMs: epochMs + 1_000 })
    process.core.refuse({ ...message, data: new Uint8Array(3) }, { sequence: 9, unixMs: epochMs + 1_000 })
    const counted = { received: 3, applied: 0, lost: { malformed: 3 } }
    expect(process.core.figures()).toMatchObject(counted)
    process.core.tick(epochMs + 2 * minuteMs)
    process.topology.tidy(epochMs + 2 * minuteMs)
    const { state } = process.ready.at(-1)!
    expect(state.appliedThrough).toBe(9)
    const next = createProcess(epochMs, process.ready)
    next.core.refuse(message, { sequence: 7, unixMs: epochMs + 1_000 })
    expect(next.core.figures()).toMatchObject(counted)
    next.core.refuse(message, { sequence: 10, unixMs: epochMs + 3 * minuteMs })
    expect(next.core.figures()).toMatchObject({ received: 5, lost: { malformed: 5 } })
  })
})
