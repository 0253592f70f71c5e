import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { batchSeed, columnsFrom } from './batch.testing.ts'
import type { FlowColumns, MalformedReason } from './columns.ts'
import { decodeFlowBatch } from './decode.ts'
import { encodeBody, encodeFlowBatch, encodeHeader } from './encode.ts'
import { createFlowColumns } from './flow-columns.ts'
import { packKind } from './kind.ts'
import { batchLimits } from './limits.ts'
import { WireType } from './proto-reader.ts'
import { ProtoWriter } from './proto-writer.ts'

const into = createFlowColumns()
let columns: FlowColumns

beforeEach(() => {
  columns = createFlowColumns()
  const baseUnixMs = Date.UTC(2026, 0, 1)
  Object.assign(columns.header, {
    cluster: 'c',
    node: 'n',
    sequence: 1,
    baseUnixMs,
    sentUnixMs: baseUnixMs + 1,
  })
  columns.header.owners.push({ cgroup: '/a', podUid: '', containerId: '', unit: '', process: 'a', pid: 1 })
  columns.count = 3
  for (let row = 0; row < 3; row++) {
    columns.u32.kind[row] = packKind(1, 1, 1)
    columns.u32.bytesSent[row] = 7
  }
})

const decode = (bytes: Uint8Array = encodeFlowBatch(columns)) => decodeFlowBatch(bytes, into)
const refusal = (reason: MalformedReason) => ({ ok: false, reason })

/** The batch with further fields behind it; protobuf messages concatenate. */
function withFields(write: (writer: ProtoWriter) => void): Uint8Array {
  const writer = new ProtoWriter()
  write(writer)
  return Buffer.concat([encodeFlowBatch(columns), writer.finish()])
}

describe('decodeFlowBatch', () => {
  it('skips fields it does not know, of every wire type', () => {
    const bytes = withFields(writer => {
      writer.varintField(100, 5)
      writer.fixed64Field(101, 5)
      writer.textField(536_870_911, 'later')
      writer.bytesField(33, new Uint8Array(12))
      writer.tag(103, WireType.fixed32)
      for (let index = 0; index < 4; index++) writer.varint(1)
    })
    expect(decode(bytes)).toEqual({ ok: true })
    expect(into.count).toBe(3)
  })

  it('refuses another schema version, and none', () => {
    columns.header.schemaVersion = 2
    expect(decode()).toEqual(refusal('unknown_version'))
    columns.header.schemaVersion = 0
    expect(decode()).toEqual(refusal('unknown_version'))
    expect(decode(new Uint8Array(0))).toEqual(refusal('unknown_version'))
  })

  it('leaves no records behind after a refusal', () => {
    expect(decode().ok).toBe(true)
    columns.u32.owner[2] = 1
    expect(decode().ok).toBe(false)
    expect(into.count).toBe(0)
  })

  it.each<[string, MalformedReason, () => void]>([
    [
      'an owner that is not in the batch',
      'owner_index',
      () => {
        columns.u32.owner[1] = 1
      },
    ],
    [
      'records without any owner',
      'owner_index',
      () => {
        columns.header.owners.pop()
      },
    ],
    [
      'a record of another minute',
      'time_out_of_range',
      () => {
        columns.u32.atMs[0] = 60_000
      },
    ],
    [
      'a base that is no minute',
      'time_out_of_range',
      () => {
        columns.header.baseUnixMs += 1
      },
    ],
    [
      'a time before 2020',
      'time_out_of_range',
      () => {
        columns.header.baseUnixMs = 60_000
      },
    ],
    [
      'a time after 2100',
      'time_out_of_range',
      () => {
        columns.header.sentUnixMs = Date.UTC(2101, 0, 1)
      },
    ],
    [
      'a record of no protocol',
      'bad_value',
      () => {
        columns.u32.kind[2] = packKind(0, 1, 1)
      },
    ],
    [
      'a role that does not exist',
      'bad_value',
      () => {
        columns.u32.kind[2] = packKind(1, 3, 1)
      },
    ],
    [
      'a state that does not exist',
      'bad_value',
      () => {
        columns.u32.kind[2] = packKind(1, 1, 5)
      },
    ],
    [
      'a reason that does not exist',
      'bad_value',
      () => {
        columns.u32.kind[2] = packKind(1, 1, 1, 12)
      },
    ],
    [
      'no node',
      'bad_value',
      () => {
        columns.header.node = ''
      },
    ],
    [
      'sequence 0',
      'bad_value',
      () => {
        columns.header.sequence = 0
      },
    ],
    [
      'a counter beyond 2^48',
      'bad_value',
      () => {
        columns.header.recordsEncoded = 2 ** 48 + 1
      },
    ],
    [
      'a sequence beyond 2^48',
      'bad_value',
      () => {
        columns.header.sequence = 2 ** 48 + 1
      },
    ],
    [
      'records up to 2^48 before it',
      'bad_value',
      () => {
        columns.header.firstRecord = 2 ** 48
      },
    ],
    [
      'a loss beyond 2^48',
      'bad_value',
      () => {
        columns.header.losses.push({ place: 1, records: 2 ** 48 + 1 })
      },
    ],
    [
      'a partition beyond the limit',
      'bad_value',
      () => {
        columns.header.partition = 65_536
      },
    ],
    [
      'a wide delta of a record that is not there',
      'bad_value',
      () => {
        columns.u32.wideAt[0] = (3 << 8) | 46
        columns.wideCount = 1
      },
    ],
    [
      'a wide value of a column that is no delta',
      'bad_value',
      () => {
        columns.u32.wideAt[0] = 54
        columns.wideCount = 1
      },
    ],
    [
      'the same wide delta twice',
      'bad_value',
      () => {
        columns.u32.wideAt.fill(46, 0, 2)
        columns.wideCount = 2
      },
    ],
    [
      'a text beyond the limit',
      'bad_value',
      () => {
        columns.header.cluster = 'x'.repeat(batchLimits.textBytes + 1)
      },
    ],
    [
      'an address of 5 bytes',
      'bad_value',
      () => {
        columns.header.names.push({
          address: new Uint8Array(5),
          name: 'x',
          ttlSeconds: 1,
          seenUnixMs: columns.header.baseUnixMs,
        })
      },
    ],
  ])('refuses %s', (_, reason, spoil) => {
    expect(decode().ok).toBe(true)
    spoil()
    expect(decode()).toEqual(refusal(reason))
  })

  it('refuses an IPv6 address that is not there', () => {
    columns.u32.kind[0] |= 4
    columns.u32.remoteAddress[0] = 1
    const bytes = encodeFlowBatch(columns)
    expect(decode(bytes)).toEqual({ ok: true })
    const tag = Buffer.from(bytes).indexOf(Buffer.of(0xaa, 0x02, 12, 1, 0, 0, 0))
    bytes[tag + 3] = 2
    expect(decode(bytes)).toEqual(refusal('address_index'))
  })

  it('refuses a column of the wrong length, and one that comes twice', () => {
    expect(decode(withFields(writer => writer.columnField(49, Uint32Array.of(1, 2))))).toEqual(
      refusal('column_length'),
    )
    expect(decode(withFields(writer => writer.columnField(49, Uint32Array.of(1, 2, 3)))).ok).toBe(true)
    expect(decode(withFields(writer => writer.columnField(46, Uint32Array.of(1, 2, 3))))).toEqual(
      refusal('column_length'),
    )
    expect(decode(withFields(writer => writer.bytesField(62, new Uint8Array(15))))).toEqual(
      refusal('column_length'),
    )
    expect(decode(withFields(writer => writer.bytesField(60, new Uint8Array(4))))).toEqual(
      refusal('column_length'),
    )
  })

  it('refuses more IPv6 addresses than its records can have', () => {
    for (const bytes of [112, 16 * (batchLimits.v6Addresses + 1), 200_000]) {
      const batch = withFields(writer => writer.bytesField(62, new Uint8Array(bytes)))
      expect(decode(batch)).toEqual(refusal('column_length'))
    }
    expect(decode(withFields(writer => writer.bytesField(62, new Uint8Array(96))))).toEqual({ ok: true })
  })

  it('refuses more records than a batch may have, before it looks at any', () => {
    const header = encodeHeader({ ...columns.header, recordCount: 1_001 })
    expect(decode(header)).toEqual(refusal('record_count'))
  })

  it('refuses groups and field number 0', () => {
    expect(decode(withFields(writer => writer.tag(100, 3)))).toEqual(refusal('bad_value'))
    expect(decode(withFields(writer => writer.tag(0, 0)))).toEqual(refusal('bad_value'))
  })

  it('keeps a process name that is not UTF-8', () => {
    columns.header.owners[0] = { cgroup: '', podUid: '', containerId: '', unit: '', process: 'Z', pid: 0 }
    const body = encodeBody(columns)
    body[Buffer.from(body).indexOf('Z')] = 0xff
    const header = encodeHeader({ ...columns.header, recordCount: 3 })
    expect(decode(Buffer.concat([header, body]))).toEqual({ ok: true })
    expect(into.header.owners[0].process).toBe('\ufffd')
  })
})

describe('decodeFlowBatch against hostile senders', () => {
  it('survives a message cut anywhere', () => {
    const [seed] = fc.sample(batchSeed, { seed: 3, numRuns: 1 })
    const bytes = encodeFlowBatch(columnsFrom({ ...seed, count: 5 }))
    let refused = 0
    for (let length = 0; length < bytes.length; length++) if (!decode(bytes.subarray(0, length)).ok) refused++
    // A cut between two optional columns is a valid, shorter batch; anything else is not.
    expect(refused).toBeGreaterThan(bytes.length - 64)
  })

  it('survives any change of any bytes, and never hands out an index that is out of range', () => {
    const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) })
    fc.assert(
      fc.property(batchSeed, fc.array(change, { minLength: 1, maxLength: 8 }), (seed, changes) => {
        const bytes = encodeFlowBatch(columnsFrom({ ...seed, count: seed.count % 21 }))
        for (const { at, value } of changes) bytes[at % bytes.length] = value
        if (!decode(bytes).ok) expect(into.count).toBe(0)
        for (let row = 0; row < into.count; row++) expectSaneRow(row)
      }),
      { numRuns: 400 },
    )
  }, 30_000)

  it('survives noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
        expect(decode(bytes).ok).toBe(false)
        expect(decode(Buffer.concat([encodeHeader(columns.header), bytes]))).toHaveProperty('ok')
      }),
      { numRuns: 500 },
    )
  })

  it('refuses a message over the limit at once', () => {
    expect(decode(new Uint8Array(batchLimits.messageBytes + 1))).toEqual(refusal('too_large'))
  })

  it.each([
    [13, batchLimits.losses],
    [20, batchLimits.owners],
    [21, batchLimits.names],
  ])('refuses a bomb of two-byte messages in field %i', (field, limit) => {
    const bytes = withFields(writer => {
      for (let index = 0; index <= limit; index++) writer.bytesField(field, new Uint8Array(0))
    })
    expect(decode(bytes)).toEqual(refusal('too_large'))
  })

  it.each([2, 20, 21, 46, 62])('refuses a length beyond the end in field %i', field => {
    for (const length of [1, 0x7fff_ffff, 0xffff_ffff, 2 ** 52]) {
      const bytes = withFields(writer => {
        writer.tag(field, WireType.bytes)
        writer.varint(length)
      })
      expect(decode(bytes).ok).toBe(false)
    }
  })

  it('refuses a varint that does not end', () => {
    expect(decode(withFields(writer => writer.bytesField(20, new Uint8Array(20).fill(0x88)))).ok).toBe(false)
    expect(decode(Buffer.concat([encodeFlowBatch(columns), new Uint8Array(11).fill(0xff)])).ok).toBe(false)
  })
})

function expectSaneRow(row: number): void {
  const { u32, header } = into
  expect(u32.owner[row]).toBeLessThan(header.owners.length)
  expect(u32.atMs[row]).toBeLessThan(60_000)
  if ((u32.kind[row] & 4) === 0) return
  expect(u32.localAddress[row]).toBeLessThan(batchLimits.v6Addresses)
  expect(u32.remoteAddress[row]).toBeLessThan(batchLimits.v6Addresses)
}
