export const indexValueBits = 25
const valueMask = (1 << indexValueBits) - 1
const emptyEntry = 0

/**
 * Open addressing with linear probing: a multimap from 32-bit hashes to numbers below 2^25 - 1, four bytes an entry at
 * a load of at most 3/4. The seven spare bits hold part of the hash, so that a probe seldom looks at a stranger.
 * Growing rehashes, for which it asks the owner for the hash of a value.
 */
export class HashIndex {
  entries: Uint32Array
  mask: number
  size = 0
  readonly #hashOf: (value: number) => number

  constructor(hashOf: (value: number) => number, slots = 1024) {
    this.#hashOf = hashOf
    this.entries = new Uint32Array(slots)
    this.mask = slots - 1
  }

  add(hash: number, value: number): void {
    if (this.size * 4 >= this.entries.length * 3) this.#grow()
    this.#place(hash, value)
    this.size++
  }

  /** Removes one entry by shifting back those behind it: there are no deleted markers to skip. */
  remove(hash: number, value: number): boolean {
    const { entries, mask } = this
    const wanted = entryOf(hash, value)
    let at = hash & mask
    while (entries[at] !== wanted) {
      if (entries[at] === emptyEntry) return false
      at = (at + 1) & mask
    }
    let hole = at
    for (let next = (at + 1) & mask; entries[next] !== emptyEntry; next = (next + 1) & mask) {
      const home = this.#hashOf(indexedValue(entries[next])) & mask
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        entries[hole] = entries[next]
        hole = next
      }
    }
    entries[hole] = emptyEntry
    this.size--
    return true
  }

  #place(hash: number, value: number): void {
    let at = hash & this.mask
    while (this.entries[at] !== emptyEntry) at = (at + 1) & this.mask
    this.entries[at] = entryOf(hash, value)
  }

  #grow(): void {
    const old = this.entries
    this.entries = new Uint32Array(old.length * 2)
    this.mask = this.entries.length - 1
    for (let at = 0; at < old.length; at++) {
      if (old[at] === emptyEntry) continue
      const value = indexedValue(old[at])
      this.#place(this.#hashOf(value), value)
    }
  }
}

/** What an entry looks like; also the pattern to compare with while probing (`sameTag`). */
export function entryOf(hash: number, value: number): number {
  return ((hash & ~valueMask) | (value + 1)) >>> 0
}

export function indexedValue(entry: number): number {
  return (entry & valueMask) - 1
}

export function sameTag(entry: number, hash: number): boolean {
  return ((entry ^ hash) & ~valueMask) === 0
}
