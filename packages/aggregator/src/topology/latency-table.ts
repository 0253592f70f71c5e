import { bucketValue } from './latency-bucket.ts'
import { bucketsPerHistogram, clearHistogram, type LatencySums } from './latency-entries.ts'
import { figuresPerHistogram, figuresPerSlot, type LatencyPlan } from './latency-figures.ts'

const smallestSpan = 4 // 16 buckets
const bucketBits = 9

/**
 * Counts of latency buckets by slot and histogram, kept over many answers: what comes is added, and only the quantiles
 * of histograms that changed are found anew. Each histogram has a span of neighbouring buckets, a power of two wide.
 */
export interface LatencyTable {
  /** Keys of histograms beyond the plan are left out. */
  add(slot: number, key: number, count: number): void
  /** Takes all counts of a slot that has none yet, and clears them there. */
  take(slot: number, sums: LatencySums): void
  /** Count and quantiles by slot and histogram, as the plan says; holds until the next `add`. */
  figures(slots: number): Float64Array
}

export function createLatencyTable(plan: LatencyPlan): LatencyTable {
  const { histograms, quantiles } = plan
  const perSlot = figuresPerSlot(plan)
  const perHistogram = figuresPerHistogram(plan)
  const keyLimit = histograms * bucketsPerHistogram
  let counts = new Int32Array(1 << 12)
  let end = 0
  const freeSpans: number[][] = Array.from({ length: bucketBits + 1 }, () => [])
  // by slot and histogram: where its span begins, its first bucket, logarithm of its width (0 for none), sum of counts
  let starts = new Int32Array(0)
  let firstBuckets = new Int16Array(0)
  let widths = new Uint8Array(0)
  let totals = new Float64Array(0)
  let isChanged = new Uint8Array(0)
  let found = new Float64Array(0)
  const changed: number[] = []

  function makeRoom(slots: number): void {
    const length = Math.max(1024, Math.ceil(slots * 1.25)) * histograms
    starts = copied(starts, new Int32Array(length))
    firstBuckets = copied(firstBuckets, new Int16Array(length))
    widths = copied(widths, new Uint8Array(length))
    totals = copied(totals, new Float64Array(length))
    isChanged = copied(isChanged, new Uint8Array(length))
    found = copied(found, new Float64Array((length / histograms) * perSlot))
  }

  function takeSpan(width: number): number {
    const reused = freeSpans[width].pop()
    if (reused !== undefined) return reused
    const at = end
    end += 1 << width
    if (end > counts.length) counts = copied(counts, new Int32Array(Math.max(counts.length * 2, end)))
    return at
  }

  /** Makes the span of a histogram hold a bucket that is outside of it. */
  function widen(which: number, bucket: number): void {
    const oldWidth = widths[which]
    const old = starts[which]
    const oldFirst = firstBuckets[which]
    const low = oldWidth === 0 ? bucket : Math.min(bucket, oldFirst)
    const high = oldWidth === 0 ? bucket : Math.max(bucket, oldFirst + (1 << oldWidth) - 1)
    let width = oldWidth === 0 ? smallestSpan : oldWidth + 1
    while (1 << width <= high - low) width++
    // what is spare lies on both sides
    const spare = (1 << width) - (high - low + 1)
    const first = Math.min(Math.max(0, low - (spare >> 1)), bucketsPerHistogram - (1 << width))
    const at = takeSpan(width)
    if (oldWidth !== 0) {
      const length = 1 << oldWidth
      for (let i = 0; i < length; i++) counts[at + oldFirst - first + i] = counts[old + i]
      counts.fill(0, old, old + length)
      freeSpans[oldWidth].push(old)
    }
    starts[which] = at
    firstBuckets[which] = first
    widths[which] = width
  }

  function noteChange(which: number): void {
    if (isChanged[which] !== 0) return
    isChanged[which] = 1
    changed.push(which)
  }

  function takeHistogram(which: number, histogram: number, sums: LatencySums): void {
    const low = sums.low[histogram]
    const high = sums.high[histogram]
    const bucket = low & (bucketsPerHistogram - 1)
    widen(which, bucket)
    if (high > low) {
      const last = high & (bucketsPerHistogram - 1)
      if (last - firstBuckets[which] >= 1 << widths[which]) widen(which, last)
    }
    const to = starts[which] + bucket - firstBuckets[which]
    for (let key = low; key <= high; key++) counts[to + key - low] = sums.counts[key]
    totals[which] = sums.total[histogram]
    clearHistogram(sums, histogram)
    noteChange(which)
  }

  function find(which: number): void {
    const at = Math.floor(which / histograms) * perSlot + (which % histograms) * perHistogram
    const total = totals[which]
    found[at] = Math.max(0, total)
    if (total <= 0) return
    const start = starts[which]
    const last = start + (1 << widths[which]) - 1
    let cell = start - 1
    let below = 0
    for (let q = 0; q < quantiles.length; q++) {
      const rank = Math.ceil(quantiles[q] * total)
      while (below < rank && cell < last) below += counts[++cell]
      found[at + 1 + q] = bucketValue(firstBuckets[which] + cell - start)
    }
  }

  return {
    add(slot, key, count) {
      if (key >= keyLimit) return
      const which = slot * histograms + (key >> bucketBits)
      if (which >= starts.length) makeRoom(slot + 1)
      const bucket = key & (bucketsPerHistogram - 1)
      let offset = bucket - firstBuckets[which]
      if (offset < 0 || offset >= 1 << widths[which] || widths[which] === 0) {
        widen(which, bucket)
        offset = bucket - firstBuckets[which]
      }
      counts[starts[which] + offset] += count
      totals[which] += count
      noteChange(which)
    },
    take(slot, sums) {
      const first = slot * histograms
      if (first + histograms > starts.length) makeRoom(slot + 1)
      for (let histogram = 0; histogram < histograms; histogram++)
        if (sums.low[histogram] <= sums.high[histogram]) takeHistogram(first + histogram, histogram, sums)
    },
    figures(slots) {
      if (slots * histograms > starts.length) makeRoom(slots)
      for (let i = 0; i < changed.length; i++) {
        isChanged[changed[i]] = 0
        find(changed[i])
      }
      changed.length = 0
      return found
    },
  }
}

function copied<A extends Uint8Array | Int16Array | Int32Array | Float64Array>(from: A, to: A): A {
  to.set(from)
  return to
}
