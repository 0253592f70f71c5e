import { type BusMessage, encodeFlowBatch, Kind, State } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createIngest } from '../ingest/ingest.ts'
import { expectedBooking } from './expected-booking.testing.ts'
import { epochMs, flowBatch, minuteMs } from './flow-batch.testing.ts'
import {
  type InventedFlow,
  inventedFlows,
  type Reported,
  reportsOf,
  worldMinutes,
} from './invented-world.testing.ts'
import { createJoin } from './join.ts'
import { optionsOf, type Way } from './join-world.testing.ts'
import { type Booked, ReferenceBook, ReferenceEntities } from './reference-book.testing.ts'

interface Sent {
  readonly message: BusMessage
  readonly reports: readonly Reported[]
  readonly flows: readonly InventedFlow[]
}

const deltas = [
  'bytesSent',
  'bytesReceived',
  'segmentsSent',
  'segmentsReceived',
  'dataSent',
  'dataReceived',
  'retransmits',
  'outOfOrder',
] as const

/** Adjacent open readings of one side and minute as one, the way a spool that runs full joins them. */
function mergedReports(reports: Reported[]): Reported[] {
  const merged: Reported[] = []
  for (const report of reports) {
    const last = merged.at(-1)
    const minute = (each: Reported) => Math.floor(each.record.atMs / minuteMs)
    const isAdjacent =
      last !== undefined &&
      last.record.role === report.record.role &&
      last.boot === report.boot &&
      minute(last) === minute(report) &&
      (last.record.flags & Kind.first) === 0 &&
      report.record.state === State.open
    if (!isAdjacent) {
      merged.push(report)
      continue
    }
    const sums = Object.fromEntries(deltas.map(name => [name, last.record[name] + report.record[name]]))
    const said = [...last.record.said, ...report.record.said]
    merged[merged.length - 1] = { ...report, record: { ...report.record, ...sums, said } }
  }
  return merged
}

function withoutSamples(booked: Booked): Booked {
  const kept: Booked = {}
  for (const [edge, minutes] of Object.entries(traffic(booked)))
    for (const [minute, values] of Object.entries(minutes)) {
      const rest = Object.entries(values).filter(([name]) => !name.includes('RttUs='))
      if (rest.length > 0) kept[edge] = { ...kept[edge], [minute]: Object.fromEntries(rest) }
    }
  return kept
}

/** Cuts what the nodes report into batches of one node, boot and minute, with exact sequence numbers. */
function batchesOf(
  flows: readonly InventedFlow[],
  restarts: Record<string, number>,
  batchSize: number,
  told: (reports: Reported[]) => Reported[] = reports => reports,
): Sent[] {
  const all = flows.flatMap(flow => told(reportsOf(flow, restarts)).map(report => ({ ...report, flow })))
  all.sort((a, b) => a.record.atMs - b.record.atMs)
  const sent: Sent[] = []
  for (const node of ['north', 'south']) {
    for (const boot of [0, 1]) {
      const mine = all.filter(each => each.node === node && each.boot === boot)
      let sequence = 0
      let firstRecord = 0
      while (mine.length > 0) {
        const minute = Math.floor(mine[0].record.atMs / minuteMs)
        let count = 0
        while (count < Math.min(batchSize, mine.length)) {
          if (Math.floor(mine[count].record.atMs / minuteMs) !== minute) break
          count++
        }
        const chunk = mine.splice(0, count)
        const columns = flowBatch(
          {
            node,
            bootId: `00000000000000${boot}${node === 'north' ? 1 : 2}`,
            sequence: ++sequence,
            firstRecord,
            sentUnixMs: chunk[count - 1].record.atMs,
          },
          chunk.map(each => each.record),
        )
        firstRecord += count
        sent.push({
          message: { node, partition: 0, data: encodeFlowBatch(columns) },
          reports: chunk,
          flows: chunk.map(each => each.flow),
        })
      }
    }
  }
  return sent.sort((a, b) => a.reports[0].record.atMs - b.reports[0].record.atMs)
}

const endMs = epochMs + worldMinutes * minuteMs

function run(deliveries: readonly Sent[], way: Way = 'in blocks') {
  const entities = new ReferenceEntities()
  const book = new ReferenceBook(entities)
  const join = createJoin({ book, entities, names: entities, hashSeed: 7, endedFlows: 64, ...optionsOf(way) })
  const windows = { heard() {}, minuteComplete() {} }
  const ingest = createIngest({ join, windows, names: entities })
  let nowMs = endMs
  for (const { message } of deliveries) ingest.accept(message, ++nowMs)
  // holes are final after two minutes
  for (let second = 0; second < 130; second++) {
    nowMs += 1_000
    join.tick(nowMs)
  }
  return { booked: book.booked(), open: book.openChanges(), status: ingest.status(nowMs), join, nowMs }
}

function receivedOf(delivered: readonly Sent[]): Map<InventedFlow, Reported[]> {
  const received = new Map<InventedFlow, Reported[]>()
  for (const { reports, flows } of new Set(delivered)) {
    reports.forEach((report, i) => {
      received.set(flows[i], [...(received.get(flows[i]) ?? []), report])
    })
  }
  return received
}

const lossNames = ['Lost', 'Compared', 'lossCoalesced', 'missingBytes']

/** Without what is compared separately: loss, whose minute depends on when both ends were known, and missing bytes. */
function traffic(booked: Booked): Booked {
  const kept: Booked = {}
  for (const [edge, minutes] of Object.entries(booked)) {
    for (const [minute, values] of Object.entries(minutes)) {
      const rest = Object.entries(values).filter(([name]) => !lossNames.some(loss => name.endsWith(loss)))
      if (rest.length === 0) continue
      kept[edge] ??= {}
      kept[edge][Number(minute)] = Object.fromEntries(rest)
    }
  }
  return kept
}

function sumPerEdge(booked: Booked, names: readonly string[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const [edge, minutes] of Object.entries(booked)) {
    for (const values of Object.values(minutes)) {
      for (const [name, value] of Object.entries(values)) {
        if (!names.some(wanted => name.endsWith(wanted))) continue
        sums[`${edge} ${name}`] = (sums[`${edge} ${name}`] ?? 0) + value
      }
    }
  }
  return Object.fromEntries(Object.entries(sums).filter(([, value]) => value !== 0))
}

function missingPerEdge(missing: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(missing).map(([edge, bytes]) => [`${edge} missingBytes`, bytes]))
}

const restartTimes = fc.record({
  north: fc.option(fc.integer({ min: minuteMs, max: 4 * minuteMs }), { nil: undefined }),
  south: fc.option(fc.integer({ min: minuteMs, max: 4 * minuteMs }), { nil: undefined }),
})

const world = fc
  .record({ flows: inventedFlows, restarts: restartTimes, batchSize: fc.integer({ min: 1, max: 6 }) })
  .map(({ flows, restarts, batchSize }) => {
    const times: Record<string, number> = {}
    for (const [node, at] of Object.entries(restarts)) if (at !== undefined) times[node] = epochMs + at
    return { flows, sent: batchesOf(flows, times, batchSize) }
  })

/** Any order, any batch several times, some never. */
const disturbed = world.chain(({ flows, sent }) =>
  fc
    .record({
      order: fc.shuffledSubarray(sent, { minLength: sent.length }),
      twice: fc.subarray(sent),
      dropped: fc.subarray(sent, { maxLength: Math.floor(sent.length / 3) }),
    })
    .map(({ order, twice, dropped }) => ({ flows, sent, order, twice, dropped })),
)

// many runs on a slow machine
const timeoutMs = 60_000

describe('ingest and join, under every disturbance', { timeout: timeoutMs }, () => {
  it('books exactly what the flows did when everything comes in order', () => {
    fc.assert(
      fc.property(world, ({ flows, sent }) => {
        const { booked, status } = run(sent)
        const expected = expectedBooking(flows, receivedOf(sent))
        expect(traffic(booked)).toEqual(expected.booked)
        expect(sumPerEdge(booked, ['missingBytes'])).toEqual(missingPerEdge(expected.missingBytes))
        expect(status.identity.holds).toBe(true)
      }),
      { numRuns: 150, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    )
  })

  it('books the same whatever the order and however often batches come', () => {
    fc.assert(
      fc.property(disturbed, ({ sent, order, twice }) => {
        const inOrder = run(sent)
        const shuffled = run([...order, ...twice])
        expect(traffic(shuffled.booked)).toEqual(traffic(inOrder.booked))
        expect(sumPerEdge(shuffled.booked, ['missingBytes'])).toEqual(
          sumPerEdge(inOrder.booked, ['missingBytes']),
        )
        expect(shuffled.open).toEqual(inOrder.open)
        const records = sent.reduce((sum, { reports }) => sum + reports.length, 0)
        expect(shuffled.status.identity).toMatchObject({ applied: records, lost: {}, holds: true })
      }),
      { numRuns: 150, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    )
  })

  it('books exactly what came, and counts the rest, when batches are lost', () => {
    fc.assert(
      fc.property(disturbed, ({ flows, sent, order, twice, dropped }) => {
        const delivered = [...order, ...twice].filter(each => !dropped.includes(each))
        const { booked, status } = run(delivered)
        const expected = expectedBooking(flows, receivedOf(delivered))
        expect(traffic(booked)).toEqual(expected.booked)
        expect(sumPerEdge(booked, ['missingBytes'])).toEqual(missingPerEdge(expected.missingBytes))
        expect(status.identity.holds).toBe(true)
        for (const node of status.nodes)
          expect(node.identity.records.lost.sequence_gap ?? 0).toBe(gapOf(node, sent, dropped))
      }),
      { numRuns: 150, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    )
  })

  it('books the same through the library and in blocks as record by record', () => {
    fc.assert(
      fc.property(disturbed, ({ order, twice, dropped }) => {
        const delivered = [...order, ...twice].filter(each => !dropped.includes(each))
        const oneByOne = run(delivered, 'record by record')
        for (const way of ['through the library', 'in blocks'] as const) {
          const quicker = run(delivered, way)
          expect(quicker.booked).toEqual(oneByOne.booked)
          expect(quicker.open).toEqual(oneByOne.open)
          expect(quicker.status).toEqual(oneByOne.status)
          const query = { limit: 100 }
          expect(quicker.join.flows(query, quicker.nowMs)).toEqual(oneByOne.join.flows(query, oneByOne.nowMs))
        }
      }),
      { numRuns: 150, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    )
  })

  it('books the same traffic when a collector merged readings of one minute before it sent them', () => {
    fc.assert(
      fc.property(world, ({ flows }) => {
        const apart = run(batchesOf(flows, {}, 6))
        const merged = run(batchesOf(flows, {}, 6, mergedReports))
        expect(withoutSamples(merged.booked)).toEqual(withoutSamples(apart.booked))
        expect(merged.open).toEqual(apart.open)
      }),
      { numRuns: 100, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    )
  })

  it('compares closed connections to the same loss in any order', () => {
    fc.assert(
      fc.property(disturbed, ({ flows, sent, order }) => {
        if (flows.some(flow => flow.adopted) || sent.some(each => each.reports.some(r => r.boot > 0))) return
        const names = ['Lost', 'Compared', 'lossCoalesced']
        const closed = flows.every(flow => flow.closes && reportsOf(flow, {}).some(r => r.record.state === 2))
        if (closed) expect(sumPerEdge(run(order).booked, names)).toEqual(sumPerEdge(run(sent).booked, names))
      }),
      { numRuns: 200 },
    )
  })
})

/** Records of the node's current boot that a later batch shows to be missing: those after the last one can't be known. */
function gapOf(
  node: { node: string; bootId: string },
  sent: readonly Sent[],
  dropped: readonly Sent[],
): number {
  const boot = Number(node.bootId.at(-2))
  const mine = sent.filter(each => each.message.node === node.node && each.reports[0].boot === boot)
  let last = mine.length - 1
  while (last >= 0 && dropped.includes(mine[last])) last--
  const lost = mine.slice(0, last + 1).filter(each => dropped.includes(each))
  return lost.reduce((sum, each) => sum + each.reports.length, 0)
}
