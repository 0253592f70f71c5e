import { createFlowColumns, encodeBody, Kind, packKind, State } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { createSpool, entryOverheadBytes, type SpoolEntry } from './spool.ts'

const minuteMs = 60_000

/** The n-th reading of flows `from` to `to`, each of which moves 100 bytes from one to the next. */
function wave(n: number, from: number, to: number, partition = 0, minute = 0): SpoolEntry {
  const columns = createFlowColumns()
  columns.count = to - from
  columns.header.owners.push({ cgroup: '/x', podUid: '', containerId: '', unit: '', process: 'p', pid: 1 })
  for (let i = 0; i < columns.count; i++) {
    columns.u32.kind[i] = packKind(1, 1, State.open, 0, n === 1 ? Kind.first : 0)
    columns.u64.flowId[2 * i] = from + i
    columns.u32.atMs[i] = n
    columns.u32.ageMs[i] = n
    columns.u32.bytesSent[i] = 100
    columns.u64.bytesSentTotal[2 * i] = 100 * n
  }
  return {
    partition,
    recordCount: columns.count,
    baseUnixMs: minute * minuteMs,
    minuteComplete: false,
    body: encodeBody(columns),
  }
}

const marker = (partition: number, minute: number): SpoolEntry => ({
  partition,
  recordCount: 0,
  baseUnixMs: minute * minuteMs,
  minuteComplete: true,
  body: new Uint8Array(0),
})

function drain(spool: ReturnType<typeof createSpool>): SpoolEntry[] {
  const taken: SpoolEntry[] = []
  for (let entry = spool.take(); entry !== undefined; entry = spool.take()) taken.push(entry)
  return taken
}

describe('a full spool', () => {
  const one = wave(1, 0, 200)
  const room = (waves: number) => waves * (one.body.length + entryOverheadBytes) + 4 * entryOverheadBytes

  it('merges before it gives anything up, and accounts for every record', () => {
    const spool = createSpool(room(3))
    let lost = 0
    for (let n = 1; n <= 60; n++) lost += spool.add(wave(n, 0, 200))
    expect(lost).toBe(0)
    const { waitingRecords, mergedRecords, lostRecords } = spool.counts
    expect(waitingRecords + mergedRecords).toBe(60 * 200)
    expect(lostRecords).toBe(0)
    const taken = drain(spool)
    expect(taken.reduce((sum, { recordCount }) => sum + recordCount, 0)).toBe(waitingRecords)
    expect(spool.counts).toMatchObject({ waitingRecords: 0, waitingBytes: 0, waitingBatches: 0 })
  })

  it('merges the oldest minute first, and keeps minutes and what says that they are complete in order', () => {
    const spool = createSpool(room(5))
    for (const minute of [0, 1]) {
      for (let n = 1; n <= 2; n++)
        for (const partition of [0, 1]) spool.add(wave(n, 0, 200, partition, minute))
      for (const partition of [0, 1]) spool.add(marker(partition, minute))
    }
    expect(spool.counts).toMatchObject({ lostRecords: 0, unmergeableBatches: 0 })
    expect(spool.counts.mergedRecords).toBeGreaterThan(0)
    for (const partition of [0, 1]) {
      const mine = drain(createCopy(spool)).filter(entry => entry.partition === partition)
      const order = mine.map(
        ({ baseUnixMs, minuteComplete }) => 2 * (baseUnixMs / minuteMs) + Number(minuteComplete),
      )
      expect(order).toEqual([...order].sort((a, b) => a - b))
    }
  })

  it('gives up the oldest when merging brings nothing, and counts it', () => {
    const spool = createSpool(room(3))
    let lost = 0
    for (let n = 0; n < 10; n++) lost += spool.add(wave(1, 1_000 * n, 1_000 * n + 200))
    expect(lost).toBe(7 * 200)
    expect(spool.counts).toMatchObject({ lostRecords: 7 * 200, waitingRecords: 3 * 200, mergedRecords: 0 })
  })

  it('offers the oldest to where it overflows to, after merging', () => {
    const aside: SpoolEntry[] = []
    const spool = createSpool(room(3), {
      overflow: entry => {
        if (aside.length === 2) return false
        aside.push(entry)
        return true
      },
    })
    for (let n = 0; n < 10; n++) spool.add(wave(1, 1_000 * n, 1_000 * n + 200))
    expect(aside).toEqual([wave(1, 0, 200), wave(1, 1_000, 1_200)])
    expect(spool.counts).toMatchObject({ lostRecords: 5 * 200, waitingRecords: 3 * 200 })
  })

  it('keeps batches that it cannot read as they are', () => {
    const spool = createSpool(room(3))
    const odd = { ...wave(1, 0, 200), body: new Uint8Array(one.body.length) }
    spool.add(odd)
    spool.add(odd)
    for (let n = 1; n <= 2; n++) spool.add(wave(n, 0, 200))
    expect(spool.counts.unmergeableBatches).toBeGreaterThan(0)
    expect(spool.counts.lostRecords).toBe(200)
    expect(spool.take()).toBe(odd)
  })
})

/** The same entries in another spool, so that they can be looked at twice. */
function createCopy(spool: ReturnType<typeof createSpool>): ReturnType<typeof createSpool> {
  const entries = drain(spool)
  const copy = createSpool(1 << 30)
  for (const entry of entries) {
    spool.add(entry)
    copy.add(entry)
  }
  return copy
}
