import { addSample, type LatencySums } from './latency-entries.ts'

const wordsPerSlot = 4
const firstSlots = 256

/**
 * Latency samples of one open minute: counts by (row, key), open addressing, each row's slots chained so that a row
 * can be read alone. Rows are numbers below 2^19, keys below 2^12.
 */
export interface BucketCounts {
  add(row: number, key: number, count: number): void
  /** Adds one row's counts to sums. */
  addTo(row: number, sums: LatencySums): void
}

export function createBucketCounts(): BucketCounts {
  // row << 12 | key (+ 1, 0 is empty), count, index of the row's next slot (+ 1), unused
  let slots = new Int32Array(firstSlots * wordsPerSlot)
  let mask = firstSlots - 1
  let size = 0
  let heads = new Int32Array(256)

  function slotOf(stored: number): number {
    let h = Math.imul(stored, 0x9e3779b1)
    h ^= h >>> 15
    let at = (h & mask) * wordsPerSlot
    while (slots[at] !== 0 && slots[at] !== stored)
      at = at + wordsPerSlot === slots.length ? 0 : at + wordsPerSlot
    return at
  }

  function insert(at: number, stored: number, count: number): void {
    const row = (stored - 1) >>> 12
    if (row >= heads.length) heads = grown(heads, Math.max(heads.length * 2, row + 1))
    slots[at] = stored
    slots[at + 1] = count
    slots[at + 2] = heads[row]
    heads[row] = at / wordsPerSlot + 1
  }

  function grow(): void {
    const old = slots
    slots = new Int32Array(old.length * 2)
    mask = slots.length / wordsPerSlot - 1
    heads.fill(0)
    for (let at = 0; at < old.length; at += wordsPerSlot)
      if (old[at] !== 0) insert(slotOf(old[at]), old[at], old[at + 1])
  }

  return {
    add(row, key, count) {
      const stored = ((row << 12) | key) + 1
      let at = slotOf(stored)
      if (slots[at] !== 0) {
        slots[at + 1] += count
        return
      }
      if (++size * 2 > mask) {
        grow()
        at = slotOf(stored)
      }
      insert(at, stored, count)
    },
    addTo(row, sums) {
      if (row >= heads.length) return
      for (let next = heads[row]; next !== 0; ) {
        const at = (next - 1) * wordsPerSlot
        addSample(sums, (slots[at] - 1) & 0xfff, slots[at + 1])
        next = slots[at + 2]
      }
    },
  }
}

function grown(old: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length)
  larger.set(old)
  return larger
}
