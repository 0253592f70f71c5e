import { WireType } from './proto-reader.ts'

const two32 = 2 ** 32
const utf8 = new TextEncoder()

/** Appends protobuf fields to a growing buffer. Zero, false and empty values are left out, as proto3 does. */
export class ProtoWriter {
  #bytes: Uint8Array<ArrayBuffer>
  #length = 0

  /** `expectedBytes` saves growing. */
  constructor(expectedBytes = 1_024) {
    this.#bytes = new Uint8Array(expectedBytes)
  }

  /** What was written. Nothing may be written afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    const isNearlyFull = this.#length * 8 > this.#bytes.length * 7
    return isNearlyFull ? this.#bytes.subarray(0, this.#length) : this.#bytes.slice(0, this.#length)
  }

  varintField(field: number, value: number): void {
    if (value === 0) return
    this.tag(field, WireType.varint)
    this.varint(value)
  }

  fixed64Field(field: number, value: number): void {
    if (value === 0) return
    this.tag(field, WireType.fixed64)
    this.#fixed32(value % two32)
    this.#fixed32(Math.floor(value / two32))
  }

  textField(field: number, value: string): void {
    if (value !== '') this.bytesField(field, utf8.encode(value))
  }

  /** Also writes empty bytes: inside a repeated field they are an element. */
  bytesField(field: number, value: Uint8Array): void {
    this.tag(field, WireType.bytes)
    this.varint(value.length)
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
  }

  hex64Field(field: number, hex: string): void {
    this.tag(field, WireType.fixed64)
    this.#fixed32(Number.parseInt(hex.slice(8), 16))
    this.#fixed32(Number.parseInt(hex.slice(0, 8), 16))
  }

  /** A packed fixed32 or fixed64 column; left out when every word is zero. */
  columnField(field: number, words: Uint32Array): void {
    if (words.some(word => word !== 0)) this.wordsField(field, words)
  }

  /** Words in little-endian order, whatever they are. */
  wordsField(field: number, words: Uint32Array): void {
    this.tag(field, WireType.bytes)
    this.varint(4 * words.length)
    this.#reserve(4 * words.length)
    for (const word of words) this.#fixed32(word)
  }

  tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType)
  }

  varint(value: number): void {
    this.#reserve(10)
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
  }

  #fixed32(value: number): void {
    this.#reserve(4)
    for (let shift = 0; shift < 32; shift += 8) this.#bytes[this.#length++] = value >>> shift
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#length + more, 2 * this.#bytes.length))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}
