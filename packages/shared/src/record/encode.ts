import {
  type BatchHeader,
  type DnsName,
  type FlowColumns,
  type L7Column,
  l7ColumnFields,
  type Operation,
  type Owner,
  type U32Column,
  type U64Column,
  u32ColumnFields,
  u64ColumnFields,
} from './columns.ts'
import { Kind } from './kind.ts'
import { ProtoWriter } from './proto-writer.ts'

/** What a sender puts in front of a body: fields 1 to 19 and 22 to 25. */
export type PlainHeader = Omit<BatchHeader, BodyTable | LaterField> & Partial<Pick<BatchHeader, LaterField>>
type BodyTable = 'owners' | 'names' | 'operations'
type LaterField = 'sampling' | 'l7Counts' | 'l7Verdicts'

/**
 * The plain header of a FlowBatch. Protobuf messages concatenate, so these bytes followed by a body (owners, names and
 * columns) are one complete message. Throws a RangeError if `bootId` is not 16 hexadecimal digits.
 */
export function encodeHeader(header: PlainHeader): Uint8Array<ArrayBuffer> {
  const writer = new ProtoWriter()
  writeHeader(writer, header)
  return writer.finish()
}

/**
 * The whole batch as one message: for generators, tests and tools; collectors encode their columns natively.
 * `columns.count` decides how many records are written, whatever `header.recordCount` says.
 */
export function encodeFlowBatch(columns: FlowColumns): Uint8Array<ArrayBuffer> {
  const writer = new ProtoWriter()
  writeHeader(writer, { ...columns.header, recordCount: columns.count })
  writeBody(writer, columns)
  return writer.finish()
}

/** Fields 20, 21 and 32 to 76: what the native encoder produces for one frame. */
export function encodeBody(columns: FlowColumns): Uint8Array<ArrayBuffer> {
  const writer = new ProtoWriter()
  writeBody(writer, columns)
  return writer.finish()
}

function writeHeader(writer: ProtoWriter, header: PlainHeader): void {
  if (!/^[0-9a-f]{16}$/.test(header.bootId)) throw new RangeError('bootId must be 16 hexadecimal digits')
  writer.varintField(1, header.schemaVersion)
  writer.textField(2, header.cluster)
  writer.textField(3, header.node)
  writer.hex64Field(4, header.bootId)
  writer.varintField(5, header.partition)
  writer.fixed64Field(6, header.sequence)
  writer.fixed64Field(7, header.firstRecord)
  writer.varintField(8, header.recordCount)
  writer.fixed64Field(9, header.baseUnixMs)
  writer.varintField(10, header.flushIntervalMs)
  writer.fixed64Field(11, header.capabilities)
  writer.varintField(12, header.minuteComplete ? 1 : 0)
  for (const { place, records } of header.losses) writer.bytesField(13, encodePair(place, records))
  writer.fixed64Field(14, header.recordsEncoded)
  writer.fixed64Field(15, header.recordsMerged)
  writer.fixed64Field(16, header.recordsSampledOut)
  writer.fixed64Field(17, header.ringProduced)
  writer.fixed64Field(18, header.ringConsumed)
  writer.fixed64Field(19, header.sentUnixMs)
  writer.varintField(22, header.cleanStop ? 1 : 0)
  writer.varintField(23, header.sampling ?? 0)
  for (const { cause, count } of header.l7Counts ?? []) writer.bytesField(24, encodePair(cause, count))
  for (const { protocol, connections } of header.l7Verdicts ?? [])
    writer.bytesField(25, encodePair(protocol, connections))
}

const fieldsInOrder: readonly { field: number; u32?: U32Column; u64?: U64Column }[] = [
  ...(Object.keys(u32ColumnFields) as U32Column[]).map(name => ({ field: u32ColumnFields[name], u32: name })),
  ...(Object.keys(u64ColumnFields) as U64Column[]).map(name => ({ field: u64ColumnFields[name], u64: name })),
].sort((left, right) => left.field - right.field)

function writeBody(writer: ProtoWriter, columns: FlowColumns): void {
  for (const owner of columns.header.owners) writer.bytesField(20, encodeOwner(owner))
  for (const name of columns.header.names) writer.bytesField(21, encodeDnsName(name))
  for (const { field, u32, u64 } of fieldsInOrder) {
    if (u64 !== undefined) writer.columnField(field, columns.u64[u64].subarray(0, 2 * columns.count))
    else if (u32 === 'wideAt' || u32 === 'wideHigh') writeWide(writer, columns, u32)
    else if (u32 !== undefined) writer.columnField(field, columns.u32[u32].subarray(0, columns.count))
  }
  const v6 = usedV6Bytes(columns)
  if (v6 > 0) writer.bytesField(62, columns.v6Addresses.subarray(0, v6))
  for (const operation of columns.header.operations) writer.bytesField(64, encodeOperation(operation))
  const { rowCount, bucketCount, u32 } = columns.l7
  for (const name of Object.keys(l7ColumnFields) as L7Column[]) {
    const isBucket = name === 'l7BucketIndex' || name === 'l7BucketValue'
    writer.columnField(l7ColumnFields[name], u32[name].subarray(0, isBucket ? bucketCount : rowCount))
  }
}

// Never left out when in use: wideAt may be all zero only by value, and both must keep the same length.
function writeWide(writer: ProtoWriter, columns: FlowColumns, name: 'wideAt' | 'wideHigh'): void {
  if (columns.wideCount === 0) return
  writer.wordsField(u32ColumnFields[name], columns.u32[name].subarray(0, columns.wideCount))
}

function usedV6Bytes(columns: FlowColumns): number {
  let used = 0
  for (let row = 0; row < columns.count; row++) {
    if ((columns.u32.kind[row] & Kind.v6) === 0) continue
    used = Math.max(used, columns.u32.localAddress[row] + 1, columns.u32.remoteAddress[row] + 1)
  }
  return 16 * used
}

function encodeOwner(owner: Owner): Uint8Array {
  const writer = new ProtoWriter()
  writer.textField(1, owner.cgroup)
  writer.textField(2, owner.podUid)
  writer.textField(3, owner.containerId)
  writer.textField(4, owner.unit)
  writer.textField(5, owner.process)
  writer.varintField(6, owner.pid)
  return writer.finish()
}

function encodeDnsName(name: DnsName): Uint8Array {
  const writer = new ProtoWriter()
  writer.bytesField(1, name.address)
  writer.textField(2, name.name)
  writer.varintField(3, name.ttlSeconds)
  writer.fixed64Field(4, name.seenUnixMs)
  return writer.finish()
}

function encodePair(first: number, second: number): Uint8Array {
  const writer = new ProtoWriter()
  writer.varintField(1, first)
  writer.varintField(2, second)
  return writer.finish()
}

/** As it stands in a batch, without tag and length. */
export function encodeOperation({ protocol, name, host }: Operation): Uint8Array {
  const writer = new ProtoWriter()
  writer.varintField(1, protocol)
  writer.textField(2, name)
  writer.textField(3, host)
  return writer.finish()
}
