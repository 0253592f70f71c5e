import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCore } from '../../../packages/aggregator/src/core.ts'
import type { TopologyEdge } from '../../../packages/aggregator/src/topology/answer.ts'
import { manualClock } from '../../../packages/collector/src/manual-clock.testing.ts'
import type { BusMessage, BusPublisher } from '../../../packages/shared/src/index.ts'
import { compareBounded } from '../judge/bounded.ts'
import { createDeliveredBook } from '../judge/delivered-book.ts'
import { checkBalance, compareMinutes, differenceTable, lossOf } from '../judge/judge.ts'
import { coreWitness, type Witness } from '../judge/witness.ts'
import { startSimulation } from '../simulation.ts'
import { mix } from './chance.ts'
import { createWorld, type WorldSettings } from './world.ts'

const startMs = Date.UTC(2026, 0, 1)
const minutes = 3
const settings: WorldSettings = {
  nodes: 4,
  prefix: 'n',
  firstHost: 0,
  services: 9,
  callersPerService: 4,
  udpServices: 2,
  outsiders: 4,
  seed: 1,
  partitions: 3,
  flushMs: 500,
  reportMs: 10_000,
  announceMs: 90_000,
  startMs,
  longLived: 40,
  shortPerSecond: 15,
  udpPerSecond: 5,
  outsidePerSecond: 2,
  failedPerSecond: 2,
}

/** Of a thousand batches: how many the bus refuses, delivers twice, delivers up to ten seconds late, never delivers. */
interface Trouble {
  readonly refused: number
  readonly doubled: number
  readonly late: number
  readonly dropped: number
}
const noTrouble: Trouble = { refused: 0, doubled: 0, late: 0, dropped: 0 }

/** Minutes of a whole cluster in one process, time moved by hand. */
async function live(seed: number, trouble: Trouble) {
  const clock = manualClock(startMs)
  const world = createWorld({ ...settings, seed })
  const core = createCore({ startMs, joinCapacity: 20_000, maxEdges: 10_000, retentionMs: 24 * 3_600_000 })
  let turn = 0
  let dropped = 0
  const waiting: { atMs: number; message: BusMessage }[] = []
  const happens = (perMille: number) => mix(++turn, seed) % 1_000 < perMille
  const delivered = createDeliveredBook()
  const deliver = (message: BusMessage) => {
    delivered.add(message.data)
    if (happens(trouble.late)) {
      // the collector frees the bytes of what it published
      const copy = { ...message, data: message.data.slice() }
      waiting.push({ atMs: clock.nowMs() + (mix(turn, 3) % 10_000), message: copy })
    } else core.accept(message, clock.nowMs())
  }
  const bus: BusPublisher = {
    async publish(message) {
      if (happens(trouble.refused)) throw new Error('refused')
      if (happens(trouble.dropped)) {
        dropped += message.head!.recordCount
        return
      }
      deliver(message)
      if (happens(trouble.doubled)) deliver(message)
    },
  }
  const simulation = await startSimulation({ world, clock, bus: () => bus })
  const pass = async (ms: number) => {
    clock.advance(ms)
    for (const { message } of takeDue(waiting, clock.nowMs())) core.accept(message, clock.nowMs())
    // promises of publishing settle
    await new Promise(resolve => setImmediate(resolve))
    core.tick(clock.nowMs())
  }
  const steps = (minutes * 60_000) / settings.flushMs
  for (let step = 0; step < steps; step++) {
    await pass(settings.flushMs)
    simulation.flush()
    if (step === steps - 60) world.calm()
  }
  trouble = noTrouble
  const closing = simulation.close()
  for (let step = 0; step < 40; step++) await pass(500)
  await closing
  const encoded = Object.fromEntries(world.map.nodes.map((node, n) => [node, world.records[n]]))
  return { world, encoded, dropped, delivered, witness: coreWitness(core, clock.nowMs) }
}

function takeDue<T extends { readonly atMs: number }>(list: T[], nowMs: number): T[] {
  const due = list.filter(({ atMs }) => atMs <= nowMs)
  list.splice(0, list.length, ...list.filter(({ atMs }) => atMs > nowMs))
  return due
}

function changed(witness: Witness, change: (edge: TopologyEdge) => TopologyEdge): Witness {
  return { ...witness, edges: async (from, to) => (await witness.edges(from, to)).map(change) }
}

describe('an invented cluster', () => {
  it('is the same for the same seed, and another for another', () => {
    const flushesOf = (seed: number) => {
      const world = createWorld({ ...settings, seed })
      const hash = createHash('sha256')
      for (let i = 0; i < 20; i++) for (const flush of world.flush()) hash.update(new Uint8Array(flush))
      return hash.digest('hex')
    }
    expect(flushesOf(1)).toBe(flushesOf(1))
    expect(flushesOf(1)).not.toBe(flushesOf(2))
  })

  it('is told exactly, whatever is refused, doubled and late', async () => {
    const perMille = fc.integer({ min: 0, max: 400 })
    await fc.assert(
      fc.asyncProperty(
        fc.nat(1_000_000),
        fc.record({ refused: perMille, doubled: perMille, late: perMille, dropped: fc.constant(0) }),
        async (seed, trouble) => {
          const { world, encoded, witness } = await live(seed, trouble)
          expect(differenceTable(await compareMinutes(world.truth(), witness, world.oneSided))).toBe(
            noDifference,
          )
          expect(checkBalance({ encoded }, await witness.ingest())).toEqual([])
          expect(lossOf(await witness.edges(startMs, startMs + minutes * 60_000))).toEqual(world.segments())
        },
      ),
      { numRuns: 5 },
    )
  }, 120_000)

  it('is told as far as it was delivered when batches never arrive, and the loss is exact', async () => {
    const { world, encoded, dropped, delivered, witness } = await live(7, {
      ...noTrouble,
      doubled: 100,
      dropped: 50,
    })
    const { oneSided } = world
    expect(dropped).toBeGreaterThan(0)
    expect(await compareMinutes(world.truth(), witness, oneSided)).not.toEqual([])
    const differences = await compareBounded(world.truth(), witness, { oneSided, delivered })
    expect(differenceTable(differences)).toBe(noDifference)
    const problems = checkBalance({ encoded, lost: { sequence_gap: dropped } }, await witness.ingest())
    expect(problems).toEqual([])

    // whoever books too little, or something where nothing was, is found
    const bounds = { oneSided, delivered }
    const differencesFor = (change: (edge: TopologyEdge) => TopologyEdge) =>
      compareBounded(world.truth(), changed(witness, change), bounds)
    const withoutBytes = ({ tcp, ...edge }: TopologyEdge) =>
      ({ ...edge, tcp: tcp && { ...tcp, client: { ...tcp.client, bytesSent: 0 } } }) as TopologyEdge
    expect((await differencesFor(withoutBytes)).map(({ counter }) => counter)).toContain(
      'tcp.client.bytesSent',
    )
    const shifted = { ...witness, edges: (from: number, to: number) => witness.edges(from - 60_000, to) }
    for (const found of [
      await compareBounded(world.truth(), shifted, bounds),
      await compareMinutes(world.truth(), shifted, oneSided),
    ])
      expect(found.map(({ minute }) => minute)).toContain('00:03-00:04')
  })
})

const noDifference = differenceTable([])
