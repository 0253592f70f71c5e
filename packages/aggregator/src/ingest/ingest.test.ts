import { type BatchHeader, encodeFlowBatch, lossPlaces } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { epochMs, flowBatch, minuteMs, record } from '../join/flow-batch.testing.ts'
import { createJoin } from '../join/join.ts'
import { ReferenceBook, ReferenceEntities } from '../join/reference-book.testing.ts'
import { LossBooking } from '../loss-booking.ts'
import { createIngest } from './ingest.ts'
import { ingestStatus } from './ingest-status.ts'
import { SequenceLog } from './sequence-log.ts'

const nowMs = epochMs + 2_000

function setUp(options: { maxNodes?: number; maxPartitions?: number; losses?: LossBooking } = {}) {
  const entities = new ReferenceEntities()
  const book = new ReferenceBook(entities)
  const join = createJoin({ book, entities, names: entities, hashSeed: 3, endedFlows: 10 })
  const completed: string[] = []
  const windows = {
    heard() {},
    minuteComplete: (node: string, _boot: string, partition: number, minute: number) =>
      completed.push(`${node} ${partition} ${minute}`),
  }
  const ingest = createIngest({ join, windows, names: entities, ...options })
  const send = (header: Partial<BatchHeader> = {}, count = 1, node = header.node ?? 'n.1', atMs = nowMs) => {
    const records = Array.from({ length: count }, (_, i) => record({ dialler: i + 1, flowId: i + 1 }))
    const columns = flowBatch({ node, bootId: '0000000000000001', sentUnixMs: nowMs, ...header }, records)
    const message = {
      node: node.replaceAll('.', '_'),
      partition: columns.header.partition,
      data: encodeFlowBatch(columns),
    }
    ingest.accept(message, atMs)
  }
  return { ingest, send, completed, entities }
}

describe('createIngest', () => {
  it('applies a batch once and counts repeats', () => {
    const { ingest, send } = setUp()
    send({}, 3)
    send({}, 3)
    const { identity } = ingest.status(nowMs)
    expect(identity).toEqual({ received: 6, applied: 3, duplicates: 3, lost: {}, holds: true })
  })

  it('goes on with a node whose number was freed while it was silent, and refuses it where there is none left', () => {
    const { ingest, send, entities } = setUp()
    send({ sequence: 1 }, 2)
    const number = entities.node('another')
    entities.node = () => number
    send({ sequence: 2, firstRecord: 2 }, 2)
    send({ sequence: 1 }, 2)
    const { identity, nodes } = ingest.status(nowMs)
    expect(identity).toEqual({ received: 6, applied: 4, duplicates: 2, lost: {}, holds: true })
    expect(nodes.map(({ node }) => node)).toEqual(['n.1'])
    entities.node = () => -1
    send({ sequence: 3, firstRecord: 4 }, 2)
    expect(ingest.status(nowMs).identity.lost).toEqual({ cardinality_cap: 2 })
  })

  it('counts a gap in records and takes back what comes after all', () => {
    const { ingest, send } = setUp()
    send({ sequence: 1, firstRecord: 0 }, 2)
    send({ sequence: 4, firstRecord: 9, recordsEncoded: 10 }, 1)
    const lost = () => ingest.status(nowMs).nodes[0]?.identity.records.lost
    expect(lost()).toEqual({ sequence_gap: 7 })
    send({ sequence: 3, firstRecord: 5 }, 4)
    expect(lost()).toEqual({ sequence_gap: 3 })
    send({ sequence: 2, firstRecord: 2 }, 3)
    expect(lost()).toEqual({})
    expect(ingest.status(nowMs).nodes[0]?.identity.records).toMatchObject({
      received: 10,
      inFlight: 0,
      holds: true,
    })
  })

  it('says nothing about what is under way where it reads only some of the partitions', () => {
    const { ingest, send } = setUp()
    send({ sequence: 1, firstRecord: 0, recordsEncoded: 50 }, 2)
    const [node] = ingestStatus([ingest.figures()], nowMs, false).nodes
    const { inFlight, received, holds } = node!.identity.records
    expect([inFlight, received, holds]).toEqual([undefined, 2, true])
  })

  it('shows what the collector merged, lost and still has', () => {
    const { ingest, send } = setUp()
    const losses = [
      { place: lossPlaces.spool_full, records: 4 },
      { place: lossPlaces.ring_full, records: 2 },
    ]
    send({ recordsEncoded: 20, recordsMerged: 3, ringProduced: 12, ringConsumed: 10, losses }, 5)
    const [node] = ingest.status(nowMs).nodes
    expect(node?.identity.records).toEqual({
      encoded: 20,
      received: 5,
      merged: 3,
      sampledOut: 0,
      inFlight: 8,
      lost: { spool_full: 4, ring_full: 2 },
      holds: true,
    })
    expect(node?.identity.ring).toEqual({ produced: 12, consumed: 10, full: 2, holds: true })
  })

  it('refuses foreign nodes, other partitions, impossible times and figures that contradict each other', () => {
    const { ingest, send } = setUp()
    send({ node: 'other' }, 2, 'n.1')
    send({ sentUnixMs: nowMs + 3_600_000 }, 1)
    ingest.accept({ node: 'n_1', partition: 0, data: Uint8Array.of(1, 2, 3) }, nowMs)
    send({ sequence: 1, firstRecord: 7 }, 1)
    send({ sequence: 2, firstRecord: 5_000 }, 1)
    const { identity } = ingest.status(nowMs)
    expect(identity).toEqual({ received: 6, applied: 0, duplicates: 0, lost: { malformed: 6 }, holds: true })
  })

  it('is bounded in nodes and partitions, and counts what is over', () => {
    const { ingest, send } = setUp({ maxNodes: 1, maxPartitions: 1 })
    send({}, 1)
    send({ node: 'n.2' }, 2)
    send({ partition: 1 }, 3)
    const { identity, nodes } = ingest.status(nowMs)
    expect(identity).toMatchObject({ received: 6, applied: 1, lost: { cardinality_cap: 5 }, holds: true })
    expect(nodes).toHaveLength(1)
  })

  it('passes on that a minute is complete', () => {
    const { send, completed } = setUp()
    send({ minuteComplete: true }, 0)
    expect(completed).toEqual([`n.1 0 ${epochMs / minuteMs}`])
  })

  it('waits with the end of a minute for batches that were overtaken, but not for ever', () => {
    const { send, completed } = setUp()
    send({ sequence: 3, firstRecord: 2, minuteComplete: true }, 0)
    send({ sequence: 2, firstRecord: 1 }, 1)
    expect(completed).toEqual([])
    send({ sequence: 1, firstRecord: 0 }, 1)
    expect(completed).toEqual([`n.1 0 ${epochMs / minuteMs}`])
    send({ sequence: 5, firstRecord: 3, minuteComplete: true, baseUnixMs: epochMs + minuteMs }, 0)
    expect(completed).toHaveLength(1)
    send({ sequence: 6, firstRecord: 3 }, 1, 'n.1', nowMs + 30_000)
    expect(completed).toEqual([`n.1 0 ${epochMs / minuteMs}`, `n.1 0 ${epochMs / minuteMs + 1}`])
  })

  it('tells a killed collector from one that stopped', () => {
    const second = { bootId: '0000000000000002', sentUnixMs: nowMs + 1 }
    const killed = setUp()
    killed.send({}, 1)
    // also right after the end of a minute, when nothing seems to be under way
    killed.send({ sequence: 2, firstRecord: 1, minuteComplete: true }, 0)
    killed.send(second, 1)
    expect(killed.ingest.status(nowMs).nodes[0]).toMatchObject({
      bootId: second.bootId,
      uncleanRestart: true,
    })
    const stopped = setUp()
    stopped.send({}, 1)
    stopped.send({ sequence: 2, firstRecord: 1, cleanStop: true }, 0)
    stopped.send(second, 1)
    expect(stopped.ingest.status(nowMs).nodes[0]).toMatchObject({ uncleanRestart: false })
    // a late batch of the first boot does not bring it back
    stopped.send({ sequence: 3, firstRecord: 1 }, 1)
    expect(stopped.ingest.status(nowMs).nodes[0]?.bootId).toBe(second.bootId)
    const halfStopped = setUp()
    halfStopped.send({}, 1)
    halfStopped.send({ sequence: 1, partition: 1 }, 1)
    halfStopped.send({ sequence: 2, firstRecord: 1, cleanStop: true }, 0)
    halfStopped.send(second, 1)
    expect(halfStopped.ingest.status(nowMs).nodes[0]).toMatchObject({ uncleanRestart: true })
  })

  it('counts what comes too late at one place, in sums and in minutes', () => {
    const booked: Record<string, number> = {}
    const losses = new LossBooking((place, _minute, records) => {
      booked[place] = (booked[place] ?? 0) + records
    })
    const { ingest, send } = setUp({ losses })
    const late = nowMs + 16 * minuteMs
    send({ sequence: 1, firstRecord: 0 }, 2)
    send({ sequence: 4, firstRecord: 9, recordsEncoded: 10 }, 1)
    expect(booked).toEqual({ sequence_gap: 7 })
    const arrive = () => send({ sequence: 2, firstRecord: 2 }, 3, 'n.1', late)
    arrive()
    const { identity, nodes } = ingest.status(late)
    expect(identity).toEqual({ received: 6, applied: 3, duplicates: 0, lost: { late: 3 }, holds: true })
    const records = { received: 6, inFlight: 0, lost: { sequence_gap: 4 }, holds: true }
    expect(nodes[0]?.identity.records).toMatchObject(records)
    expect(booked).toEqual({ sequence_gap: 7 })
    arrive()
    expect(ingest.status(late).identity).toMatchObject({ duplicates: 3, lost: { late: 3 }, holds: true })
    expect(ingest.status(late).nodes[0]?.identity.records).toMatchObject(records)
    // the rest of the same gap, and a loss of another place after it
    send({ sequence: 3, firstRecord: 5 }, 4, 'n.1', late)
    ingest.accept({ node: 'n_1', partition: 0, data: new Uint8Array(1) }, late)
    expect(booked).toEqual({ sequence_gap: 7, malformed: 1 })
    expect(ingest.status(late).nodes[0]?.identity.records.lost).toEqual({})
  })

  it('applies nothing twice of a boot that was forgotten', () => {
    const { ingest, send } = setUp()
    const boot = (ordinal: number) => ({
      bootId: ordinal.toString(16).padStart(16, '0'),
      sentUnixMs: nowMs + ordinal,
    })
    send({ ...boot(0), sequence: 1 }, 5)
    for (let ordinal = 1; ordinal <= 16; ordinal++) send(boot(ordinal), 1)
    send({ ...boot(0), sequence: 1 }, 5)
    send({ ...boot(0), sequence: 2, firstRecord: 5 }, 4)
    const { identity, nodes } = ingest.status(nowMs)
    expect(identity).toEqual({ received: 30, applied: 21, duplicates: 0, lost: { late: 9 }, holds: true })
    expect(nodes[0]?.identity.records.lost).toEqual({})
    // one of those that are remembered still may go on
    send({ ...boot(1), sequence: 2, firstRecord: 1 }, 2)
    expect(ingest.status(nowMs).identity).toMatchObject({ applied: 23, holds: true })
  })

  it('takes one node for each name that stands in subjects', () => {
    const { ingest, send } = setUp()
    send({ node: 'a.b_c' })
    for (const node of ['a.b.c', 'a_b.c', 'a_b_c']) send({ node })
    expect(ingest.status(nowMs).identity).toMatchObject({ applied: 1, lost: { malformed: 3 }, holds: true })
    expect(ingest.status(nowMs).nodes.map(({ node }) => node)).toEqual(['a.b_c'])
    // a node that was renamed may be heard of under its new name when the old one is silent
    const later = nowMs + 60 * minuteMs
    send({ node: 'a.b.c', sentUnixMs: later, baseUnixMs: later - (later % minuteMs) }, 0, 'a.b.c', later)
    expect(ingest.status(later).nodes.map(({ node }) => node)).toEqual(['a.b_c', 'a.b.c'])
  })

  it('estimates the clock of a node from its quickest batch', () => {
    const { ingest, send } = setUp()
    send({ sentUnixMs: nowMs + 250 }, 1, 'n.1', nowMs + 40)
    send({ sentUnixMs: nowMs + 1_250, sequence: 2, firstRecord: 1 }, 1, 'n.1', nowMs + 1_010)
    const status = ingest.status(nowMs + 120_000)
    expect(status.nodes[0]).toMatchObject({ clockOffsetMs: 240, reporting: false })
  })
})

describe('SequenceLog', () => {
  it('keeps a bounded list of gaps and calls what fills an old one late', () => {
    const log = new SequenceLog({ recordsPerBatch: 10, maxGaps: 2, settleMs: 1_000 })
    for (const sequence of [2, 4, 6]) expect(log.note(sequence, sequence - 1, 1, 0)).toBe('new')
    expect(log.note(1, 0, 1, 0)).toBe('duplicate')
    expect(log.contiguous).toBe(false)
    expect(log.note(5, 4, 1, 2_000)).toBe('late')
    expect([log.missingRecords, log.records, log.contiguous]).toEqual([2, 6, true])
    expect(log.note(5, 4, 1, 2_000)).toBe('duplicate')
    expect(log.missingRecords).toBe(2)
  })
})
