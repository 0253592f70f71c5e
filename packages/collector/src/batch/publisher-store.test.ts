import type { BusMessage } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../manual-clock.testing.ts'
import { createSpool, type SpoolEntry } from '../spool/spool.ts'
import type { BatchStore } from './batch-store.ts'
import { createPublisher } from './publisher.ts'
import { createSealer, type SealedBatch } from './seal.ts'

const identity = {
  cluster: 'c',
  node: 'n.1',
  bootId: '0123456789abcdef',
  flushIntervalMs: 500,
  capabilities: 3,
}
const settled = () => new Promise<void>(resolve => setImmediate(resolve))

function entry(partition: number, recordCount: number): SpoolEntry {
  const baseUnixMs = Date.UTC(2026, 0, 1)
  return { partition, recordCount, baseUnixMs, minuteComplete: recordCount === 0, body: new Uint8Array(0) }
}

/** A store in memory that holds at most `capacity` batches. */
function memoryStore(capacity: number): BatchStore & { readonly kept: SealedBatch[] } {
  const waiting: SealedBatch[] = []
  const handedOut = new Set<SealedBatch>()
  return {
    kept: waiting,
    put(batch) {
      if (!handedOut.delete(batch) && waiting.length + handedOut.size >= capacity) return false
      waiting.push(batch)
      return true
    },
    next() {
      const batch = waiting.shift()
      if (batch !== undefined) handedOut.add(batch)
      return batch
    },
    forget(batch) {
      handedOut.delete(batch)
    },
    get counts() {
      return {
        waitingBatches: waiting.length,
        waitingRecords: waiting.reduce((sum, { recordCount }) => sum + recordCount, 0),
        bytes: 0,
        capacityBytes: 0,
        formerBatches: 0,
        lostRecords: 0,
        broken: 0,
        failedWrites: 0,
      }
    },
  }
}

function setUp(spoolBatches: number, storeBatches: number, window = 2) {
  const clock = manualClock()
  const store = memoryStore(storeBatches)
  const counters = {
    recordsEncoded: 0,
    recordsMerged: 0,
    recordsSampledOut: 0,
    ringProduced: 0,
    ringConsumed: 0,
    lost: { ring_full: 0, storage_refused: 0, flow_table_full: 0, spool_full: 0 },
  }
  const sealer = createSealer(
    identity,
    () => counters,
    () => clock.nowMs(),
  )
  const spool = createSpool(spoolBatches * 256, {
    overflow(oldest) {
      const batch = sealer.seal(oldest)
      if (store.put(batch)) return true
      sealer.takeBack(batch)
      return false
    },
  })
  const waiting: { message: BusMessage; resolve: () => void; reject: (error: Error) => void }[] = []
  const publisher = createPublisher({
    bus: {
      publish: message =>
        new Promise((resolve, reject) => {
          waiting.push({ message, resolve, reject })
        }),
    },
    spool,
    store,
    clock,
    window,
    random: () => 0.5,
    seal: sealer.seal,
  })
  const add = (partition: number, recordCount: number) => {
    spool.add(entry(partition, recordCount))
    publisher.pump()
  }
  return { clock, store, spool, waiting, publisher, add }
}

const headOf = ({ message }: { message: BusMessage }) => [message.partition, message.head?.sequence]

describe('a publisher with a store', () => {
  it('publishes in the order of sealing: what is under way, the store, the spool', async () => {
    const { waiting, add, spool, store } = setUp(2, 10)
    for (let n = 1; n <= 6; n++) add(0, n)
    expect(waiting.map(headOf)).toEqual([
      [0, 1],
      [0, 2],
    ])
    expect([store.kept.length, spool.counts.waitingBatches]).toEqual([2, 2])
    const seen: unknown[] = []
    while (waiting.length > 0) {
      const one = waiting.shift()!
      seen.push(headOf(one))
      one.resolve()
      await settled()
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6].map(sequence => [0, sequence]))
    expect(store.counts).toMatchObject({ waitingBatches: 0 })
  })

  it('gives a number back when the store has no room, so that no gap comes of it', async () => {
    const { waiting, add, spool } = setUp(2, 1)
    for (let n = 1; n <= 7; n++) add(0, 1)
    expect(spool.counts.lostRecords).toBe(2)
    const seen: unknown[] = []
    while (waiting.length > 0) {
      const one = waiting.shift()!
      seen.push(one.message.head?.sequence)
      one.resolve()
      await settled()
    }
    expect(seen).toEqual([1, 2, 3, 4, 5])
  })

  it('does not wait for the next attempt once the bus is back', async () => {
    const { waiting, add, publisher, clock } = setUp(10, 10)
    add(0, 1)
    waiting.shift()!.reject(new Error('down'))
    await settled()
    expect(waiting).toHaveLength(0)
    publisher.retryNow()
    expect(waiting.map(headOf)).toEqual([[0, 1]])
    expect(clock.pendingTimers).toBe(0)
  })

  it('publishes what a former boot left as soon as it is told that the bus is there', () => {
    const { waiting, store, publisher } = setUp(10, 10)
    const message = { node: 'n_1', partition: 0, data: new Uint8Array(1) }
    store.put({ order: 0, recordCount: 9, message, isFormer: true })
    publisher.retryNow()
    expect(waiting.map(({ message: sent }) => sent)).toEqual([message])
    expect(publisher.counts).toMatchObject({ sealedBatches: 1, sealedRecords: 0 })
  })

  it('stows everything in order, and says how many records found no room', async () => {
    const { waiting, add, publisher, store } = setUp(10, 100)
    for (let n = 1; n <= 5; n++) add(0, n)
    expect(publisher.stow()).toBe(0)
    expect(store.kept.map(({ message }) => message.head?.sequence)).toEqual([1, 2, 3, 4, 5])
    waiting[0].resolve()
    await settled()
    expect(publisher.counts).toMatchObject({ sealedBatches: 0, sealedRecords: 0, publishedRecords: 0 })
    const tight = setUp(10, 3)
    for (let n = 1; n <= 5; n++) tight.add(0, n)
    expect(tight.publisher.stow()).toBe(9)
  })

  const step = fc.oneof(
    fc.record({ add: fc.tuple(fc.nat(2), fc.nat(50)) }),
    fc.record({ add: fc.tuple(fc.nat(2), fc.nat(50)) }),
    fc.record({ resolve: fc.nat() }),
    fc.record({ reject: fc.nat() }),
    fc.record({ advance: fc.nat(6_000) }),
  )

  it('delivers every record once or counts it as lost, whatever the store takes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.nat(6),
        fc.array(step, { maxLength: 100 }),
        async (spoolBatches, storeBatches, steps) => {
          const { clock, waiting, publisher, spool, store, add } = setUp(spoolBatches, storeBatches)
          const delivered = new Map<string, SealedBatch['message']>()
          let added = 0
          const settle = (at: number, how: 'resolve' | 'reject') => {
            if (waiting.length === 0) return
            const [one] = waiting.splice(at % waiting.length, 1)
            if (how === 'resolve') delivered.set(String(headOf(one)), one.message)
            one[how](new Error('down'))
          }
          const check = () => {
            const { publishedRecords, sealedRecords } = publisher.counts
            const queued = sealedRecords + spool.counts.waitingRecords + store.counts.waitingRecords
            expect(publishedRecords + queued + spool.counts.lostRecords).toBe(added)
          }
          for (const one of steps) {
            if ('add' in one) {
              added += one.add[1]
              add(...one.add)
            } else if ('resolve' in one) settle(one.resolve, 'resolve')
            else if ('reject' in one) settle(one.reject, 'reject')
            else clock.advance(one.advance)
            await settled()
            check()
          }
          for (
            let n = 0;
            n < 500 && publisher.counts.publishedRecords + spool.counts.lostRecords < added;
            n++
          ) {
            clock.advance(6_000)
            settle(0, 'resolve')
            await settled()
            check()
          }
          for (const partition of [0, 1, 2]) {
            const sequences = [...delivered.values()]
              .filter(message => message.partition === partition)
              .map(({ head }) => head!.sequence)
              .sort((a, b) => a - b)
            expect(sequences).toEqual(sequences.map((_, index) => index + 1))
          }
          const records = [...delivered.values()].reduce((sum, { head }) => sum + head!.recordCount, 0)
          expect(records + spool.counts.lostRecords).toBe(added)
        },
      ),
      { numRuns: 100 },
    )
  }, 60_000)
})
