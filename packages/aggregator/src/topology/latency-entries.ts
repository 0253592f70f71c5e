import { bucketSlots, slotValue } from '@skybraid/shared'

/**
 * A latency sample's place: histogram (3 bits) and bucket (9 bits) in one `key`. A list of (key, count) pairs is kept
 * as 16-bit entries: key << 4 | count for counts of 1 to 15, otherwise key << 4 followed by the count's low and high
 * half (two's complement: corrections take samples back).
 */
export const bucketsPerHistogram = bucketSlots
export const latencyKeys = 8 * bucketsPerHistogram

const bucketValues = Float64Array.from({ length: bucketsPerHistogram }, (_, bucket) =>
  Math.round(slotValue(bucket)),
)

/** The whole number that stands for a bucket's samples: its middle, off by 4.5 % at most and by what rounding does. */
export function bucketValue(bucket: number): number {
  return bucketValues[bucket]
}

/** A growing list of entries. */
export interface EntryList {
  add(key: number, count: number): void
  readonly length: number
  finish(): Uint16Array<ArrayBuffer>
}

export function createEntryList(): EntryList {
  let entries = new Uint16Array(1024)
  let length = 0
  return {
    get length() {
      return length
    },
    add(key, count) {
      if (length + 3 > entries.length) {
        const larger = new Uint16Array(entries.length * 2)
        larger.set(entries)
        entries = larger
      }
      if (count > 0 && count < 16) entries[length++] = (key << 4) | count
      else {
        entries[length++] = key << 4
        entries[length++] = count & 0xffff
        entries[length++] = count >>> 16
      }
    },
    finish: () => entries.slice(0, length),
  }
}

/** Calls back with the key and count of each entry of `[from, to)`. */
export function eachEntry(
  entries: Uint16Array,
  from: number,
  to: number,
  each: (key: number, count: number) => void,
): void {
  for (let i = from; i < to; i++) {
    const entry = entries[i]
    let count = entry & 15
    if (count === 0) {
      count = entries[i + 1] | (entries[i + 2] << 16)
      i += 2
    }
    each(entry >> 4, count)
  }
}

/** Dense counts by key while samples of one edge are summed, with the range of keys in use per histogram. */
export interface LatencySums {
  readonly counts: Int32Array
  /** Lowest and highest key per histogram; low > high where a histogram has no sample. */
  readonly low: Int32Array
  readonly high: Int32Array
  /** Sum of the counts per histogram. */
  readonly total: Float64Array
}

export function createLatencySums(): LatencySums {
  return {
    counts: new Int32Array(latencyKeys),
    low: new Int32Array(8).fill(latencyKeys),
    high: new Int32Array(8).fill(-1),
    total: new Float64Array(8),
  }
}

export function addSample(sums: LatencySums, key: number, count: number): void {
  const histogram = key >> 9
  if (key < sums.low[histogram]) sums.low[histogram] = key
  if (key > sums.high[histogram]) sums.high[histogram] = key
  sums.counts[key] += count
  sums.total[histogram] += count
}

/**
 * Adds the entries of `[from, to)` whose keys are below `keyLimit`. Keys rise: the range of keys is looked at once per
 * histogram.
 */
export function addEntries(
  sums: LatencySums,
  entries: Uint16Array,
  from: number,
  to: number,
  keyLimit = latencyKeys,
): void {
  const { counts, low, high, total } = sums
  let histogram = -1
  let key = 0
  let added = 0
  for (let i = from; i < to; i++) {
    const entry = entries[i]
    const next = entry >> 4
    if (next >= keyLimit) break
    let count = entry & 15
    if (count === 0) {
      count = entries[i + 1] | (entries[i + 2] << 16)
      i += 2
    }
    counts[next] += count
    if (next >> 9 !== histogram) {
      if (histogram >= 0) {
        if (key > high[histogram]) high[histogram] = key
        total[histogram] += added
        added = 0
      }
      histogram = next >> 9
      if (next < low[histogram]) low[histogram] = next
    }
    key = next
    added += count
  }
  if (histogram < 0) return
  if (key > high[histogram]) high[histogram] = key
  total[histogram] += added
}

/** Appends all counts that are not zero, by rising key, and clears the sums. */
export function drainSums(sums: LatencySums, into: EntryList): void {
  for (let histogram = 0; histogram < 8; histogram++) {
    for (let key = sums.low[histogram]; key <= sums.high[histogram]; key++)
      if (sums.counts[key] !== 0) into.add(key, sums.counts[key])
    clearHistogram(sums, histogram)
  }
}

export function clearHistogram(sums: LatencySums, histogram: number): void {
  const low = sums.low[histogram]
  const high = sums.high[histogram]
  if (low > high) return
  sums.counts.fill(0, low, high + 1)
  sums.low[histogram] = latencyKeys
  sums.high[histogram] = -1
  sums.total[histogram] = 0
}
