import {
  type L7Column,
  l7ColumnFields,
  type U32Column,
  type U64Column,
  u32ColumnFields,
  u64ColumnFields,
} from './columns.ts'
import { batchLimits } from './limits.ts'
import { ProtoReader, WireType } from './proto-reader.ts'

const ownerField = 20
const nameField = 21
const addressesField = 62
const operationField = 64
const fieldOf = { ...u32ColumnFields, ...u64ColumnFields, ...l7ColumnFields }
const columnFields = new Set<number>(Object.values(fieldOf))

/** Where things lie in the body of a frame (fields 20, 21 and 32 to 76). All parts are views of the body. */
export interface BodyFields {
  /** Encoded owners, names and operations, each without its tag and length. */
  readonly owners: readonly Uint8Array[]
  readonly names: readonly Uint8Array[]
  readonly operations: readonly Uint8Array[]
  readonly v6Addresses: Uint8Array
  /** Words of a column, until the next call; undefined if it is zero everywhere. */
  column(name: U32Column | U64Column | L7Column): Uint32Array | undefined
}

/** A column begins anywhere and words must be aligned, so each is copied here. Nobody keeps it. */
let scratch = new Uint32Array(2 * batchLimits.records)

/** Throws a RangeError if the body is not what our own encoder makes: a bug, never an input. */
export function readBodyFields(body: Uint8Array): BodyFields {
  const reader = new ProtoReader()
  const owners: Uint8Array[] = []
  const names: Uint8Array[] = []
  const operations: Uint8Array[] = []
  const columns = new Map<number, Uint8Array>()
  reader.reset(body, 0, body.length)
  while (reader.position < reader.end) {
    const tag = reader.varint()
    const field = Math.floor(tag / 8)
    if (tag % 8 !== WireType.bytes) reader.fail('bad_value')
    const length = reader.length()
    const bytes = body.subarray(reader.position, reader.position + length)
    reader.advance(length)
    if (field === ownerField) owners.push(bytes)
    else if (field === nameField) names.push(bytes)
    else if (field === operationField) operations.push(bytes)
    else if (columnFields.has(field) || field === addressesField) columns.set(field, bytes)
    else reader.fail('bad_value')
  }
  if (reader.problem !== undefined)
    throw new RangeError(`the body of a frame is malformed: ${reader.problem}`)
  return {
    owners,
    names,
    operations,
    v6Addresses: columns.get(addressesField) ?? new Uint8Array(0),
    column(name) {
      const bytes = columns.get(fieldOf[name])
      return bytes === undefined ? undefined : wordsOf(bytes)
    },
  }
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const count = bytes.length >>> 2
  if (count > scratch.length) scratch = new Uint32Array(count)
  new Uint8Array(scratch.buffer).set(bytes.subarray(0, 4 * count))
  return scratch.subarray(0, count)
}

/** The address and the name of an encoded DnsName, as texts of one character per byte. */
export function readNameKey(name: Uint8Array): { address: string; name: string } {
  const reader = new ProtoReader()
  const texts = ['', '', '']
  reader.reset(name, 0, name.length)
  while (reader.position < reader.end) {
    const tag = reader.varint()
    const field = Math.floor(tag / 8)
    if (tag % 8 !== WireType.bytes || field > 2) {
      reader.skip(tag % 8)
      continue
    }
    const length = reader.length()
    texts[field] = byteText(name.subarray(reader.position, reader.position + length))
    reader.advance(length)
  }
  return { address: texts[1], name: texts[2] }
}

/** One character per byte: a key that tells any two stretches of bytes apart. */
export function byteText(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}
