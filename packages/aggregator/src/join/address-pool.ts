import { HashIndex, indexedValue, sameTag } from './hash-index.ts'
import { mix, wordAt } from './key-hash.ts'

/**
 * IPv6 addresses of live connections, each kept once and counted: a connection refers to them by number, and two ends
 * have the same address exactly if they have the same number. Bounded by the connections that refer to it.
 */
export class AddressPool {
  #words = new Uint32Array(4 * 256)
  #uses = new Uint32Array(256)
  #top = 0
  readonly #free: number[] = []
  readonly #index: HashIndex
  readonly #seed: number

  constructor(seed: number) {
    this.#seed = seed
    this.#index = new HashIndex(address => this.#hash(address), 256)
  }

  /** The address whose 16 bytes are at `offset`, with one more use. */
  acquire(bytes: Uint8Array, offset: number): number {
    const w0 = wordAt(bytes, offset)
    const w1 = wordAt(bytes, offset + 4)
    const w2 = wordAt(bytes, offset + 8)
    const w3 = wordAt(bytes, offset + 12)
    const known = this.find(w0, w1, w2, w3)
    if (known >= 0) {
      this.#uses[known]++
      return known
    }
    const address = this.#free.pop() ?? this.#top++
    if (address >= this.#uses.length) this.#grow()
    this.#words.set([w0, w1, w2, w3], 4 * address)
    this.#uses[address] = 1
    this.#index.add(this.#hash(address), address)
    return address
  }

  find(w0: number, w1: number, w2: number, w3: number): number {
    const hash = hashWords(this.#seed, w0, w1, w2, w3)
    const { entries, mask } = this.#index
    for (let at = hash & mask; entries[at] !== 0; at = (at + 1) & mask) {
      if (!sameTag(entries[at], hash)) continue
      const address = indexedValue(entries[at])
      const i = 4 * address
      const words = this.#words
      if (words[i] === w0 && words[i + 1] === w1 && words[i + 2] === w2 && words[i + 3] === w3) return address
    }
    return -1
  }

  use(address: number): void {
    this.#uses[address]++
  }

  release(address: number): void {
    if (--this.#uses[address] > 0) return
    this.#index.remove(this.#hash(address), address)
    this.#free.push(address)
  }

  word(address: number, index: number): number {
    return this.#words[4 * address + index]
  }

  get size(): number {
    return this.#index.size
  }

  bytes(): number {
    return this.#words.byteLength + this.#uses.byteLength + this.#index.entries.byteLength
  }

  #hash(address: number): number {
    const w = this.#words
    const i = 4 * address
    return hashWords(this.#seed, w[i], w[i + 1], w[i + 2], w[i + 3])
  }

  #grow(): void {
    const words = new Uint32Array(this.#words.length * 2)
    words.set(this.#words)
    this.#words = words
    const uses = new Uint32Array(this.#uses.length * 2)
    uses.set(this.#uses)
    this.#uses = uses
  }
}

function hashWords(seed: number, w0: number, w1: number, w2: number, w3: number): number {
  return mix(mix(seed, w0, w1), w2, w3)
}
