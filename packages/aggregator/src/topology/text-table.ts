const firstTexts = 1024
const firstBytes = 1 << 14

/**
 * Texts by number, found by their bytes: a text that came before is neither decoded nor made again. Numbers count up
 * from 0.
 */
export class TextTable {
  count = 0
  byteLength = 0
  #bytes = new Uint8Array(firstBytes)
  /** End of each text in the bytes; its start is the end of the one before. */
  #ends = new Uint32Array(firstTexts)
  #hashes = new Uint32Array(firstTexts)
  /** Number + 1 by hash, open addressing, at most half full. */
  #slots = new Uint32Array(2 * firstTexts)
  readonly #texts: (string | undefined)[] = []
  readonly #decoder = new TextDecoder('utf-8')

  numberOf(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashOf(bytes, from, to)
    const mask = this.#slots.length - 1
    let at = hash & mask
    for (; this.#slots[at] !== 0; at = (at + 1) & mask) {
      const number = this.#slots[at] - 1
      if (this.#hashes[number] === hash && this.#is(number, bytes, from, to)) return number
    }
    return this.#add(hash, bytes, from, to)
  }

  text(number: number): string {
    let text = this.#texts[number]
    if (text === undefined) {
      text = this.#decoder.decode(this.#bytes.subarray(this.#startOf(number), this.#ends[number]))
      this.#texts[number] = text
    }
    return text
  }

  #startOf(number: number): number {
    return number === 0 ? 0 : this.#ends[number - 1]
  }

  #is(number: number, bytes: Uint8Array, from: number, to: number): boolean {
    const start = this.#startOf(number)
    if (this.#ends[number] - start !== to - from) return false
    for (let i = 0; i < to - from; i++) if (this.#bytes[start + i] !== bytes[from + i]) return false
    return true
  }

  #add(hash: number, bytes: Uint8Array, from: number, to: number): number {
    const number = this.count++
    const end = this.byteLength + to - from
    if (end > this.#bytes.length)
      this.#bytes = copied(this.#bytes, new Uint8Array(Math.max(end, 2 * this.#bytes.length)))
    this.#bytes.set(bytes.subarray(from, to), this.byteLength)
    this.byteLength = end
    if (number === this.#ends.length) this.#grow()
    this.#ends[number] = end
    this.#hashes[number] = hash
    this.#place(number)
    return number
  }

  #place(number: number): void {
    const mask = this.#slots.length - 1
    let at = this.#hashes[number] & mask
    while (this.#slots[at] !== 0) at = (at + 1) & mask
    this.#slots[at] = number + 1
  }

  #grow(): void {
    const { length } = this.#ends
    this.#ends = copied(this.#ends, new Uint32Array(2 * length))
    this.#hashes = copied(this.#hashes, new Uint32Array(2 * length))
    this.#slots = new Uint32Array(4 * length)
    for (let number = 0; number < length; number++) this.#place(number)
  }
}

function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let h = 0x811c9dc5
  for (let at = from; at < to; at++) h = Math.imul(h ^ bytes[at], 0x01000193)
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b)
  return (h ^ (h >>> 13)) >>> 0
}

function copied<A extends Uint8Array | Uint32Array>(from: A, to: A): A {
  to.set(from)
  return to
}
