const wordsPerSlot = 6
const firstCapacity = 1024

/**
 * Open addressing from (node, address) to a small integer, for look-ups that must not allocate. Values are ≥ 0;
 * the table grows by doubling and stays at most half full.
 */
export interface AddressTable {
  /** The value of a key, -1 if there is none. */
  find(node: number, w0: number, w1: number, w2: number, w3: number): number
  /** Adds a key that `find` did not find. */
  add(node: number, w0: number, w1: number, w2: number, w3: number, value: number): void
  /** Keeps only the keys whose value is kept: the table is built anew. */
  keep(isKept: (value: number) => boolean): void
  readonly size: number
}

export function createAddressTable(): AddressTable {
  // node, four words, value + 1 (0 marks an empty slot)
  let slots = new Uint32Array(firstCapacity * wordsPerSlot)
  let mask = firstCapacity - 1
  let size = 0

  function place(node: number, w0: number, w1: number, w2: number, w3: number, stored: number): void {
    let at = (hashAddress(node, w0, w1, w2, w3) & mask) * wordsPerSlot
    while (slots[at + 5] !== 0) at = at + wordsPerSlot === slots.length ? 0 : at + wordsPerSlot
    slots[at] = node
    slots[at + 1] = w0
    slots[at + 2] = w1
    slots[at + 3] = w2
    slots[at + 4] = w3
    slots[at + 5] = stored
    size++
  }

  function rebuild(capacity: number, isKept: (value: number) => boolean): void {
    const old = slots
    slots = new Uint32Array(capacity * wordsPerSlot)
    mask = capacity - 1
    size = 0
    for (let at = 0; at < old.length; at += wordsPerSlot) {
      const stored = old[at + 5]
      if (stored === 0 || !isKept(stored - 1)) continue
      place(old[at], old[at + 1], old[at + 2], old[at + 3], old[at + 4], stored)
    }
  }

  return {
    get size() {
      return size
    },
    find(node, w0, w1, w2, w3) {
      let at = (hashAddress(node, w0, w1, w2, w3) & mask) * wordsPerSlot
      while (slots[at + 5] !== 0) {
        if (
          slots[at + 4] === w3 >>> 0 &&
          slots[at + 1] === w0 >>> 0 &&
          slots[at + 2] === w1 >>> 0 &&
          slots[at + 3] === w2 >>> 0 &&
          slots[at] === node
        )
          return slots[at + 5] - 1
        at = at + wordsPerSlot === slots.length ? 0 : at + wordsPerSlot
      }
      return -1
    },
    add(node, w0, w1, w2, w3, value) {
      if ((size + 1) * 2 > mask) rebuild((mask + 1) * 2, () => true)
      place(node, w0, w1, w2, w3, value + 1)
    },
    keep(isKept) {
      rebuild(mask + 1, isKept)
    },
  }
}

function hashAddress(node: number, w0: number, w1: number, w2: number, w3: number): number {
  let h = Math.imul(w3 ^ Math.imul(node, 0x9e3779b1), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 15) ^ w0, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 13) ^ w1, 0x27d4eb2f)
  h = Math.imul(h ^ (h >>> 15) ^ w2, 0x165667b1)
  return h ^ (h >>> 16)
}
