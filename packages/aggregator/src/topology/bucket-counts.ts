import { addSample, type LatencySums } from './latency-entries.ts'

const smallestBlock = 3 // 8 slots
const largestBlock = 12 // every key has its slot
const firstCells = 1 << 14
const largestKey = (1 << largestBlock) - 1

/**
 * Latency samples of one open minute: counts by (row, key). Each row has a block of its own, an open-addressed table
 * of 8 slots or more whose hash is the key itself: neighbouring buckets are neighbours in memory, so that booking a
 * sample touches one or two cache lines. Keys are below 2^12.
 */
export interface BucketCounts {
  add(row: number, key: number, count: number): void
  /** Adds one row's counts to sums, those of keys below `keyLimit`. */
  addTo(row: number, sums: LatencySums, keyLimit?: number): void
}

export function createBucketCounts(): BucketCounts {
  // key + 1 per slot, 0 is empty
  let keys = new Uint16Array(firstCells)
  let counts = new Int32Array(firstCells)
  let end = 0
  const freeBlocks: number[][] = Array.from({ length: largestBlock + 1 }, () => [])
  let blockAt = new Int32Array(256)
  // logarithm of the block's slots, 0 for a row without a block
  let blockSize = new Uint8Array(256)
  let used = new Uint16Array(256)

  function takeBlock(size: number): number {
    const reused = freeBlocks[size].pop()
    if (reused !== undefined) return reused
    const at = end
    end += 1 << size
    if (end > keys.length) {
      const length = Math.max(keys.length * 2, end)
      keys = copied(keys, new Uint16Array(length))
      counts = copied(counts, new Int32Array(length))
    }
    return at
  }

  function giveRow(row: number): void {
    if (row >= blockAt.length) {
      const length = Math.max(blockAt.length * 2, row + 1)
      blockAt = copied(blockAt, new Int32Array(length))
      blockSize = copied(blockSize, new Uint8Array(length))
      used = copied(used, new Uint16Array(length))
    }
    blockAt[row] = takeBlock(smallestBlock)
    blockSize[row] = smallestBlock
  }

  function slotOf(at: number, mask: number, key: number): number {
    let slot = key & mask
    while (keys[at + slot] !== 0 && keys[at + slot] !== key + 1) slot = (slot + 1) & mask
    return at + slot
  }

  function growBlock(row: number): void {
    const old = blockAt[row]
    const size = blockSize[row]
    const at = takeBlock(size + 1)
    const mask = (2 << size) - 1
    for (let i = old; i < old + (1 << size); i++) {
      if (keys[i] === 0) continue
      const slot = slotOf(at, mask, keys[i] - 1)
      keys[slot] = keys[i]
      counts[slot] = counts[i]
    }
    keys.fill(0, old, old + (1 << size))
    counts.fill(0, old, old + (1 << size))
    freeBlocks[size].push(old)
    blockAt[row] = at
    blockSize[row] = size + 1
  }

  return {
    add(row, key, count) {
      if (row >= blockSize.length || blockSize[row] === 0) giveRow(row)
      let slot = slotOf(blockAt[row], (1 << blockSize[row]) - 1, key)
      if (keys[slot] === 0) {
        // at most three quarters full, but for the block that has a slot for every key
        if (blockSize[row] < largestBlock && (used[row] + 1) * 4 > 3 << blockSize[row]) {
          growBlock(row)
          slot = slotOf(blockAt[row], (1 << blockSize[row]) - 1, key)
        }
        used[row]++
        keys[slot] = key + 1
      }
      counts[slot] += count
    },
    addTo(row, sums, keyLimit = largestKey + 1) {
      if (row >= blockSize.length || blockSize[row] === 0) return
      const at = blockAt[row]
      for (let slot = at; slot < at + (1 << blockSize[row]); slot++)
        if (keys[slot] !== 0 && keys[slot] <= keyLimit) addSample(sums, keys[slot] - 1, counts[slot])
    },
  }
}

function copied<A extends Uint8Array | Uint16Array | Int32Array>(from: A, to: A): A {
  to.set(from)
  return to
}
