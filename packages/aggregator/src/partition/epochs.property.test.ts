import {
  createFlowColumns,
  encodeFlowBatch,
  epochAt,
  firstLayout,
  type PartitionLayout,
  partitionsOf,
  withEpoch,
} from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BootOrdinals } from '../ingest/boot-ordinals.ts'
import { epochMs, flowBatch, minuteMs } from '../join/flow-batch.testing.ts'
import { inventedFlows, type Reported, reportsOf, worldMinutes } from '../join/invented-world.testing.ts'
import { createJoin } from '../join/join.ts'
import { partitionHash } from '../join/partition-hash.ts'
import { createEntityIndex } from '../resolve/entity-index.ts'
import { createTopology } from '../topology/topology.ts'
import { epochPart, partitionsToRead } from './epoch-part.ts'
import { createPartitionCore, type PartitionCore } from './partition-core.ts'
import { minutesOf, type Stored } from './stream-run.testing.ts'

const startMs = epochMs
const startMinute = epochMs / minuteMs
const endMs = epochMs + (worldMinutes + 9) * minuteMs

/** The same batches twice: as split by the layout that their node knows by then, and all in one partition. */
interface Split {
  readonly layout: PartitionLayout
  readonly split: Stored[]
  readonly whole: Stored[]
}

const counts = fc.integer({ min: 1, max: 5 })
const runs = fc
  .record({
    flows: inventedFlows,
    first: counts,
    changes: fc.array(fc.record({ partitions: counts, after: fc.integer({ min: 1, max: 2 }) }), {
      minLength: 1,
      maxLength: 3,
    }),
    // a collector that hears of it late goes on with what it knows
    lateMinutes: fc.record({ north: fc.integer({ min: 0, max: 3 }), south: fc.constantFrom(0, 0, 1) }),
    delays: fc.array(fc.integer({ min: 0, max: 50_000 }), { minLength: 1, maxLength: 20 }),
    batchSize: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ flows, first, changes, lateMinutes, delays, batchSize }): Split => {
    let layout = firstLayout(first)
    for (const { partitions, after } of changes) {
      const last = layout.at(-1)!
      layout = withEpoch(layout, last.epoch + 1, partitions, Math.max(startMinute, last.fromMinute) + after)
    }
    const all = flows.flatMap(flow => reportsOf(flow, {})).sort((a, b) => a.record.atMs - b.record.atMs)
    return { layout, ...storedOf(all, layout, lateMinutes, delays, batchSize) }
  })

function hashOf(report: Reported): number {
  const scratch = createFlowColumns()
  Object.assign(scratch, flowBatch({ node: 'n', partition: 0, baseUnixMs: 0 }, [report.record]))
  return partitionHash(scratch, 0)
}

function storedOf(
  all: readonly Reported[],
  layout: PartitionLayout,
  late: Readonly<Record<string, number>>,
  delays: readonly number[],
  batchSize: number,
): Pick<Split, 'split' | 'whole'> {
  const batches: { node: string; partition: number; minute: number; reports: Reported[] }[] = []
  for (const report of all) {
    const minute = Math.floor(report.record.atMs / minuteMs)
    const { first, partitions } = epochAt(layout, minute - late[report.node]!)
    const partition = first + (hashOf(report) % partitions)
    const open = batches.findLast(b => b.node === report.node && b.partition === partition)
    if (open && open.minute === minute && open.reports.length < batchSize) open.reports.push(report)
    else batches.push({ node: report.node, partition, minute, reports: [report] })
  }
  const sent = batches.map((batch, n) => ({
    ...batch,
    atMs: batch.reports.at(-1)!.record.atMs + 100 + delays[n % delays.length]!,
  }))
  const numbers = new Map<string, { sequence: number; records: number }>()
  const stored = (batch: (typeof sent)[number], partition: number, i: number): Stored => {
    const key = `${partition} ${batch.node} ${partition === batch.partition}`
    const own = numbers.get(key) ?? { sequence: 0, records: 0 }
    numbers.set(key, own)
    const header = { node: batch.node, partition, bootId: `000000000000000${batch.node === 'north' ? 1 : 2}` }
    const records = batch.reports.map(({ record }) => record)
    const columns = flowBatch(
      {
        ...header,
        sequence: ++own.sequence,
        firstRecord: own.records,
        sentUnixMs: batch.atMs - 50,
        baseUnixMs: batch.minute * minuteMs,
      },
      records,
    )
    own.records += records.length
    const message = { node: batch.node, partition, data: encodeFlowBatch(columns) }
    return { message, position: { sequence: i + 1, unixMs: batch.atMs } }
  }
  // in the order of sending, as each collector numbers them; then in the order of coming
  const both = sent.map((batch, i) => ({
    atMs: batch.atMs,
    split: stored(batch, batch.partition, i),
    whole: stored(batch, 60_000, i),
  }))
  both.sort((a, b) => a.atMs - b.atMs)
  return { split: both.map(({ split }) => split), whole: both.map(({ whole }) => whole) }
}

/** One process that books all of them, as replicas do together. */
function run(partitions: readonly number[], stream: readonly Stored[], layout?: PartitionLayout) {
  const index = createEntityIndex()
  const topology = createTopology({ index, startMs, graceMs: 30_000 })
  const join = createJoin({
    book: topology.book,
    entities: index,
    names: index,
    hashSeed: 5,
    capacity: 10_000,
  })
  const [ordinals, columns] = [new BootOrdinals(), createFlowColumns()]
  const cores: { core: PartitionCore; reads: Set<number> }[] = partitions.map(partition => {
    const epoch = layout && epochPart(partition, () => layout)
    const core = createPartitionCore({
      ...{ partition, topology, join, names: index, ordinals, columns, startMs },
      closedThrough: startMinute - 2,
      ...(epoch && { epoch }),
    })
    return { core, reads: new Set(layout ? partitionsToRead(partition, layout) : [partition]) }
  })
  for (const { message, position } of stream)
    for (const { core, reads } of cores)
      if (reads.has(message.partition)) core.accept(message, position)
      else core.tick(position.unixMs)
  for (let at = endMs - 9 * minuteMs; at <= endMs; at += 5_000) for (const { core } of cores) core.tick(at)
  topology.flush(endMs)
  const figures = cores.map(({ core }) => core.figures())
  const sum = (of: (each: (typeof figures)[number]) => number) => figures.reduce((n, each) => n + of(each), 0)
  return {
    minutes: withoutLoss(minutesOf({ topology }, startMinute - 1, startMinute + worldMinutes + 2)),
    received: sum(each => each.received),
    lost: sum(each => Object.values(each.lost).reduce((a, b) => a + b, 0)),
  }
}

/** Segments are compared when nothing of a partition is outstanding, and that depends on what else is in it. */
function withoutLoss(minutes: ReturnType<typeof minutesOf>) {
  const isKept = ([name]: [string, number]) => !name.includes('.loss.')
  return Object.entries(minutes).map(([at, sums]) => [at, Object.entries(sums).filter(isKept)])
}

/** What all partitions booked together, of whichever epochs, is what one partition books that takes everything. */
const totalsAreEqual = fc.property(runs, ({ layout, split, whole }) => {
  const one = run([60_000], whole)
  const many = run(layout.flatMap(partitionsOf), split, layout)
  expect(many.minutes).toEqual(one.minutes)
  expect(many.received).toBe(one.received)
  expect([many.lost, one.lost]).toEqual([0, 0])
})

describe('partitions of several epochs', { timeout: 300_000 }, () => {
  it('have the totals of one that takes everything, minute by minute, whoever switched when', () => {
    fc.assert(totalsAreEqual, {
      numRuns: 150,
      interruptAfterTimeLimit: 30_000,
      markInterruptAsFailure: false,
    })
  })

  it('also of a connection whose end comes before its beginning, which went the other epoch’s way', () => {
    fc.assert(totalsAreEqual, { seed: 771_382_403, path: '44', numRuns: 1 })
  })
})
