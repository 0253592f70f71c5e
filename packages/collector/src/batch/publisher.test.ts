import { type BatchHeader, type BusMessage, createFlowColumns, decodeFlowBatch } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../manual-clock.testing.ts'
import { createSpool, type SpoolEntry } from '../spool/spool.ts'
import { createPublisher } from './publisher.ts'
import { createSealer, type SealCounters } from './seal.ts'

const window = 4
const minuteMs = Date.UTC(2026, 0, 1)
const columns = createFlowColumns()

/** The plain header. Bodies are empty here, so decoding is asked about a batch without records. */
function headerOf(message: BusMessage): BatchHeader {
  decodeFlowBatch(message.data, columns)
  return structuredClone(columns.header)
}

function entry(partition: number, recordCount: number): SpoolEntry {
  return {
    partition,
    recordCount,
    baseUnixMs: minuteMs,
    minuteComplete: recordCount === 0,
    body: new Uint8Array(0),
  }
}

function setUp(spoolBatches: number) {
  const spool = createSpool(spoolBatches * 256)
  const clock = manualClock()
  const waiting: { message: BusMessage; resolve: () => void; reject: (error: Error) => void }[] = []
  let encoded = 0
  const counters = (): SealCounters => ({
    recordsEncoded: encoded,
    recordsMerged: 0,
    recordsSampledOut: 0,
    ringProduced: 0,
    ringConsumed: 0,
    lost: { ring_full: 0, storage_refused: 0, flow_table_full: 0, spool_full: spool.counts.lostRecords },
  })
  const identity = {
    cluster: 'c',
    node: 'n.1',
    bootId: '0123456789abcdef',
    flushIntervalMs: 500,
    capabilities: 3,
  }
  let troubles = 0
  let recoveries = 0
  const publisher = createPublisher({
    bus: {
      publish: message =>
        new Promise((resolve, reject) => {
          waiting.push({ message, resolve, reject })
        }),
    },
    spool,
    clock,
    window,
    random: () => 0.5,
    seal: createSealer(identity, counters, () => clock.nowMs()).seal,
    onTrouble: () => troubles++,
    onRecovered: () => recoveries++,
  })
  const add = (partition: number, recordCount: number) => {
    encoded += recordCount
    spool.add(entry(partition, recordCount))
    publisher.pump()
  }
  const notes = () => ({ troubles, recoveries })
  return { spool, clock, waiting, publisher, add, notes, encoded: () => encoded }
}

const settled = () => new Promise<void>(resolve => setImmediate(resolve))

describe('createPublisher', () => {
  it('keeps at most a window unacknowledged', async () => {
    const { waiting, publisher, add, spool } = setUp(100)
    for (let index = 0; index < 10; index++) add(0, 1)
    expect(waiting).toHaveLength(window)
    expect(spool.counts.waitingBatches).toBe(10 - window)
    waiting.shift()!.resolve()
    await settled()
    expect(waiting).toHaveLength(window)
    expect(publisher.counts).toMatchObject({ publishedBatches: 1, sealedBatches: window })
  })

  it('numbers partitions apart, from 1, and says how many records came before', () => {
    const { waiting, add } = setUp(100)
    add(0, 5)
    add(1, 7)
    add(0, 9)
    const headers = waiting.map(({ message }) => headerOf(message))
    expect(headers.map(({ partition, sequence, firstRecord }) => [partition, sequence, firstRecord])).toEqual(
      [
        [0, 1, 0],
        [1, 1, 0],
        [0, 2, 5],
      ],
    )
    expect(waiting[0].message).toMatchObject({ node: 'n_1', partition: 0 })
    expect(headers[0]).toMatchObject({
      node: 'n.1',
      bootId: '0123456789abcdef',
      capabilities: 3,
      recordsEncoded: 5,
    })
  })

  it('publishes rejected batches again, unchanged and in order, before anything new', async () => {
    const { waiting, add, clock, publisher, notes } = setUp(100)
    for (let index = 0; index < 4; index++) add(0, 1)
    const first = waiting.splice(0)
    for (const index of [2, 3, 0]) first[index].reject(new Error('down'))
    await settled()
    add(0, 1)
    expect(waiting).toHaveLength(0)
    expect(clock.pendingTimers).toBe(0)
    first[1].resolve()
    await settled()
    expect(clock.pendingTimers).toBe(1)
    clock.advance(200)
    expect(waiting.map(({ message }) => message.data)).toEqual(
      [0, 2, 3].map(index => first[index].message.data),
    )
    expect(notes()).toEqual({ troubles: 1, recoveries: 0 })
    for (const { resolve } of waiting.splice(0)) resolve()
    await settled()
    expect(notes()).toEqual({ troubles: 1, recoveries: 1 })
    expect(headerOf(waiting[0].message).sequence).toBe(5)
    expect(publisher.counts.rejections).toBe(3)
  })

  it('waits longer after each failure, up to a limit', async () => {
    const { waiting, add, clock } = setUp(100)
    add(0, 1)
    const delays: number[] = []
    for (let round = 0; round < 10; round++) {
      waiting.shift()!.reject(new Error('down'))
      await settled()
      const before = clock.nowMs()
      while (waiting.length === 0) clock.advance(5)
      delays.push(clock.nowMs() - before)
    }
    expect(delays.slice(0, 3)).toEqual([75, 150, 300])
    expect(delays.at(-1)).toBe(3_750)
  })

  it('treats a bus that throws like one that rejects', async () => {
    const spool = createSpool(1_000)
    const clock = manualClock()
    const publisher = createPublisher({
      bus: {
        publish() {
          throw new Error('closed')
        },
      },
      spool,
      clock,
      seal: one => ({
        order: 0,
        recordCount: one.recordCount,
        message: { node: 'n', partition: 0, data: one.body },
      }),
    })
    spool.add(entry(0, 1))
    publisher.pump()
    await settled()
    expect(publisher.counts).toMatchObject({ rejections: 1, sealedBatches: 1 })
    expect(clock.pendingTimers).toBe(1)
    publisher.stop()
    expect(clock.pendingTimers).toBe(0)
  })

  it('says when everything is published, or that the deadline came first', async () => {
    const { waiting, add, clock, publisher } = setUp(100)
    await expect(publisher.drained(1_000)).resolves.toBe(true)
    add(0, 1)
    const late = publisher.drained(1_000)
    clock.advance(1_000)
    await expect(late).resolves.toBe(false)
    const done = publisher.drained(1_000)
    waiting[0].resolve()
    await expect(done).resolves.toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })
})

const step = fc.oneof(
  fc.record({ add: fc.tuple(fc.nat(2), fc.nat(50)) }),
  fc.record({ resolve: fc.nat() }),
  fc.record({ reject: fc.nat() }),
  fc.record({ advance: fc.nat(6_000) }),
)

describe('spool, publisher and sealer under random outages', () => {
  it('deliver every record once, or count it as lost, and keep the identity at every step', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.array(step, { maxLength: 120 }),
        async (size, steps) => {
          const { waiting, publisher, spool, clock, add, encoded } = setUp(size)
          const delivered: BusMessage[] = []
          const bytesSent = new Map<string, string>()
          const settle = (at: number, how: 'resolve' | 'reject') => {
            if (waiting.length === 0) return
            const [one] = waiting.splice(at % waiting.length, 1)
            const { partition, sequence } = headerOf(one.message)
            const bytes = Buffer.from(one.message.data).toString('hex')
            const key = `${partition}/${sequence}`
            expect(bytesSent.get(key) ?? bytes, 'bytes of a sealed batch').toBe(bytes)
            bytesSent.set(key, bytes)
            if (how === 'resolve') delivered.push(one.message)
            one[how](new Error('down'))
          }
          const check = () => {
            const { waitingRecords, lostRecords } = spool.counts
            const { publishedRecords, sealedRecords, sealedBatches } = publisher.counts
            expect(publishedRecords + sealedRecords + waitingRecords + lostRecords).toBe(encoded())
            expect(sealedBatches).toBeLessThanOrEqual(window)
          }
          for (const one of steps) {
            if ('add' in one) add(...one.add)
            else if ('resolve' in one) settle(one.resolve, 'resolve')
            else if ('reject' in one) settle(one.reject, 'reject')
            else clock.advance(one.advance)
            await settled()
            check()
          }
          while (publisher.counts.sealedBatches > 0 || spool.counts.waitingBatches > 0) {
            clock.advance(6_000)
            settle(0, 'resolve')
            await settled()
            check()
          }
          const headers = delivered.map(headerOf).sort((a, b) => a.sequence - b.sequence)
          for (const partition of [0, 1, 2]) {
            let records = 0
            headers
              .filter(header => header.partition === partition)
              .forEach((header, index) => {
                expect(header.sequence).toBe(index + 1)
                expect(header.firstRecord).toBe(records)
                records += header.recordCount
              })
          }
          const received = headers.reduce((sum, { recordCount }) => sum + recordCount, 0)
          expect(received + spool.counts.lostRecords).toBe(encoded())
        },
      ),
      { numRuns: 100 },
    )
  }, 30_000)
})
