import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type BodyPart, largestBodyBytes } from './body-writer.ts'
import { decodeFlowBatch } from './decode.ts'
import { encodeBody, encodeHeader } from './encode.ts'
import { createBatchHeader, createFlowColumns } from './flow-columns.ts'
import { packKind } from './kind.ts'
import { mergeBodies } from './merge-bodies.ts'

const minuteMs = Date.UTC(2026, 0, 1)
const columns = createFlowColumns()

interface Row {
  readonly operation: string
  readonly status: number
  readonly flags: number
  readonly count: number
  readonly sums: readonly number[]
  readonly buckets: readonly (readonly [index: number, value: number])[]
}

interface Reading {
  readonly flow: number
  /** The flow's how manyth. */
  readonly nth: number
  readonly rows: readonly Row[]
}

const sumNames = ['l7RequestBytes', 'l7ResponseBytes', 'l7FirstByteSumUs', 'l7LastByteSumUs'] as const

function partOf(readings: readonly Reading[]): BodyPart {
  const made = createFlowColumns()
  made.count = readings.length
  made.header.owners.push({ process: 'p', cgroup: '/x', podUid: '', containerId: '', unit: '', pid: 3 })
  readings.forEach(({ flow, nth, rows }, record) => {
    made.u32.kind[record] = packKind(1, 1, 1)
    made.u64.flowId[2 * record] = flow
    made.u32.bytesSent[record] = 10
    made.u32.atMs[record] = nth
    made.u64.bytesSentTotal[2 * record] = 10 * nth
    for (const row of rows) put(row, record)
  })
  return { recordCount: readings.length, body: encodeBody(made) }

  function put(row: Row, record: number): void {
    const { l7, header } = made
    const at = l7.rowCount++
    const known = header.operations.findIndex(({ name }) => name === row.operation)
    l7.u32.l7Operation[at] =
      known >= 0 ? known : header.operations.push({ protocol: 1, name: row.operation, host: 'h' }) - 1
    l7.u32.l7Record[at] = record
    l7.u32.l7Status[at] = row.status
    l7.u32.l7Flags[at] = row.flags
    l7.u32.l7Count[at] = row.count
    sumNames.forEach((name, n) => {
      l7.u32[name][at] = row.sums[n]
    })
    l7.u32.l7BucketCount[at] = row.buckets.length
    for (const [index, value] of row.buckets) {
      l7.u32.l7BucketIndex[l7.bucketCount] = index
      l7.u32.l7BucketValue[l7.bucketCount++] = value
    }
  }
}

/** What was said per flow, operation, status and flags; times by bucket. */
function said(parts: readonly BodyPart[]): Map<string, number> {
  const sums = new Map<string, number>()
  const add = (key: string, value: number) => sums.set(key, (sums.get(key) ?? 0) + value)
  for (const { body, recordCount } of parts) {
    const head = { ...createBatchHeader(), node: 'n', sequence: 1, recordCount, baseUnixMs: minuteMs }
    const message = Buffer.concat([encodeHeader({ ...head, sentUnixMs: minuteMs }), body])
    expect(decodeFlowBatch(message, columns)).toEqual({ ok: true })
    const { rowCount, u32 } = columns.l7
    let bucket = 0
    for (let row = 0; row < rowCount; row++) {
      const { name, host } = columns.header.operations[u32.l7Operation[row]]
      const flow = columns.u64.flowId[2 * u32.l7Record[row]]
      const key = `${flow} ${name} ${host} ${u32.l7Status[row]} ${u32.l7Flags[row]}`
      add(key, u32.l7Count[row])
      for (const sum of sumNames) add(`${key} ${sum}`, u32[sum][row])
      for (const end = bucket + u32.l7BucketCount[row]; bucket < end; bucket++)
        add(`${key} bucket ${u32.l7BucketIndex[bucket] | 0}`, u32.l7BucketValue[bucket])
    }
  }
  return sums
}

const large = fc.oneof(fc.nat(1_000), fc.constantFrom(0xffff_ffff, 0xf000_0000))
const row: fc.Arbitrary<Row> = fc
  .record({
    operation: fc.constantFrom('GET /', 'GET /users/{id}', `POST /${'long/'.repeat(40)}`),
    status: fc.constantFrom(200, 404, 0xffff_ffff),
    flags: fc.nat(1),
    more: fc.nat(5),
    sums: fc.array(large, { minLength: 4, maxLength: 4 }),
    buckets: fc.uniqueArray(fc.tuple(fc.integer({ min: -1, max: 200 }), fc.integer({ min: 1, max: 9 })), {
      selector: ([index]) => index,
      maxLength: 6,
    }),
  })
  .map(({ more, ...rest }) => ({
    ...rest,
    count: 1 + more + rest.buckets.reduce((sum, [, value]) => sum + value, 0),
  }))

const bodies = fc
  .record({
    flows: fc.array(fc.array(fc.array(row, { maxLength: 4 }), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 12,
    }),
    cut: fc.integer({ min: 1, max: 30 }),
  })
  .map(({ flows, cut }) => {
    const readings: Reading[] = []
    for (let nth = 1; nth <= 6; nth++)
      flows.forEach((each, flow) => {
        const rows = each[nth - 1]
        if (rows !== undefined) readings.push({ flow: flow + 1, nth, rows })
      })
    const parts: BodyPart[] = []
    for (let at = 0; at < readings.length; at += cut) parts.push(partOf(readings.slice(at, at + cut)))
    return parts
  })

describe('mergeBodies, of what was said', () => {
  it('keeps every count, sum and bucket with its flow, operation, status and flags', () => {
    fc.assert(
      fc.property(bodies, parts => {
        const merged = mergeBodies(parts)
        if (merged !== undefined) expect(said(merged)).toEqual(said(parts))
      }),
      { numRuns: 300 },
    )
  })

  it('adds rows of one operation up to one', () => {
    const once = (nth: number): Reading => ({
      flow: 1,
      nth,
      rows: [
        { operation: 'GET /', status: 200, flags: 0, count: 3, sums: [1, 2, 3, 4], buckets: [[10, 2]] },
        { operation: 'GET /', status: 500, flags: 1, count: 1, sums: [1, 2, 3, 4], buckets: [[10, 1]] },
      ],
    })
    const merged = mergeBodies([1, 2, 3, 4].map(nth => partOf([once(nth)])))!
    expect(said(merged).get('1 GET / h 200 0')).toBe(12)
    expect(columns.l7).toMatchObject({ rowCount: 2, bucketCount: 2 })
    expect([...columns.l7.u32.l7BucketValue.subarray(0, 2)]).toEqual([8, 4])
    expect(columns.header.operations).toHaveLength(1)
  })

  it('keeps a flow that says much in as many records as fit into frames', () => {
    const talkative = (nth: number): Reading => ({
      flow: 1,
      nth,
      rows: Array.from({ length: 150 }, (_, n) => ({
        operation: `GET /${nth}/${n}/${'x'.repeat(100)}`,
        status: 200,
        flags: 0,
        count: 2,
        sums: [1, 1, 1, 1],
        buckets: [[n, 1] as const],
      })),
    })
    const quiet = Array.from({ length: 400 }, (_, flow) => ({ flow: 10 + flow, nth: 1, rows: [] }))
    const again = [2, 3, 4, 5].map(nth => quiet.map(reading => ({ ...reading, nth })))
    const parts = [partOf(quiet), ...[1, 2, 3, 4].map(nth => partOf([talkative(nth)])), ...again.map(partOf)]
    const merged = mergeBodies(parts)!
    for (const { body } of merged) expect(body.length).toBeLessThanOrEqual(largestBodyBytes)
    expect(said(merged)).toEqual(said(parts))
  })

  it('refuses rows that do not fit together', () => {
    const body = partOf([{ flow: 1, nth: 1, rows: [] }]).body
    const broken = Buffer.concat([body, Buffer.of(0xaa, 0x04, 4, 1, 0, 0, 0)])
    expect(() => mergeBodies([{ recordCount: 1, body: broken }])).toThrow(RangeError)
  })
})
