import { createBucketSpans, firstOf, widthOf } from './bucket-spans.ts'
import { bucketsPerHistogram, bucketValue, clearHistogram, type LatencySums } from './latency-entries.ts'
import { figuresPerHistogram, figuresPerSlot, type LatencyPlan } from './latency-plan.ts'

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
  const store = createBucketSpans()
  // two words by slot and histogram
  let spans = new Int32Array(0)
  let found = new Float64Array(0)
  let isChanged = new Uint8Array(0)
  /** Indexes in `spans`. */
  const changed: number[] = []

  function makeRoom(slots: number): void {
    const length = Math.max(1024, Math.ceil(slots * 1.25))
    spans = copied(spans, new Int32Array(length * histograms * 2))
    isChanged = copied(isChanged, new Uint8Array(length * histograms))
    found = copied(found, new Float64Array(length * perSlot))
  }

  function noteChange(at: number): void {
    if (isChanged[at >> 1] !== 0) return
    isChanged[at >> 1] = 1
    changed.push(at)
  }

  function takeHistogram(at: number, histogram: number, sums: LatencySums): void {
    const low = sums.low[histogram]
    const high = sums.high[histogram]
    store.cellOf(spans, at, low & (bucketsPerHistogram - 1))
    const last = store.cellOf(spans, at, high & (bucketsPerHistogram - 1))
    const { counts } = store
    for (let key = low; key <= high; key++) counts[last + key - high] = sums.counts[key]
    clearHistogram(sums, histogram)
    noteChange(at)
  }

  function find(at: number): void {
    const which = at >> 1
    const to = Math.floor(which / histograms) * perSlot + (which % histograms) * perHistogram
    const { counts } = store
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
      const cell = store.cellOf(spans, at, key & (bucketsPerHistogram - 1))
      store.counts[cell] += count
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
        isChanged[changed[i] >> 1] = 0
        find(changed[i])
      }
      changed.length = 0
      return found
    },
  }
}

function copied<A extends Int32Array | Float64Array | Uint8Array>(from: A, to: A): A {
  to.set(from)
  return to
}
