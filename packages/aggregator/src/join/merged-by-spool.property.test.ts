import {
  type BodyPart,
  type BusMessage,
  encodeBody,
  encodeHeader,
  mergeBodies,
  schemaVersion,
} from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createIngest } from '../ingest/ingest.ts'
import { epochMs, flowBatch, minuteMs, type TestRecord } from './flow-batch.testing.ts'
import { inventedFlows, reportsOf, worldMinutes } from './invented-world.testing.ts'
import { createJoin } from './join.ts'
import { type Booked, ReferenceBook, ReferenceEntities } from './reference-book.testing.ts'

/** What waits in one collector's spool: bodies of one node, boot and minute, in order. */
interface Spooled extends BodyPart {
  readonly minute: number
}

interface Boot {
  readonly node: string
  readonly bootId: string
  readonly spooled: readonly Spooled[]
}

const nodes = ['north', 'south']
const endMs = epochMs + worldMinutes * minuteMs

/** Records in order of time, cut into bodies of one minute and at most `size` records. */
function spooledOf(records: readonly TestRecord[], size: number): Spooled[] {
  const spooled: Spooled[] = []
  let chunk: TestRecord[] = []
  const minuteOf = ({ atMs }: TestRecord) => Math.floor(atMs / minuteMs)
  const cut = () => {
    if (chunk.length === 0) return
    const columns = flowBatch({ node: 'n' }, chunk)
    spooled.push({ recordCount: chunk.length, body: encodeBody(columns), minute: minuteOf(chunk[0]) })
    chunk = []
  }
  for (const record of records) {
    if (chunk.length === size || (chunk.length > 0 && minuteOf(chunk[0]) !== minuteOf(record))) cut()
    chunk.push(record)
  }
  cut()
  return spooled
}

/** Each minute in windows of `window` bodies, merged where that gains something. */
function mergedOf(spooled: readonly Spooled[], window: number): Spooled[] {
  const merged: Spooled[] = []
  for (let at = 0; at < spooled.length; ) {
    const { minute } = spooled[at]
    let end = at + 1
    while (end < Math.min(at + window, spooled.length) && spooled[end].minute === minute) end++
    const group = spooled.slice(at, end)
    merged.push(...(mergeBodies(group)?.map(part => ({ ...part, minute })) ?? group))
    at = end
  }
  return merged
}

function messagesOf({ node, bootId }: Boot, spooled: readonly Spooled[]): BusMessage[] {
  let firstRecord = 0
  return spooled.map(({ body, recordCount, minute }, index) => {
    const header = encodeHeader({
      schemaVersion,
      cluster: 'c',
      node,
      bootId,
      partition: 0,
      sequence: index + 1,
      firstRecord,
      recordCount,
      baseUnixMs: minute * minuteMs,
      flushIntervalMs: 500,
      capabilities: 0,
      minuteComplete: false,
      cleanStop: false,
      losses: [],
      recordsEncoded: 0,
      recordsMerged: 0,
      recordsSampledOut: 0,
      ringProduced: 0,
      ringConsumed: 0,
      sentUnixMs: endMs,
    })
    firstRecord += recordCount
    return { node, partition: 0, data: new Uint8Array([...header, ...body]) }
  })
}

function run(messages: readonly BusMessage[]) {
  const entities = new ReferenceEntities()
  const book = new ReferenceBook(entities)
  const join = createJoin({ book, entities, names: entities, hashSeed: 7, endedFlows: 64 })
  const windows = { heard() {}, minuteComplete() {} }
  const ingest = createIngest({ join, windows, names: entities })
  let nowMs = endMs
  for (const message of messages) ingest.accept(message, ++nowMs)
  // holes are final after two minutes
  for (let second = 0; second < 130; second++) {
    nowMs += 1_000
    join.tick(nowMs)
  }
  return { booked: book.booked(), open: book.openChanges() }
}

/** Figures whose minute is that of the reading at which both ends were known, which merging may move to a later one. */
const perReading = /Lost$|Compared$|lossCoalesced$/
/** One sample per reading: what merging gives away. */
const sample = /(client|server)RttUs=/

function exactly(booked: Booked): Booked {
  const kept: Booked = {}
  for (const [edge, minutes] of Object.entries(booked)) {
    for (const [minute, values] of Object.entries(minutes)) {
      const rest = Object.entries(values).filter(([name]) => !sample.test(name) && !perReading.test(name))
      if (rest.length > 0) kept[edge] = { ...kept[edge], [minute]: Object.fromEntries(rest) }
    }
  }
  return kept
}

const world = fc.record({
  flows: inventedFlows,
  restarts: fc.record({
    north: fc.option(fc.integer({ min: minuteMs, max: 4 * minuteMs }), { nil: undefined }),
    south: fc.option(fc.integer({ min: minuteMs, max: 4 * minuteMs }), { nil: undefined }),
  }),
  size: fc.integer({ min: 1, max: 6 }),
  window: fc.integer({ min: 2, max: 12 }),
  /** How many of the oldest bodies each boot gave up before it merged the rest. */
  givenUp: fc.nat(3),
})

type World = typeof world extends fc.Arbitrary<infer T> ? T : never

function bootsOf({ flows, restarts, size, givenUp }: World): Boot[] {
  const times: Record<string, number> = {}
  for (const [node, at] of Object.entries(restarts)) if (at !== undefined) times[node] = epochMs + at
  const reports = flows.flatMap(flow => reportsOf(flow, times)).sort((a, b) => a.record.atMs - b.record.atMs)
  return nodes.flatMap(node =>
    [0, 1].map(boot => {
      const mine = reports.filter(each => each.node === node && each.boot === boot)
      const spooled = spooledOf(
        mine.map(({ record }) => record),
        size,
      )
      const bootId = `00000000000000${boot}${node === 'north' ? 1 : 2}`
      return { node, bootId, spooled: spooled.slice(givenUp) }
    }),
  )
}

describe('batches that a full spool merged', () => {
  it('give the same totals per connection and minute, the same ends, openings and holes', {
    timeout: 60_000,
  }, () => {
    let mergedRecords = 0
    fc.assert(
      fc.property(world, given => {
        const boots = bootsOf(given)
        const apart = run(boots.flatMap(boot => messagesOf(boot, boot.spooled)))
        const merged = run(
          boots.flatMap(boot => {
            const spooled = mergedOf(boot.spooled, given.window)
            mergedRecords += countOf(boot.spooled) - countOf(spooled)
            return messagesOf(boot, spooled)
          }),
        )
        expect(exactly(merged.booked)).toEqual(exactly(apart.booked))
        expect(merged.open).toEqual(apart.open)
      }),
      { numRuns: 100, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    )
    expect(mergedRecords).toBeGreaterThan(0)
  })
})

function countOf(spooled: readonly Spooled[]): number {
  return spooled.reduce((sum, { recordCount }) => sum + recordCount, 0)
}
