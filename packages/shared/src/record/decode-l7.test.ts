import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { batchSeed, columnsFrom } from './batch.testing.ts'
import type { FlowColumns, L7Column, MalformedReason } from './columns.ts'
import { decodeFlowBatch } from './decode.ts'
import { encodeFlowBatch } from './encode.ts'
import { createFlowColumns } from './flow-columns.ts'
import { packKind } from './kind.ts'
import { batchLimits } from './limits.ts'
import { ProtoWriter } from './proto-writer.ts'

const into = createFlowColumns()
let columns: FlowColumns

beforeEach(() => {
  columns = createFlowColumns()
  const baseUnixMs = Date.UTC(2026, 0, 1)
  Object.assign(columns.header, { node: 'n', sequence: 1, baseUnixMs, sentUnixMs: baseUnixMs })
  columns.header.owners.push({ cgroup: '/a', podUid: '', containerId: '', unit: '', process: 'a', pid: 1 })
  columns.header.operations.push({ protocol: 1, name: 'GET /users/{id}', host: 'shop' })
  columns.count = 2
  for (let row = 0; row < 2; row++) columns.u32.kind[row] = packKind(1, 1, 1)
  columns.l7.rowCount = 2
  columns.l7.bucketCount = 3
  const values: Partial<Record<L7Column, number[]>> = {
    l7Record: [0, 1],
    l7Status: [200, 0xffff_ffff],
    l7Count: [5, 1],
    l7BucketCount: [2, 1],
    l7BucketIndex: [-1, 80, 90],
    l7BucketValue: [2, 3, 1],
  }
  for (const [name, words] of Object.entries(values)) columns.l7.u32[name as L7Column].set(words)
})

const decode = (bytes: Uint8Array = encodeFlowBatch(columns)) => decodeFlowBatch(bytes, into)

function withFields(write: (writer: ProtoWriter) => void): Uint8Array {
  const writer = new ProtoWriter()
  write(writer)
  return Buffer.concat([encodeFlowBatch(columns), writer.finish()])
}

describe('rows of what was said', () => {
  it('come with their operations and buckets', () => {
    expect(decode()).toEqual({ ok: true })
    expect(into.header.operations).toEqual([{ protocol: 1, name: 'GET /users/{id}', host: 'shop' }])
    expect(into.l7).toMatchObject({ rowCount: 2, bucketCount: 3 })
    expect([...into.l7.u32.l7Status.subarray(0, 2)]).toEqual([200, 0xffff_ffff])
    expect(into.l7.u32.l7BucketIndex[0] | 0).toBe(-1)
  })

  it('are gone with the next batch that has none', () => {
    decode()
    columns.l7.rowCount = 0
    columns.l7.bucketCount = 0
    columns.header.operations.pop()
    expect(decode()).toEqual({ ok: true })
    expect(into.l7).toMatchObject({ rowCount: 0, bucketCount: 0 })
    expect(into.header.operations).toEqual([])
  })

  it.each<[string, MalformedReason, () => void]>([
    ['a record that is not in the batch', 'operation_index', () => columns.l7.u32.l7Record.set([2])],
    ['an operation that is not in the batch', 'operation_index', () => columns.l7.u32.l7Operation.set([1])],
    ['no operation at all', 'operation_index', () => columns.header.operations.pop()],
    ['a row without messages', 'bad_value', () => columns.l7.u32.l7Count.set([0])],
    ['more buckets than there are', 'bucket_count', () => columns.l7.u32.l7BucketCount.set([3])],
    ["a bucket that is no row's", 'bucket_count', () => columns.l7.u32.l7BucketCount.set([1])],
    [
      'far more buckets than there are',
      'bucket_count',
      () => columns.l7.u32.l7BucketCount.set([0xffff_ffff]),
    ],
    ['more samples than messages', 'bucket_count', () => columns.l7.u32.l7BucketValue.set([3])],
    ['a bucket without samples', 'bad_value', () => columns.l7.u32.l7BucketValue.set([0])],
    ['a bucket below a microsecond', 'bad_value', () => columns.l7.u32.l7BucketIndex.set([-2])],
    ['a bucket above all', 'bad_value', () => columns.l7.u32.l7BucketIndex.set([510])],
    ['an operation without a name', 'bad_value', () => rename('')],
    ['a name of 257 bytes', 'bad_value', () => rename('x'.repeat(257))],
    ['a name with a line break', 'bad_value', () => rename('GET /\n')],
    ['a name that is not ASCII', 'bad_value', () => rename('GET /\u00e9')],
    ['an operation of no protocol', 'bad_value', () => rename('x', 0)],
    ['an operation of protocol 32', 'bad_value', () => rename('x', 32)],
    ['a host with an escape character', 'bad_value', () => rename('x', 1, '\u001b[31m')],
  ])('refuses %s', (_, reason, spoil) => {
    expect(decode().ok).toBe(true)
    spoil()
    expect(decode()).toEqual({ ok: false, reason })
    expect(into).toMatchObject({ count: 0, l7: { rowCount: 0, bucketCount: 0 } })
  })

  it('refuses columns of different lengths, and more rows than a batch may have', () => {
    const tooShort = withFields(writer => writer.columnField(70, Uint32Array.of(1)))
    expect(decode(tooShort)).toEqual({ ok: false, reason: 'column_length' })
    columns.l7.rowCount = 0
    columns.l7.bucketCount = 0
    for (const field of [65, 74, 75, 76]) {
      const alone = withFields(writer => writer.columnField(field, Uint32Array.of(1)))
      expect(decode(alone).ok).toBe(false)
    }
    const many = new Uint32Array(batchLimits.l7Rows + 1).fill(1)
    expect(decode(withFields(writer => writer.columnField(69, many)))).toEqual({
      ok: false,
      reason: 'column_length',
    })
    expect(decode(withFields(writer => writer.columnField(69, many.subarray(1)))).ok).toBe(true)
  })

  it('refuses a bomb of empty operations', () => {
    const bytes = withFields(writer => {
      for (let at = 0; at < batchLimits.operations; at++) writer.bytesField(64, new Uint8Array(0))
    })
    expect(decode(bytes)).toEqual({ ok: false, reason: 'too_large' })
  })

  it('refuses counts of no cause', () => {
    columns.header.l7Counts.push({ cause: 0, count: 3 })
    expect(decode()).toEqual({ ok: false, reason: 'bad_value' })
  })

  it('never point outside, whatever bytes were changed', () => {
    const change = fc.record({ back: fc.nat(400), value: fc.integer({ min: 0, max: 255 }) })
    fc.assert(
      fc.property(batchSeed, fc.array(change, { minLength: 1, maxLength: 6 }), (seed, changes) => {
        const bytes = encodeFlowBatch(columnsFrom({ ...seed, count: seed.count % 21 }))
        for (const { back, value } of changes) bytes[Math.max(0, bytes.length - 1 - back)] = value
        if (!decode(bytes).ok) expect(into.l7.rowCount).toBe(0)
        expectSaneRows()
      }),
      { numRuns: 300 },
    )
  })
})

function rename(name: string, protocol = 1, host = ''): void {
  columns.header.operations[0] = { protocol, name, host }
}

function expectSaneRows(): void {
  const { rowCount, bucketCount, u32 } = into.l7
  let buckets = 0
  for (let row = 0; row < rowCount; row++) {
    expect(u32.l7Record[row]).toBeLessThan(into.count)
    expect(u32.l7Operation[row]).toBeLessThan(into.header.operations.length)
    buckets += u32.l7BucketCount[row]
  }
  expect(buckets).toBe(bucketCount)
  for (const { name } of into.header.operations) expect(name).toMatch(/^[ -~]{1,256}$/)
}
