/** Safe whole numbers, the smaller ones in fewer bytes. */
export class NumberPacker {
  #bytes = new Uint8Array(65_536)
  #length = 0

  put(value: number): void {
    if (this.#length + mostBytes > this.#bytes.length) this.#grow()
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
  }

  /** What was put; nothing is in it afterwards. */
  finish(): Uint8Array {
    const packed = this.#bytes.slice(0, this.#length)
    this.#length = 0
    return packed
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bytes.length * 2)
    larger.set(this.#bytes)
    this.#bytes = larger
  }
}

const mostBytes = 8

export interface PackedReader {
  readonly bytes: Uint8Array
  at: number
}

export function takeNumber(reader: PackedReader): number {
  let value = 0
  let scale = 1
  for (;;) {
    const byte = reader.bytes[reader.at++]
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
    scale *= 128
  }
}
