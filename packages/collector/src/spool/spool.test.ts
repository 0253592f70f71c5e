import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSpool, entryOverheadBytes, type SpoolEntry } from './spool.ts'

function entry(recordCount: number, bodyBytes: number): SpoolEntry {
  const body = new Uint8Array(bodyBytes)
  return { partition: 0, recordCount, baseUnixMs: 0, minuteComplete: false, body }
}

describe('createSpool', () => {
  it('gives back what came first', () => {
    const spool = createSpool(10_000)
    const entries = [entry(1, 10), entry(2, 10), entry(3, 10)]
    for (const one of entries) spool.add(one)
    expect([spool.take(), spool.take(), spool.take(), spool.take()]).toEqual([...entries, undefined])
  })

  it('gives up the oldest and says how many records that cost', () => {
    const spool = createSpool(2 * (100 + entryOverheadBytes))
    expect(spool.add(entry(5, 100))).toBe(0)
    expect(spool.add(entry(7, 100))).toBe(0)
    expect(spool.add(entry(1, 101))).toBe(12)
    expect(spool.counts).toMatchObject({
      lostRecords: 12,
      lostBatches: 2,
      waitingRecords: 1,
      waitingBatches: 1,
    })
  })

  it('loses an entry that is larger than the whole spool, and nothing else', () => {
    const spool = createSpool(1_000)
    spool.add(entry(1, 10))
    expect(spool.add(entry(9, 1_000))).toBe(9)
    expect(spool.counts).toMatchObject({ lostRecords: 9, waitingRecords: 1 })
  })

  it('never holds more than its capacity, and accounts for every record', () => {
    const operation = fc.oneof(
      { weight: 3, arbitrary: fc.record({ records: fc.nat(1_000), bytes: fc.nat(3_000) }) },
      { weight: 2, arbitrary: fc.constant('take' as const) },
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 300, max: 20_000 }),
        fc.array(operation, { maxLength: 400 }),
        (capacity, steps) => {
          const spool = createSpool(capacity)
          const model: SpoolEntry[] = []
          let added = 0
          let taken = 0
          for (const step of steps) {
            if (step === 'take') {
              const one = spool.take()
              expect(one).toBe(model.shift())
              taken += one?.recordCount ?? 0
            } else {
              const one = entry(step.records, step.bytes)
              added += step.records
              const before = spool.counts.lostBatches
              spool.add(one)
              const fits = step.bytes + entryOverheadBytes <= capacity
              model.splice(0, spool.counts.lostBatches - before - (fits ? 0 : 1))
              if (fits) model.push(one)
            }
            const { waitingBytes, waitingRecords, waitingBatches, lostRecords } = spool.counts
            expect(waitingBytes).toBeLessThanOrEqual(capacity)
            expect(waitingBytes).toBe(
              model.reduce((sum, one) => sum + one.body.length + entryOverheadBytes, 0),
            )
            expect(waitingBatches).toBe(model.length)
            expect(waitingRecords).toBe(model.reduce((sum, one) => sum + one.recordCount, 0))
            expect(added).toBe(taken + lostRecords + waitingRecords)
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})
