import { encodeFlowBatch, lossPlaces } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { epochMs, flowBatch, minuteMs } from '../join/flow-batch.testing.ts'
import { inventedFlows, reportsOf, worldMinutes } from '../join/invented-world.testing.ts'
import type { PartitionRound } from './partition-core.ts'
import { createProcess, minutesOf, partition, type Stored } from './stream-run.testing.ts'

/** The stream of a partition: what both nodes report, in batches of one minute, delayed, some twice, some never. */
const streams = fc
  .record({
    flows: inventedFlows,
    batchSize: fc.integer({ min: 1, max: 5 }),
    delays: fc.array(fc.integer({ min: 0, max: 90_000 }), { minLength: 1, maxLength: 30 }),
    fates: fc.array(fc.constantFrom('once', 'once', 'once', 'once', 'twice', 'never'), {
      minLength: 1,
      maxLength: 30,
    }),
    restartMs: fc.option(fc.integer({ min: minuteMs, max: 4 * minuteMs }), { nil: undefined }),
  })
  .map(({ flows, batchSize, delays, fates, restartMs }) => {
    const restarts: Record<string, number> = restartMs === undefined ? {} : { north: epochMs + restartMs }
    return storedOf(flows, restarts, batchSize, delays, fates)
  })

function storedOf(
  flows: Parameters<typeof reportsOf>[0][],
  restarts: Record<string, number>,
  batchSize: number,
  delays: readonly number[],
  fates: readonly string[],
): Stored[] {
  const all = flows.flatMap(flow => reportsOf(flow, restarts))
  all.sort((a, b) => a.record.atMs - b.record.atMs)
  const arrivals: { atMs: number; message: Stored['message'] }[] = []
  let n = 0
  for (const node of ['north', 'south'])
    for (const boot of [0, 1]) {
      const mine = all.filter(each => each.node === node && each.boot === boot)
      let sequence = 0
      let firstRecord = 0
      while (mine.length > 0) {
        const minute = Math.floor(mine[0]!.record.atMs / minuteMs)
        let count = 0
        while (count < Math.min(batchSize, mine.length)) {
          if (Math.floor(mine[count]!.record.atMs / minuteMs) !== minute) break
          count++
        }
        const chunk = mine.splice(0, count)
        const sentUnixMs = chunk[count - 1]!.record.atMs
        const columns = flowBatch(
          {
            node,
            partition,
            bootId: `00000000000000${boot}${node === 'north' ? 1 : 2}`,
            sequence: ++sequence,
            firstRecord,
            sentUnixMs,
            minuteComplete: mine.length === 0 || Math.floor(mine[0]!.record.atMs / minuteMs) !== minute,
            losses: [{ place: lossPlaces.ring_full, records: sequence }],
          },
          chunk.map(each => each.record),
        )
        firstRecord += count
        const message = { node, partition, data: encodeFlowBatch(columns) }
        const fate = fates[n % fates.length]
        const atMs = sentUnixMs + 100 + delays[n % delays.length]!
        if (fate !== 'never') arrivals.push({ atMs, message })
        if (fate === 'twice') arrivals.push({ atMs: atMs + delays[(n * 7 + 1) % delays.length]!, message })
        n++
      }
    }
  arrivals.sort((a, b) => a.atMs - b.atMs)
  return arrivals.map(({ atMs, message }, i) => ({
    message,
    position: { sequence: 10 + 3 * i, unixMs: atMs },
  }))
}

const startMs = epochMs
const endMs = epochMs + (worldMinutes + 9) * minuteMs
const fromMinute = epochMs / minuteMs - 1
const toMinute = epochMs / minuteMs + worldMinutes + 2

/** Reads the stream from where the last committed round says, ticking in between as `ticks` says, up to message `until`. */
function read(
  process: ReturnType<typeof createProcess>,
  stream: readonly Stored[],
  until: number,
  ticks: readonly number[],
): void {
  const { core, topology, fromMs } = process
  for (let i = 0; i < until; i++) {
    const { message, position } = stream[i]!
    if (position.unixMs < fromMs) continue
    const before = stream[i - 1]?.position.unixMs ?? startMs
    const tick = ticks[i % ticks.length]!
    // an idle moment: time passes up to the next message at most
    if (tick > 0 && i > 0)
      core.tick(before + Math.floor(((position.unixMs - before) * Math.min(tick, 10)) / 10))
    core.accept(message, position)
    if (tick % 2 === 0) topology.tidy(position.unixMs)
  }
}

function finish(process: ReturnType<typeof createProcess>): void {
  process.core.endCatchUp()
  for (let at = endMs - 9 * minuteMs; at <= endMs; at += 5_000) process.core.tick(at)
  process.topology.flush(endMs)
}

/** Kills the process after message `at`; of the rounds that were ready, all but the last `unsaid` had been appended. */
interface Kill {
  readonly at: number
  readonly unsaid: number
}

function runWithKills(
  stream: readonly Stored[],
  kills: readonly Kill[],
  ticks: readonly number[],
  backMs?: number,
) {
  const committed: PartitionRound[] = []
  let process = createProcess(startMs, committed, backMs)
  for (const { at, unsaid } of kills) {
    read(process, stream, Math.min(at, stream.length), ticks)
    process.topology.advance(process.core.status().clockMs)
    committed.push(...process.ready.slice(0, Math.max(0, process.ready.length - unsaid)))
    process = createProcess(startMs, committed, backMs)
  }
  read(process, stream, stream.length, ticks)
  finish(process)
  return process
}

const kills = fc.array(fc.record({ at: fc.nat(60), unsaid: fc.constantFrom(0, 0, 1, 2) }), {
  minLength: 1,
  maxLength: 4,
})
const ticks = fc.array(fc.nat(20), { minLength: 1, maxLength: 20 })

describe('a partition that goes on from a round', { timeout: 120_000 }, () => {
  it('has the totals of one that was never interrupted, minute by minute, wherever it is killed', () => {
    fc.assert(
      fc.property(
        streams,
        kills,
        ticks,
        fc.array(fc.nat(20), { minLength: 1 }),
        (stream, when, some, other) => {
          const whole = runWithKills(stream, [], some)
          const sorted = [...when].sort((a, b) => a.at - b.at)
          const killed = runWithKills(stream, sorted, other)
          expect(minutesOf(killed, fromMinute, toMinute)).toEqual(minutesOf(whole, fromMinute, toMinute))
          expect(killed.core.figures()).toMatchObject({ lost: whole.core.figures().lost })
          const { received, applied, duplicates } = whole.core.figures()
          expect(killed.core.figures()).toMatchObject({ received, applied, duplicates })
        },
      ),
      { numRuns: 100, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    )
  })
})
