import type { MalformedReason } from './columns.ts'

export const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

const noBytes = new Uint8Array(0)
const two32 = 2 ** 32

/**
 * A cursor over protobuf wire format that never throws: the first problem is kept in `problem`, the cursor jumps to
 * its end and every later read answers 0. Reusable through `reset`.
 */
export class ProtoReader {
  bytes: Uint8Array = noBytes
  position = 0
  end = 0
  problem: MalformedReason | undefined = undefined

  reset(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes
    this.position = start
    this.end = end
    this.problem = undefined
  }

  fail(reason: MalformedReason): number {
    this.problem ??= reason
    this.position = this.end
    return 0
  }

  /** Exact up to 2^53; beyond that the answer is larger than Number.MAX_SAFE_INTEGER, which callers refuse. */
  varint(): number {
    const { bytes, end } = this
    let value = 0
    let scale = 1
    for (let length = 0; length < 10; length++) {
      if (this.position >= end) return this.fail('truncated')
      const byte = bytes[this.position++]
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
    return this.fail('bad_value')
  }

  fixed32(): number {
    const { bytes, position } = this
    if (this.end - position < 4) return this.fail('truncated')
    this.position = position + 4
    return (
      (bytes[position] |
        (bytes[position + 1] << 8) |
        (bytes[position + 2] << 16) |
        (bytes[position + 3] << 24)) >>>
      0
    )
  }

  fixed64(): number {
    const low = this.fixed32()
    return this.fixed32() * two32 + low
  }

  /** Length of a length-delimited field whose bytes are all present; the position is at its first byte. */
  length(): number {
    const length = this.varint()
    if (length > this.end - this.position) return this.fail('truncated')
    return length
  }

  skip(wireType: number): void {
    if (wireType === WireType.varint) this.varint()
    else if (wireType === WireType.bytes) this.advance(this.length())
    else if (wireType === WireType.fixed64) this.advance(8)
    else if (wireType === WireType.fixed32) this.advance(4)
    else this.fail('bad_value')
  }

  advance(byteCount: number): void {
    if (byteCount > this.end - this.position) this.fail('truncated')
    else this.position += byteCount
  }
}
