import { type BatchHeader, encodeFlowBatch, lossPlaces, Role } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { type CoreOptions, createCore } from './core.ts'
import { epochMs, flowBatch, minuteMs, record, type TestRecord } from './join/flow-batch.testing.ts'

const startMs = epochMs + 2_000

/** The aggregator's core with one node that sends; sequence numbers and record counts follow by themselves. */
function setUp(change: Partial<CoreOptions> = {}) {
  const core = createCore({
    startMs,
    joinCapacity: 1_000,
    maxEdges: 1_000,
    retentionMs: 24 * 3_600_000,
    ...change,
  })
  let sequence = 0
  let sent = 0
  const batch = (records: readonly TestRecord[], header: Partial<BatchHeader> = {}) => {
    const own = { node: 'n', bootId: '00000000000000aa', sequence: ++sequence, firstRecord: sent }
    sent += records.length
    const columns = flowBatch(
      { sentUnixMs: startMs, recordsEncoded: sent, minuteComplete: false, ...own, ...header },
      records,
    )
    return { node: 'n', partition: 0, data: encodeFlowBatch(columns) }
  }
  /** Every connection has its own server port, and so its own edge. */
  const records = (count: number, from: number, more: Partial<TestRecord> = {}) =>
    Array.from({ length: count }, (_, i) =>
      record({
        role: Role.client,
        dialler: from + i + 1,
        acceptor: 5,
        flowId: from + i + 1,
        remote: `10.0.0.2:${from + i + 1}`,
        ...more,
      }),
    )
  const status = (nowMs = startMs) => core.reader.ingestStatus(nowMs)
  const booked = (nowMs: number) => {
    core.tick(nowMs)
    const fromMs = Math.floor(startMs / minuteMs) * minuteMs
    return core.reader.completeness(fromMs, Math.floor(nowMs / minuteMs) * minuteMs + minuteMs, nowMs)
  }
  return { core, batch, records, status, booked }
}

type Set = ReturnType<typeof setUp>

describe('what the aggregator loses', () => {
  const here: [string, Partial<CoreOptions>, (set: Set) => number, Record<string, number>, number][] = [
    [
      'batches that cannot be decoded, each as one since nobody knows what it held',
      {},
      ({ core, batch, records }) => {
        const whole = batch(records(5, 0))
        core.accept({ ...whole, data: whole.data.subarray(0, whole.data.length - 3) }, startMs)
        core.accept({ ...whole, data: Uint8Array.of(255, 255, 255) }, startMs)
        core.accept(whole, startMs)
        return startMs
      },
      { malformed: 2 },
      5,
    ],
    [
      'connections beyond the table',
      { joinCapacity: 3 },
      ({ core, batch, records }) => {
        core.accept(batch(records(7, 0)), startMs)
        return startMs
      },
      { join_table_full: 4 },
      3,
    ],
    [
      'edges beyond the cap of a minute',
      { maxEdges: 4 },
      ({ core, batch, records }) => {
        core.accept(batch(records(10, 0)), startMs)
        return startMs
      },
      { cardinality_cap: 6 },
      4,
    ],
    [
      'records whose minute can no longer be corrected',
      {},
      ({ core, batch, records }) => {
        core.accept(batch(records(2, 0)), startMs)
        const lateMs = startMs + 20 * minuteMs
        for (let at = startMs; at <= lateMs; at += 5_000) core.tick(at)
        core.accept(batch(records(3, 10)), lateMs)
        core.accept(batch(records(4, 20, { atMs: lateMs, openedMs: lateMs })), lateMs)
        return lateMs
      },
      { late: 3 },
      6,
    ],
  ]
  it.each(here)('counts %s', (_, options, overflow, lost, applied) => {
    const set = setUp(options)
    const nowMs = overflow(set)
    const sum = Object.values(lost).reduce((a, b) => a + b, 0)
    expect(set.status(nowMs).identity).toEqual({
      received: applied + sum,
      applied,
      duplicates: 0,
      lost,
      holds: true,
    })
    expect(set.status(nowMs).nodes[0]?.identity.records.holds).toBe(true)
    expect(set.booked(nowMs)).toMatchObject({ lost, lostRecords: sum })
  })

  it('counts batches that never came with the next one, and takes back what comes after all', () => {
    const { core, batch, records, status, booked } = setUp()
    const all = [3, 4, 5, 6].map((count, i) => batch(records(count, 10 * i)))
    core.accept(all[0]!, startMs)
    core.accept(all[3]!, startMs)
    const of = () => status().nodes[0]?.identity.records
    expect(of()).toMatchObject({
      encoded: 18,
      received: 9,
      inFlight: 0,
      lost: { sequence_gap: 9 },
      holds: true,
    })
    expect(booked(startMs)).toMatchObject({ lost: { sequence_gap: 9 }, lostRecords: 9 })
    core.accept(all[2]!, startMs + 1_000)
    expect(of()).toMatchObject({ received: 14, lost: { sequence_gap: 4 }, holds: true })
    core.accept(all[2]!, startMs + 1_000)
    expect(status().identity).toMatchObject({
      received: 19,
      applied: 14,
      duplicates: 5,
      lost: {},
      holds: true,
    })
    expect(booked(startMs + 1_000)).toMatchObject({ lost: { sequence_gap: 4 }, lostRecords: 4 })
  })

  it('hands on what the collector lost before, at each of its places', () => {
    const { core, batch, records, status, booked } = setUp()
    const losses = [
      { place: lossPlaces.ring_full, records: 1 },
      { place: lossPlaces.storage_refused, records: 2 },
      { place: lossPlaces.flow_table_full, records: 3 },
      { place: lossPlaces.spool_full, records: 4 },
    ]
    const figures = { recordsEncoded: 20, recordsMerged: 6, ringProduced: 31, ringConsumed: 30, losses }
    core.accept(batch(records(10, 0), figures), startMs)
    const lost = { ring_full: 1, storage_refused: 2, flow_table_full: 3, spool_full: 4 }
    expect(status().nodes[0]?.identity).toEqual({
      ring: { produced: 31, consumed: 30, full: 1, holds: true },
      records: { encoded: 20, received: 10, merged: 6, sampledOut: 0, inFlight: 0, lost, holds: true },
    })
    expect(booked(startMs)).toMatchObject({ lost, lostRecords: 10 })
  })
})
