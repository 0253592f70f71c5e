import { createBucketSpans, firstOf, holds, widthOf } from './bucket-spans.ts'
import { histogramNames } from './counters.ts'
import { addSample, bucketsPerHistogram, type LatencySums, latencyKeys } from './latency-entries.ts'
import { lineAligned } from './line-aligned.ts'

const histograms = histogramNames.length
/** A row's eight spans are one line of memory. */
const wordsPerRow = 2 * histograms
const firstRows = 256
const bucketBits = Math.log2(bucketsPerHistogram)

/**
 * Latency samples of the rows of open minutes: counts by row and key. Booking a sample touches two lines of memory, the
 * row's spans and the counts.
 */
export interface RowLatencies {
  add(row: number, key: number, count: number): void
  /** Adds one sample to each of many rows: as many `add`s, but their memory is fetched together. */
  addEach(rows: Int32Array, keys: Int32Array, count: number): void
  /** Adds one row's counts to sums, those of keys below `keyLimit`. */
  addTo(row: number, sums: LatencySums, keyLimit?: number): void
  /** Takes all counts of a row away. */
  clear(row: number): void
}

export function createRowLatencies(): RowLatencies {
  const store = createBucketSpans()
  let spans = spansOf(firstRows)
  // keeps the loop that fetches memory from being optimised away
  const memory = { fetched: 0 }

  function makeRoom(row: number): void {
    const larger = spansOf(Math.max((spans.length / wordsPerRow) * 2, row + 1))
    larger.set(spans)
    spans = larger
  }

  function add(row: number, key: number, count: number): void {
    if ((row + 1) * wordsPerRow > spans.length) makeRoom(row)
    const cell = store.cellOf(spans, spanAt(row, key), key & (bucketsPerHistogram - 1))
    store.counts[cell] += count
  }

  function fetch(rows: Int32Array, keys: Int32Array, count: number): void {
    const { counts } = store
    let fetched = 0
    for (let i = 0; i < count; i++) {
      const at = spanAt(rows[i], keys[i])
      const bucket = keys[i] & (bucketsPerHistogram - 1)
      if (at < spans.length && holds(spans[at + 1], bucket))
        fetched ^= counts[spans[at] + bucket - firstOf(spans[at + 1])]
    }
    memory.fetched = fetched
  }

  return {
    add,
    addEach(rows, keys, count) {
      fetch(rows, keys, count)
      for (let i = 0; i < count; i++) add(rows[i], keys[i], 1)
    },
    addTo(row, sums, keyLimit = latencyKeys) {
      if ((row + 1) * wordsPerRow > spans.length) return
      const { counts } = store
      for (let histogram = 0; histogram < histograms; histogram++) {
        if (histogram * bucketsPerHistogram >= keyLimit) return
        const at = row * wordsPerRow + 2 * histogram
        const shape = spans[at + 1]
        if (shape === 0) continue
        const start = spans[at]
        const key = histogram * bucketsPerHistogram + firstOf(shape)
        for (let i = 0; i < 1 << widthOf(shape); i++)
          if (counts[start + i] !== 0) addSample(sums, key + i, counts[start + i])
      }
    },
    clear(row) {
      if ((row + 1) * wordsPerRow > spans.length) return
      for (let at = row * wordsPerRow; at < (row + 1) * wordsPerRow; at += 2) store.release(spans, at)
    },
  }
}

function spanAt(row: number, key: number): number {
  return row * wordsPerRow + 2 * (key >> bucketBits)
}

function spansOf(rows: number): Int32Array<ArrayBuffer> {
  const { buffer, at } = lineAligned(rows * wordsPerRow * 4)
  return new Int32Array(buffer, at, rows * wordsPerRow)
}
