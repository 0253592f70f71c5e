import { mix, wordAt } from './key-hash.ts'

const chunkShift = 12
const chunkAddresses = 1 << chunkShift
const recentSlots = 1 << 14
const recentWays = 4
/** More uses than a byte can count are counted in a map: few addresses have so many. */
const mostUses = 255

/**
 * IPv6 addresses of live connections, counted by use; a connection refers to them by number. An address that was
 * acquired not long ago is shared instead of kept twice. Sharing is by chance, so compare with `same`, not by number.
 * 17 bytes an address; bounded by the connections that refer to it.
 */
export class AddressPool {
  size = 0
  readonly #words: Uint32Array[] = []
  readonly #uses: Uint8Array[] = []
  readonly #moreUses = new Map<number, number>()
  #top = 0
  #free = -1
  /** Address + 1 by hash, four places each. */
  readonly #recent = new Uint32Array(recentSlots * recentWays)
  readonly #seed: number

  constructor(seed: number) {
    this.#seed = seed
  }

  /** The address whose 16 bytes are at `offset`, with one more use; `likely` is looked at first (-1: none). */
  acquire(bytes: Uint8Array, offset: number, likely: number): number {
    const w0 = wordAt(bytes, offset)
    const w1 = wordAt(bytes, offset + 4)
    const w2 = wordAt(bytes, offset + 8)
    const w3 = wordAt(bytes, offset + 12)
    if (likely >= 0 && this.#is(likely, w0, w1, w2, w3)) return this.#use(likely)
    const hash = hashWords(this.#seed, w0, w1, w2, w3)
    const home = (hash & (recentSlots - 1)) * recentWays
    let place = home + (hash >>> 30)
    for (let at = home; at < home + recentWays; at++) {
      const address = this.#recent[at] - 1
      if (address < 0 || this.#usesOf(address) === 0) place = at
      else if (this.#is(address, w0, w1, w2, w3)) return this.#use(address)
    }
    const address = this.#take(w0, w1, w2, w3)
    this.#recent[place] = address + 1
    return address
  }

  release(address: number): void {
    const more = this.#moreUses.get(address)
    if (more !== undefined) {
      if (more > 1) this.#moreUses.set(address, more - 1)
      else this.#moreUses.delete(address)
      return
    }
    const uses = this.#uses[address >>> chunkShift]
    const at = address & (chunkAddresses - 1)
    if (--uses[at] > 0) return
    this.#words[address >>> chunkShift][4 * at] = this.#free + 1
    this.#free = address
    this.size--
  }

  word(address: number, index: number): number {
    return this.#words[address >>> chunkShift][4 * (address & (chunkAddresses - 1)) + index]
  }

  same(a: number, b: number): boolean {
    if (a === b) return true
    return this.#is(a, this.word(b, 0), this.word(b, 1), this.word(b, 2), this.word(b, 3))
  }

  /** The same for the same address, whatever its number. */
  hash(address: number): number {
    const words = this.#words[address >>> chunkShift]
    const i = 4 * (address & (chunkAddresses - 1))
    return hashWords(this.#seed, words[i], words[i + 1], words[i + 2], words[i + 3])
  }

  bytes(): number {
    return this.#words.length * chunkAddresses * 17 + this.#recent.byteLength
  }

  #is(address: number, w0: number, w1: number, w2: number, w3: number): boolean {
    const words = this.#words[address >>> chunkShift]
    const i = 4 * (address & (chunkAddresses - 1))
    return words[i] === w0 && words[i + 1] === w1 && words[i + 2] === w2 && words[i + 3] === w3
  }

  #usesOf(address: number): number {
    return this.#uses[address >>> chunkShift][address & (chunkAddresses - 1)]
  }

  #use(address: number): number {
    const uses = this.#uses[address >>> chunkShift]
    const at = address & (chunkAddresses - 1)
    if (uses[at] < mostUses) uses[at]++
    else this.#moreUses.set(address, (this.#moreUses.get(address) ?? 0) + 1)
    return address
  }

  #take(w0: number, w1: number, w2: number, w3: number): number {
    let address = this.#free
    if (address >= 0) {
      this.#free = this.word(address, 0) - 1
    } else {
      address = this.#top++
      if (address >>> chunkShift >= this.#words.length) this.#addChunk()
    }
    const words = this.#words[address >>> chunkShift]
    const at = address & (chunkAddresses - 1)
    words[4 * at] = w0
    words[4 * at + 1] = w1
    words[4 * at + 2] = w2
    words[4 * at + 3] = w3
    this.#uses[address >>> chunkShift][at] = 1
    this.size++
    return address
  }

  #addChunk(): void {
    this.#words.push(new Uint32Array(4 * chunkAddresses))
    this.#uses.push(new Uint8Array(chunkAddresses))
  }
}

function hashWords(seed: number, w0: number, w1: number, w2: number, w3: number): number {
  return mix(mix(seed, w0, w1), w2, w3)
}
