/** Protobuf on the wire as a list of fields, which can be put together again wrongly. */
export interface WireField {
  readonly tag: number
  /** What follows the tag: for a length-delimited field without its length. */
  readonly body: Uint8Array
  /** Written in place of the true length of a length-delimited field. */
  readonly length?: bigint
}

const lengthDelimited = 2
/** A tag and a length, or a varint. */
const mostVarintBytes = 20
let output = Buffer.alloc(1 << 20)

/** The fields of a message as far as they can be read; the rest is left out. */
export function wireFields(bytes: Uint8Array): WireField[] {
  const fields: WireField[] = []
  const cursor = { at: 0 }
  while (cursor.at < bytes.length) {
    const tag = readVarint(bytes, cursor)
    const body = tag === undefined ? undefined : bodyOf(bytes, cursor, tag % 8)
    if (tag === undefined || body === undefined) break
    fields.push({ tag, body })
  }
  return fields
}

export function wireBytes(fields: readonly WireField[]): Uint8Array {
  let at = 0
  for (const { tag, body, length } of fields) {
    if (at + body.length + mostVarintBytes > output.length)
      output = Buffer.concat([output, Buffer.alloc(output.length + body.length)])
    at = writeVarint(tag, at)
    if (tag % 8 === lengthDelimited)
      at = length === undefined ? writeVarint(body.length, at) : writeLarge(length, at)
    output.set(body, at)
    at += body.length
  }
  return Uint8Array.from(output.subarray(0, at))
}

export function varint(value: bigint): Uint8Array {
  return Uint8Array.from(output.subarray(0, writeLarge(value, 0)))
}

/** Up to 2^53. */
function writeVarint(value: number, at: number): number {
  let rest = value
  while (rest > 0x7f) {
    output[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  output[at++] = rest
  return at
}

function writeLarge(value: bigint, at: number): number {
  let rest = BigInt.asUintN(64, value)
  while (rest > 0x7fn) {
    output[at++] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  output[at++] = Number(rest)
  return at
}

export function fixed64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true)
  return bytes
}

function bodyOf(bytes: Uint8Array, cursor: { at: number }, wireType: number): Uint8Array | undefined {
  const start = cursor.at
  if (wireType === 0)
    return readVarint(bytes, cursor) === undefined ? undefined : bytes.subarray(start, cursor.at)
  if (wireType === lengthDelimited) {
    const length = readVarint(bytes, cursor)
    return length === undefined ? undefined : take(bytes, cursor, length)
  }
  return wireType === 1 ? take(bytes, cursor, 8) : wireType === 5 ? take(bytes, cursor, 4) : undefined
}

function take(bytes: Uint8Array, cursor: { at: number }, length: number): Uint8Array | undefined {
  if (length > bytes.length - cursor.at) return undefined
  cursor.at += length
  return bytes.subarray(cursor.at - length, cursor.at)
}

function readVarint(bytes: Uint8Array, cursor: { at: number }): number | undefined {
  let value = 0
  let scale = 1
  for (let index = 0; index < 8 && cursor.at < bytes.length; index++) {
    const byte = bytes[cursor.at++]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
    scale *= 128
  }
  return undefined
}
