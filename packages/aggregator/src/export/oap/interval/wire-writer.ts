const utf8 = new TextEncoder()
/** Of the length of a message below 128 bytes, which nearly all are. */
const lengthBytes = 1
const scratch = new DataView(new ArrayBuffer(8))
const scratchBytes = new Uint8Array(scratch.buffer)

/**
 * Protobuf fields into one growing buffer. A message inside a message is begun and ended; only a long one is
 * moved then, as its length takes more room. Zero and empty values are left out, as proto3 does.
 */
export class WireWriter {
  #bytes = new Uint8Array(4_096)
  length = 0

  /** A copy of what was written; the writer is empty afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    const message = this.#bytes.slice(0, this.length)
    this.length = 0
    return message
  }

  /** Leaves room of a fixed size, to be filled once what follows it is known; answers where it is. */
  gap(bytes: number): number {
    this.#reserve(bytes)
    this.length += bytes
    return this.length - bytes
  }

  /** Writes a length of four bytes, the higher ones first, into a gap. */
  fill32(at: number, value: number): void {
    for (let i = 0; i < 4; i++) this.#bytes[at + i] = value >>> (24 - 8 * i)
  }

  fill8(at: number, value: number): void {
    this.#bytes[at] = value
  }

  number(field: number, value: number): void {
    if (value === 0) return
    this.#reserve(16)
    this.#varint(field * 8)
    this.#varint(value)
  }

  /** As `number`, but 0 is written, too: of several possible fields this one is there. */
  whole(field: number, value: number): void {
    this.#reserve(16)
    this.#varint(field * 8)
    this.#varint(value)
  }

  /** A whole number that is not negative, in eight bytes, the lower ones first; 0 is written, too. */
  fixed64(field: number, value: number | bigint): void {
    if (typeof value === 'bigint') scratch.setBigUint64(0, value, true)
    else {
      scratch.setUint32(0, value, true)
      scratch.setUint32(4, value / 2 ** 32, true)
    }
    this.#eight(field)
  }

  /** 0 is written, too. */
  double(field: number, value: number): void {
    scratch.setFloat64(0, value, true)
    this.#eight(field)
  }

  /** A number that may be negative, as `sint32` and `sint64` have it. */
  signed(field: number, value: number): void {
    this.number(field, value < 0 ? -2 * value - 1 : 2 * value)
  }

  /** Whole numbers of a repeated field, zeros too. */
  packed(field: number, values: readonly number[]): void {
    const start = this.begin(field)
    for (const value of values) {
      this.#reserve(16)
      this.#varint(value)
    }
    this.end(start)
  }

  text(field: number, value: string): void {
    if (value === '') return
    const most = value.length * 3
    this.#reserve(most + 16)
    this.#varint(field * 8 + 2)
    // short texts, which nearly all are, have a length of one byte
    if (most < 128) {
      const { written } = utf8.encodeInto(value, this.#bytes.subarray(this.length + 1))
      this.#bytes[this.length] = written
      this.length += 1 + written
      return
    }
    const bytes = utf8.encode(value)
    this.#varint(bytes.length)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Bytes of a message that were encoded before, as a field; empty ones too. */
  message(field: number, bytes: Uint8Array): void {
    this.#reserve(bytes.length + 16)
    this.#varint(field * 8 + 2)
    this.#varint(bytes.length)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Fields that were encoded before. */
  fields(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** The same of messages of one field, under another number; both are below 16. */
  renumbered(field: number, bytes: Uint8Array): void {
    let at = this.length
    this.fields(bytes)
    while (at < this.length) {
      this.#bytes[at++] = field * 8 + 2
      let [length, shift] = [0, 0]
      for (; this.#bytes[at] >= 128; shift += 7) length += (this.#bytes[at++] & 127) << shift
      length += this.#bytes[at++] << shift
      at += length
    }
  }

  /** Begins a message whose length is known. */
  head(field: number, length: number): void {
    this.#reserve(16)
    this.#varint(field * 8 + 2)
    this.#varint(length)
  }

  /** Begins a message inside this one; `end` takes what this returns. */
  begin(field: number): number {
    this.#reserve(16)
    this.#varint(field * 8 + 2)
    this.length += lengthBytes
    return this.length
  }

  end(start: number): void {
    const length = this.length - start
    if (length >= 128) {
      const more = bytesOf(length) - lengthBytes
      this.#reserve(more)
      this.#bytes.copyWithin(start + more, start, this.length)
    }
    this.length = start - lengthBytes
    this.#varint(length)
    this.length += length
  }

  #eight(field: number): void {
    this.#reserve(16)
    this.#varint(field * 8 + 1)
    for (let i = 0; i < 8; i++) this.#bytes[this.length++] = scratchBytes[i]
  }

  #varint(value: number): void {
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.length++] = rest
  }

  #reserve(more: number): void {
    if (this.length + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.length + more, 2 * this.#bytes.length))
    larger.set(this.#bytes.subarray(0, this.length))
    this.#bytes = larger
  }
}

/** Of a length as it is written. */
function bytesOf(length: number): number {
  let bytes = 1
  for (let rest = length; rest >= 128; rest = Math.floor(rest / 128)) bytes++
  return bytes
}
