import { bytesAt, copyColumn, type FieldPlaces } from './column-copy.ts'
import {
  type BatchHeader,
  type DecodeResult,
  type FlowColumns,
  l7ColumnFields,
  type MalformedReason,
  type U32Column,
  type U64Column,
  u32ColumnFields,
  u64ColumnFields,
} from './columns.ts'
import { checkL7, checkL7Lengths, copyL7, hasL7 } from './decode-l7.ts'
import { decodeDnsName, decodeNumberPair, isSaneTime, operations, owners, texts } from './decode-parts.ts'
import { EndReason, Kind, l7ProtocolOf, protocolOf, reasonOf, roleOf, State, stateOf } from './kind.ts'
import { batchLimits, schemaVersion } from './limits.ts'
import { ProtoReader, WireType } from './proto-reader.ts'

const lastField = 76
const v6Field = 62
const accepted: DecodeResult = { ok: true }

// Where each length-delimited field of the message begins and how long it is. Decoding neither recurs nor awaits, so
// one set of scratch arrays serves all callers.
const reader = new ProtoReader()
const columnAt = new Int32Array(lastField + 1)
const columnBytes = new Int32Array(lastField + 1)
const places: FieldPlaces = { at: columnAt, bytes: columnBytes }
// Messages within the message, in the order of `buildParts`, by field number and how many there may be.
const parts = [
  [13, batchLimits.losses],
  [20, batchLimits.owners],
  [21, batchLimits.names],
  [24, batchLimits.l7Counts],
  [25, batchLimits.l7Counts],
  [64, batchLimits.operations],
] as const
const partLimit = Int32Array.from(parts, ([, limit]) => limit)
const partCount = new Int32Array(parts.length)
const partRanges = parts.map(([, limit]) => new Int32Array(2 * limit))
const wideSeen = new Uint8Array(batchLimits.records)

const isColumn = new Uint8Array(lastField + 1)
const u32Names = Object.keys(u32ColumnFields) as U32Column[]
const u64Names = Object.keys(u64ColumnFields) as U64Column[]
const recordColumns = u32Names.filter(name => name !== 'wideAt' && name !== 'wideHigh')
for (const name of u32Names) isColumn[u32ColumnFields[name]] = 1
for (const name of u64Names) isColumn[u64ColumnFields[name]] = 1
for (const field of Object.values(l7ColumnFields)) isColumn[field] = 1
isColumn[v6Field] = 1

const partOfField = new Int8Array(lastField + 1).fill(-1)
parts.forEach(([field], part) => {
  partOfField[field] = part
})

/**
 * Reads one FlowBatch into reusable columns; omitted columns become zeros. Nothing in `into` refers to `bytes`
 * afterwards. Never throws: a message outside the limits or the contract is refused with a reason, and `into` then
 * has `count` 0 and otherwise undefined contents. A column must be packed and may come only once.
 */
export function decodeFlowBatch(bytes: Uint8Array, into: FlowColumns): DecodeResult {
  into.count = 0
  into.wideCount = 0
  into.l7.rowCount = 0
  into.l7.bucketCount = 0
  const reason = readFields(bytes, into.header) ?? checkHeader(into.header) ?? checkLengths(into.header)
  if (reason !== undefined) return { ok: false, reason }
  const problem = buildParts(bytes, into.header)
  if (problem !== undefined) return { ok: false, reason: problem }
  const count = into.header.recordCount
  copyColumns(bytes, into, count)
  const invalid = checkRecords(into, count) ?? checkWide(into, count) ?? readL7(bytes, into, count)
  if (invalid !== undefined) {
    into.wideCount = 0
    into.l7.rowCount = 0
    into.l7.bucketCount = 0
    return { ok: false, reason: invalid }
  }
  into.count = count
  return accepted
}

function readL7(bytes: Uint8Array, into: FlowColumns, count: number): MalformedReason | undefined {
  if (!hasL7(columnBytes)) return undefined
  const problem = checkL7Lengths(columnBytes)
  if (problem !== undefined) return problem
  copyL7(bytes, places, into.l7)
  return checkL7(into.l7, count, into.header.operations.length)
}

function readFields(bytes: Uint8Array, header: BatchHeader): MalformedReason | undefined {
  if (bytes.length > batchLimits.messageBytes) return 'too_large'
  clearHeader(header)
  columnBytes.fill(-1)
  partCount.fill(0)
  reader.reset(bytes, 0, bytes.length)
  while (reader.position < reader.end) {
    const tag = reader.varint()
    if (reader.problem !== undefined) break
    const field = Math.floor(tag / 8)
    const wireType = tag % 8
    if (field === 0 || field > 0x1fff_ffff) return 'bad_value'
    if (field > lastField) reader.skip(wireType)
    else if (isColumn[field] === 1) noteColumn(field, wireType)
    else if (partOfField[field] >= 0) notePart(partOfField[field], wireType)
    else readHeaderField(header, field, wireType)
    if (field === 1 && header.schemaVersion !== schemaVersion) return reader.problem ?? 'unknown_version'
  }
  return reader.problem
}

function noteColumn(field: number, wireType: number): void {
  if (wireType !== WireType.bytes || columnBytes[field] >= 0) {
    reader.fail('column_length')
    return
  }
  const length = reader.length()
  columnAt[field] = reader.position
  columnBytes[field] = length
  reader.advance(length)
}

function notePart(kind: number, wireType: number): void {
  const index = partCount[kind]
  if (wireType !== WireType.bytes || index >= partLimit[kind]) {
    reader.fail(wireType === WireType.bytes ? 'too_large' : 'bad_value')
    return
  }
  const length = reader.length()
  partRanges[kind][2 * index] = reader.position
  partRanges[kind][2 * index + 1] = reader.position + length
  partCount[kind] = index + 1
  reader.advance(length)
}

// A known field number with another wire type is another schema's field: protobuf readers skip it.
function readHeaderField(header: BatchHeader, field: number, wireType: number): void {
  if (wireType === WireType.varint) readVarintField(header, field)
  else if (wireType === WireType.fixed64) readFixed64Field(header, field)
  else if (wireType === WireType.bytes && (field === 2 || field === 3)) readNameField(header, field)
  else reader.skip(wireType)
}

function readVarintField(header: BatchHeader, field: number): void {
  const value = reader.varint()
  if (field === 1) header.schemaVersion = value
  else if (field === 5) header.partition = value
  else if (field === 8) header.recordCount = value
  else if (field === 10) header.flushIntervalMs = value
  else if (field === 12) header.minuteComplete = value !== 0
  else if (field === 22) header.cleanStop = value !== 0
  else if (field === 23) {
    if (value > Kind.samplingMask) reader.fail('bad_value')
    header.sampling = value
  }
}

function readFixed64Field(header: BatchHeader, field: number): void {
  if (field === 4) {
    const low = reader.fixed32()
    header.bootId = hex32(reader.fixed32()) + hex32(low)
    return
  }
  const value = reader.fixed64()
  if (field === 6) header.sequence = value
  else if (field === 7) header.firstRecord = value
  else if (field === 9) header.baseUnixMs = value
  else if (field === 11) header.capabilities = value
  else if (field === 14) header.recordsEncoded = value
  else if (field === 15) header.recordsMerged = value
  else if (field === 16) header.recordsSampledOut = value
  else if (field === 17) header.ringProduced = value
  else if (field === 18) header.ringConsumed = value
  else if (field === 19) header.sentUnixMs = value
}

function readNameField(header: BatchHeader, field: number): void {
  const length = reader.length()
  if (length > batchLimits.textBytes) reader.fail('bad_value')
  if (reader.problem !== undefined) return
  const text = texts.get(message(reader.bytes), reader.position, reader.position + length) ?? ''
  if (field === 2) header.cluster = text
  else header.node = text
  reader.advance(length)
}

function clearHeader(header: BatchHeader): void {
  header.schemaVersion = 0
  header.cluster = ''
  header.node = ''
  header.bootId = '0000000000000000'
  header.partition = 0
  header.sequence = 0
  header.firstRecord = 0
  header.recordCount = 0
  header.baseUnixMs = 0
  header.flushIntervalMs = 0
  header.capabilities = 0
  header.minuteComplete = false
  header.cleanStop = false
  header.sampling = 0
  header.losses.length = 0
  header.recordsEncoded = 0
  header.recordsMerged = 0
  header.recordsSampledOut = 0
  header.ringProduced = 0
  header.ringConsumed = 0
  header.sentUnixMs = 0
  header.owners.length = 0
  header.names.length = 0
  header.l7Counts.length = 0
  header.l7Verdicts.length = 0
  header.operations.length = 0
}

function checkHeader(header: BatchHeader): MalformedReason | undefined {
  if (header.schemaVersion !== schemaVersion) return 'unknown_version'
  if (header.recordCount > batchLimits.records) return 'record_count'
  if (header.node === '' || header.partition >= batchLimits.partitions) return 'bad_value'
  if (header.sequence < 1 || header.flushIntervalMs > 0xffff_ffff) return 'bad_value'
  const largest = Math.max(
    header.sequence,
    header.firstRecord + header.recordCount,
    header.recordsEncoded,
    header.recordsMerged,
    header.recordsSampledOut,
    header.ringProduced,
    header.ringConsumed,
  )
  if (largest > batchLimits.counted || header.capabilities > Number.MAX_SAFE_INTEGER) return 'bad_value'
  const aligned = header.baseUnixMs % batchLimits.recordSpanMs === 0
  if (!aligned || !isSaneTime(header.baseUnixMs) || !isSaneTime(header.sentUnixMs)) return 'time_out_of_range'
  return undefined
}

function checkLengths(header: BatchHeader): MalformedReason | undefined {
  const count = header.recordCount
  for (let field = 32; field < v6Field; field++) {
    const length = columnBytes[field]
    if (length < 0 || isColumn[field] === 0) continue
    if (field === u32ColumnFields.wideAt || field === u32ColumnFields.wideHigh) continue
    const width = field === 34 || field === 54 || field === 55 ? 8 : 4
    if (length !== count * width) return 'column_length'
  }
  const wideBytes = Math.max(0, columnBytes[u32ColumnFields.wideAt])
  if (wideBytes % 4 !== 0 || wideBytes > 4 * batchLimits.wideValues) return 'column_length'
  if (wideBytes !== Math.max(0, columnBytes[u32ColumnFields.wideHigh])) return 'column_length'
  const v6Bytes = Math.max(0, columnBytes[v6Field])
  if (v6Bytes % 16 !== 0 || v6Bytes > 32 * count) return 'column_length'
  return undefined
}

function buildParts(bytes: Uint8Array, header: BatchHeader): MalformedReason | undefined {
  const view = message(bytes)
  const { losses, names, l7Counts, l7Verdicts } = header
  const isSound =
    eachPart(0, (start, end) => {
      const loss = decodeNumberPair(bytes, start, end)
      if (loss === undefined || loss.first < 1) return false
      return losses.push({ place: loss.first, records: loss.second }) > 0
    }) &&
    eachPart(1, (start, end) => keep(header.owners, owners.get(view, start, end))) &&
    eachPart(2, (start, end) => keep(names, decodeDnsName(bytes, start, end))) &&
    eachPart(3, (start, end) => {
      const pair = decodeNumberPair(bytes, start, end)
      if (pair === undefined || pair.first < 1) return false
      return l7Counts.push({ cause: pair.first, count: pair.second }) > 0
    }) &&
    eachPart(4, (start, end) => {
      const pair = decodeNumberPair(bytes, start, end)
      if (pair === undefined || pair.first > Kind.l7Mask) return false
      return l7Verdicts.push({ protocol: pair.first, connections: pair.second }) > 0
    }) &&
    eachPart(5, (start, end) => keep(header.operations, operations.get(view, start, end)))
  return isSound ? undefined : 'bad_value'
}

/** Until one is refused. */
function eachPart(part: number, take: (start: number, end: number) => boolean): boolean {
  const ranges = partRanges[part]
  for (let index = 0; index < partCount[part]; index++)
    if (!take(ranges[2 * index], ranges[2 * index + 1])) return false
  return true
}

function keep<T>(list: T[], value: T | undefined): boolean {
  return value !== undefined && list.push(value) > 0
}

function message(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function copyColumns(bytes: Uint8Array, into: FlowColumns, count: number): void {
  for (const name of recordColumns) copyColumn(bytes, places, u32ColumnFields[name], into.u32[name], count)
  for (const name of u64Names) copyColumn(bytes, places, u64ColumnFields[name], into.u64[name], 2 * count)
  into.wideCount = Math.max(0, columnBytes[u32ColumnFields.wideAt]) / 4
  if (into.wideCount > 0) {
    copyColumn(bytes, places, u32ColumnFields.wideAt, into.u32.wideAt, into.wideCount)
    copyColumn(bytes, places, u32ColumnFields.wideHigh, into.u32.wideHigh, into.wideCount)
  }
  const v6Bytes = columnBytes[v6Field]
  if (v6Bytes > 0) into.v6Addresses.set(bytesAt(bytes, columnAt[v6Field], v6Bytes))
}

// A loop per column: with one array each they run several times as fast as one loop over all.
function checkRecords(into: FlowColumns, count: number): MalformedReason | undefined {
  const { kind, owner, atMs } = into.u32
  let known = 1
  let anyBits = 0
  for (let row = 0; row < count; row++) {
    const bits = kind[row]
    anyBits |= bits
    known &= knownKind[bits & kindMask]
  }
  if (known === 0) return 'bad_value'
  into.l7.speaksAny = l7ProtocolOf(anyBits) !== 0
  if (!allBelow(owner, count, into.header.owners.length)) return 'owner_index'
  if (!allBelow(atMs, count, batchLimits.recordSpanMs)) return 'time_out_of_range'
  return (anyBits & Kind.v6) === 0 ? undefined : checkAddresses(into, count)
}

function allBelow(column: Uint32Array, count: number, limit: number): boolean {
  let above = 0
  for (let row = 0; row < count; row++) above |= column[row] < limit ? 0 : 1
  return above === 0
}

function checkAddresses(into: FlowColumns, count: number): MalformedReason | undefined {
  const { kind, localAddress, remoteAddress } = into.u32
  const v6Count = Math.max(0, columnBytes[v6Field]) / 16
  for (let row = 0; row < count; row++) {
    if ((kind[row] & Kind.v6) === 0) continue
    if (localAddress[row] >= v6Count || remoteAddress[row] >= v6Count) return 'address_index'
  }
  return undefined
}

// Every combination of protocol, role, state and reason, told in advance: one load per record instead of four tests.
const kindBits = Kind.reasonShift + 4
const kindMask = (1 << kindBits) - 1
const knownKind = new Uint8Array(1 << kindBits).map((_, bits) => (isKnownKind(bits) ? 1 : 0))

function isKnownKind(bits: number): boolean {
  const protocol = protocolOf(bits)
  const state = stateOf(bits)
  if (protocol === 0 || protocol === 3 || state === 0 || state > State.halfOpen) return false
  return roleOf(bits) !== 3 && reasonOf(bits) <= EndReason.localError
}

/** Each high half must belong to one record and one delta column, and to each only once: they are added. */
function checkWide(into: FlowColumns, count: number): MalformedReason | undefined {
  if (into.wideCount === 0) return undefined
  wideSeen.fill(0)
  for (let index = 0; index < into.wideCount; index++) {
    const at = into.u32.wideAt[index]
    const row = at >>> 8
    const bit = (at & 0xff) - u32ColumnFields.bytesSent
    if (row >= count || bit < 0 || bit > 7) return 'bad_value'
    if ((wideSeen[row] & (1 << bit)) !== 0) return 'bad_value'
    wideSeen[row] |= 1 << bit
  }
  return undefined
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0')
}
