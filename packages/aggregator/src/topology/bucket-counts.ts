import { addSample, type LatencySums } from './latency-entries.ts'

const smallestBlock = 3 // 8 slots
const largestBlock = 12 // every key has its slot
const firstCells = 1 << 14
const largestKey = (1 << largestBlock) - 1

/** Two histograms of one row begin this many slots apart. */
const histogramStride = 27

/**
 * Latency samples of one open minute: counts by (row, key). Each row has a block of its own, an open-addressed table
 * of 8 slots or more in which neighbouring buckets are neighbours: booking a sample touches two cache lines. Keys are
 * below 2^12.
 */
export interface BucketCounts {
  add(row: number, key: number, count: number): void
  /** Adds one sample to each of many rows: as many `add`s, but their memory is fetched together. */
  addEach(rows: Int32Array, keys: Int32Array, count: number): void
  /** Adds one row's counts to sums, those of keys below `keyLimit`. */
  addTo(row: number, sums: LatencySums, keyLimit?: number): void
}

export function createBucketCounts(): BucketCounts {
  // per slot its key + 1 (0 is empty) and its count
  let cells = new Int32Array(2 * firstCells)
  let end = 0
  const freeBlocks: number[][] = Array.from({ length: largestBlock + 1 }, () => [])
  // per row where its block begins, and used slots << 8 | logarithm of its slots (0 for a row without a block)
  let blocks = new Int32Array(512)
  // keeps the loop that fetches memory from being optimised away
  const memory = { fetched: 0 }

  function takeBlock(size: number): number {
    const reused = freeBlocks[size].pop()
    if (reused !== undefined) return reused
    const at = end
    end += 1 << size
    if (2 * end > cells.length) cells = copied(cells, Math.max(cells.length * 2, 2 * end))
    return at
  }

  function giveRow(row: number): void {
    if (2 * row >= blocks.length) blocks = copied(blocks, Math.max(blocks.length * 2, 2 * row + 2))
    blocks[2 * row] = takeBlock(smallestBlock)
    blocks[2 * row + 1] = smallestBlock
  }

  /** Index of the cell that has the key, or of the empty one where it belongs. */
  function cellOf(at: number, mask: number, key: number): number {
    let slot = homeOf(key) & mask
    while (cells[2 * (at + slot)] !== 0 && cells[2 * (at + slot)] !== key + 1) slot = (slot + 1) & mask
    return 2 * (at + slot)
  }

  function growBlock(row: number): void {
    const old = blocks[2 * row]
    const size = blocks[2 * row + 1] & 0xff
    const at = takeBlock(size + 1)
    const mask = (2 << size) - 1
    for (let i = 2 * old; i < 2 * (old + (1 << size)); i += 2) {
      if (cells[i] === 0) continue
      const cell = cellOf(at, mask, cells[i] - 1)
      cells[cell] = cells[i]
      cells[cell + 1] = cells[i + 1]
    }
    cells.fill(0, 2 * old, 2 * (old + (1 << size)))
    freeBlocks[size].push(old)
    blocks[2 * row] = at
    blocks[2 * row + 1]++
  }

  function addKey(row: number, key: number): number {
    const size = blocks[2 * row + 1] & 0xff
    const used = blocks[2 * row + 1] >>> 8
    // at most three quarters full, but for the block that has a slot for every key
    if (size < largestBlock && (used + 1) * 4 > 3 << size) growBlock(row)
    const cell = cellOf(blocks[2 * row], (1 << (blocks[2 * row + 1] & 0xff)) - 1, key)
    blocks[2 * row + 1] += 1 << 8
    cells[cell] = key + 1
    return cell
  }

  function add(row: number, key: number, count: number): void {
    if (2 * row >= blocks.length || blocks[2 * row + 1] === 0) giveRow(row)
    let cell = cellOf(blocks[2 * row], (1 << (blocks[2 * row + 1] & 0xff)) - 1, key)
    if (cells[cell] === 0) cell = addKey(row, key)
    cells[cell + 1] += count
  }

  return {
    add,
    addEach(rows, keys, count) {
      let touched = 0
      for (let i = 0; i < count; i++) {
        const row = rows[i]
        if (2 * row >= blocks.length || blocks[2 * row + 1] === 0) continue
        const mask = (1 << (blocks[2 * row + 1] & 0xff)) - 1
        touched ^= cells[2 * (blocks[2 * row] + (homeOf(keys[i]) & mask))]
      }
      memory.fetched = touched
      for (let i = 0; i < count; i++) add(rows[i], keys[i], 1)
    },
    addTo(row, sums, keyLimit = largestKey + 1) {
      if (2 * row >= blocks.length || blocks[2 * row + 1] === 0) return
      const from = 2 * blocks[2 * row]
      const to = from + (2 << (blocks[2 * row + 1] & 0xff))
      for (let i = from; i < to; i += 2)
        if (cells[i] !== 0 && cells[i] <= keyLimit) addSample(sums, cells[i] - 1, cells[i + 1])
    },
  }
}

function homeOf(key: number): number {
  return key + (key >> 9) * histogramStride
}

function copied(from: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(length)
  to.set(from)
  return to
}
