import { bucketValue } from './latency-bucket.ts'
import { bucketsPerHistogram, clearHistogram, type LatencySums } from './latency-entries.ts'
import { figuresPerHistogram, figuresPerSlot, type LatencyPlan } from './latency-plan.ts'

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
  // by slot and histogram: where its span begins, and packed its first bucket, its width and whether it changed
  let spans = new Int32Array(0)
  let found = new Float64Array(0)
  const changed: number[] = []

  function makeRoom(slots: number): void {
    const length = Math.max(1024, Math.ceil(slots * 1.25))
    spans = copied(spans, new Int32Array(length * histograms * 2))
    found = copied(found, new Float64Array(length * perSlot))
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
  function widen(at: number, bucket: number): void {
    const shape = spans[at + 1]
    const oldWidth = widthOf(shape)
    const old = spans[at]
    const oldFirst = firstOf(shape)
    const low = oldWidth === 0 ? bucket : Math.min(bucket, oldFirst)
    const high = oldWidth === 0 ? bucket : Math.max(bucket, oldFirst + (1 << oldWidth) - 1)
    let width = oldWidth === 0 ? smallestSpan : oldWidth + 1
    while (1 << width <= high - low) width++
    // what is spare lies on both sides
    const spare = (1 << width) - (high - low + 1)
    const first = Math.min(Math.max(0, low - (spare >> 1)), bucketsPerHistogram - (1 << width))
    const start = takeSpan(width)
    if (oldWidth !== 0) {
      const length = 1 << oldWidth
      for (let i = 0; i < length; i++) counts[start + oldFirst - first + i] = counts[old + i]
      counts.fill(0, old, old + length)
      freeSpans[oldWidth].push(old)
    }
    spans[at] = start
    spans[at + 1] = first | (width << widthShift) | (shape & changedBit)
  }

  function noteChange(at: number): void {
    if ((spans[at + 1] & changedBit) !== 0) return
    spans[at + 1] |= changedBit
    changed.push(at)
  }

  function takeHistogram(at: number, histogram: number, sums: LatencySums): void {
    const low = sums.low[histogram]
    const high = sums.high[histogram]
    const bucket = low & (bucketsPerHistogram - 1)
    const last = high & (bucketsPerHistogram - 1)
    widen(at, bucket)
    if (last - firstOf(spans[at + 1]) >= 1 << widthOf(spans[at + 1])) widen(at, last)
    const to = spans[at] + bucket - firstOf(spans[at + 1])
    for (let key = low; key <= high; key++) counts[to + key - low] = sums.counts[key]
    clearHistogram(sums, histogram)
    noteChange(at)
  }

  function find(at: number): void {
    const which = at >> 1
    const to = Math.floor(which / histograms) * perSlot + (which % histograms) * perHistogram
    const shape = spans[at + 1]
    const start = spans[at]
    const end = start + (1 << widthOf(shape))
    let total = 0
    for (let cell = start; cell < end; cell++) total += counts[cell]
    found[to] = Math.max(0, total)
    if (total <= 0) {
      found.fill(0, to, to + perHistogram)
      return
    }
    const first = firstOf(shape)
    let cell = start - 1
    let below = 0
    for (let q = 0; q < quantiles.length; q++) {
      const rank = Math.ceil(quantiles[q] * total)
      while (below < rank && cell < end - 1) below += counts[++cell]
      found[to + 1 + q] = bucketValue(first + cell - start)
    }
  }

  return {
    add(slot, key, count) {
      if (key >= keyLimit) return
      const at = 2 * (slot * histograms + (key >> bucketBits))
      if (at >= spans.length) makeRoom(slot + 1)
      const bucket = key & (bucketsPerHistogram - 1)
      const shape = spans[at + 1]
      let offset = bucket - firstOf(shape)
      if (offset < 0 || offset >= 1 << widthOf(shape) || widthOf(shape) === 0) {
        widen(at, bucket)
        offset = bucket - firstOf(spans[at + 1])
      }
      counts[spans[at] + offset] += count
      noteChange(at)
    },
    take(slot, sums) {
      const first = 2 * slot * histograms
      if (first + 2 * histograms > spans.length) makeRoom(slot + 1)
      for (let histogram = 0; histogram < histograms; histogram++)
        if (sums.low[histogram] <= sums.high[histogram]) takeHistogram(first + 2 * histogram, histogram, sums)
    },
    figures(slots) {
      if (2 * slots * histograms > spans.length) makeRoom(slots)
      for (let i = 0; i < changed.length; i++) {
        spans[changed[i] + 1] &= ~changedBit
        find(changed[i])
      }
      changed.length = 0
      return found
    },
  }
}

const widthShift = 16
const changedBit = 1 << 24

function firstOf(shape: number): number {
  return shape & 0xffff
}

function widthOf(shape: number): number {
  return (shape >> widthShift) & 0xff
}

function copied<A extends Int32Array | Float64Array>(from: A, to: A): A {
  to.set(from)
  return to
}
