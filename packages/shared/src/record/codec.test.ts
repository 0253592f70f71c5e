import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchSeed, columnsFrom, visibleParts } from './batch.testing.ts'
import { decodeFlowBatch } from './decode.ts'
import { encodeBody, encodeFlowBatch, encodeHeader } from './encode.ts'
import { createFlowColumns } from './flow-columns.ts'

describe('encodeFlowBatch and decodeFlowBatch', () => {
  it('give back every batch, also into columns that held another and from unaligned bytes', () => {
    const into = createFlowColumns()
    fc.assert(
      fc.property(batchSeed, fc.nat(7), (seed, shift) => {
        const columns = columnsFrom(seed)
        const bytes = encodeFlowBatch(columns)
        const shifted = new Uint8Array(bytes.length + shift)
        shifted.set(bytes, shift)
        expect(decodeFlowBatch(shifted.subarray(shift), into)).toEqual({ ok: true })
        expect(visibleParts(into)).toEqual(visibleParts(columns))
      }),
      { numRuns: 150 },
    )
  }, 30_000)

  it('join header and body to the same message', () => {
    fc.assert(
      fc.property(batchSeed, seed => {
        const columns = columnsFrom(seed)
        const joined = Buffer.concat([encodeHeader(columns.header), encodeBody(columns)])
        expect(joined.equals(encodeFlowBatch(columns))).toBe(true)
      }),
      { numRuns: 30 },
    )
  })

  it('leave nothing in the columns that refers to the message', () => {
    const [seed] = fc.sample(batchSeed, { seed: 7, numRuns: 1 })
    const columns = columnsFrom({ ...seed, count: 1_000 })
    const bytes = encodeFlowBatch(columns)
    const into = createFlowColumns()
    decodeFlowBatch(bytes, into)
    bytes.fill(0xff)
    expect(visibleParts(into)).toEqual(visibleParts(columns))
  })

  it('give equal owners as the same object, so that callers can remember them', () => {
    const [seed] = fc.sample(batchSeed, { seed: 8, numRuns: 1 })
    const bytes = encodeFlowBatch(columnsFrom(seed))
    const first = createFlowColumns()
    const second = createFlowColumns()
    decodeFlowBatch(bytes, first)
    decodeFlowBatch(bytes, second)
    expect(second.header.owners[0]).toBe(first.header.owners[0])
  })

  it('read a marker without records', () => {
    const columns = createFlowColumns()
    Object.assign(columns.header, {
      node: 'n',
      sequence: 3,
      baseUnixMs: Date.UTC(2026, 0, 1),
      minuteComplete: true,
    })
    columns.header.sentUnixMs = columns.header.baseUnixMs + 60_001
    const into = createFlowColumns()
    expect(decodeFlowBatch(encodeHeader(columns.header), into)).toEqual({ ok: true })
    expect(into).toMatchObject({ count: 0, header: { minuteComplete: true, sequence: 3, recordCount: 0 } })
  })
})

describe('encodeHeader', () => {
  it('wants a boot id of 16 hexadecimal digits', () => {
    const { header } = createFlowColumns()
    expect(() => encodeHeader({ ...header, bootId: 'ABCDEF0123456789' })).toThrow(RangeError)
    expect(() => encodeHeader({ ...header, bootId: '12' })).toThrow(RangeError)
  })
})
