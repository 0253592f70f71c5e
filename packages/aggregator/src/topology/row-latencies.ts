import { createBucketSpans, firstOf, widthOf } from './bucket-spans.ts'
import { Histogram, histogramNames } from './counters.ts'
import { addSample, bucketsPerHistogram, type LatencySums, latencyKeys } from './latency-entries.ts'
import { lineAligned } from './line-aligned.ts'

const histograms = histogramNames.length
const wordsPerRow = 2 * histograms
const firstRows = 256
const bucketBits = Math.log2(bucketsPerHistogram)

/** Round trips come with every reading: a row has a window for the client's and one for the server's, a line in all. */
const firstWindow = Histogram.clientRttUs
const windowBytes = 32
const windowsPerRow = 2
const windowBuckets = windowBytes - 2
const fullCell = 255

/**
 * Latency samples of the rows of open minutes: counts by row and key. A histogram is a span of counts. Before those of
 * round trips stands a window: the number + 1 of its first bucket in two bytes, and counts of 30 buckets in one byte
 * each, nearly four octaves around the first sample. What lies outside of it, or exceeds its cell, is counted in the
 * span, so that both together are all there is.
 */
export interface RowLatencies {
  add(row: number, key: number, count: number): void
  /** Adds one sample to each of many rows: as many `add`s, but their memory is fetched together. */
  addEach(rows: Int32Array, keys: Int32Array, count: number): void
  /** A line by row, which `addEach` needs. Replaced when there are more rows. */
  readonly lines: Uint8Array
  /** Adds one row's counts to sums, those of keys below `keyLimit`. */
  addTo(row: number, sums: LatencySums, keyLimit?: number): void
  /** Takes all counts of a row away. */
  clear(row: number): void
}

export function createRowLatencies(): RowLatencies {
  const store = createBucketSpans()
  let spans = new Int32Array(firstRows * wordsPerRow)
  let windows = windowsOf(firstRows)
  let rowLimit = firstRows
  // keeps the loop that fetches memory from being optimised away
  const memory = { fetched: 0 }

  function makeRoom(row: number): void {
    rowLimit = Math.max(rowLimit * 2, row + 1)
    const moreSpans = new Int32Array(rowLimit * wordsPerRow)
    moreSpans.set(spans)
    spans = moreSpans
    const moreWindows = windowsOf(rowLimit)
    moreWindows.set(windows)
    windows = moreWindows
  }

  function add(row: number, key: number, count: number): void {
    if (row >= rowLimit) makeRoom(row)
    const at = row * wordsPerRow + 2 * (key >> bucketBits)
    const cell = store.cellOf(spans, at, key & (bucketsPerHistogram - 1))
    store.counts[cell] += count
  }

  function fetch(rows: Int32Array, count: number): void {
    let fetched = 0
    for (let i = 0; i < count; i++) {
      if (rows[i] >= rowLimit) makeRoom(rows[i])
      fetched ^= windows[rows[i] * windowsPerRow * windowBytes]
    }
    memory.fetched = fetched
  }

  function addTo(row: number, sums: LatencySums, keyLimit = latencyKeys): void {
    if (row >= rowLimit) return
    const { counts } = store
    for (let histogram = 0; histogram < histograms; histogram++) {
      if (histogram * bucketsPerHistogram >= keyLimit) return
      const at = row * wordsPerRow + 2 * histogram
      const shape = spans[at + 1]
      if (shape !== 0)
        addSpan(
          counts,
          spans[at],
          1 << widthOf(shape),
          histogram * bucketsPerHistogram + firstOf(shape),
          sums,
        )
      if (isWindowed(histogram)) addWindow(windows, windowAt(row, histogram), histogram, sums)
    }
  }

  return {
    add,
    addEach(rows, keys, count) {
      fetch(rows, count)
      for (let i = 0; i < count; i++) if (!noteInWindow(windows, rows[i], keys[i])) add(rows[i], keys[i], 1)
    },
    get lines() {
      return windows
    },
    addTo,
    clear(row) {
      if (row >= rowLimit) return
      for (let at = row * wordsPerRow; at < (row + 1) * wordsPerRow; at += 2) store.release(spans, at)
      windows.fill(0, row * windowsPerRow * windowBytes, (row + 1) * windowsPerRow * windowBytes)
    },
  }
}

function isWindowed(histogram: number): boolean {
  return histogram >= firstWindow && histogram < firstWindow + windowsPerRow
}

function windowAt(row: number, histogram: number): number {
  return (row * windowsPerRow + histogram - firstWindow) * windowBytes
}

/** False where the window can't take the sample. */
function noteInWindow(windows: Uint8Array, row: number, key: number): boolean {
  const histogram = key >> bucketBits
  if (!isWindowed(histogram)) return false
  const at = windowAt(row, histogram)
  const bucket = key & (bucketsPerHistogram - 1)
  let first = windows[at] | (windows[at + 1] << 8)
  if (first === 0) {
    first = Math.min(Math.max(0, bucket - (windowBuckets >> 1)), bucketsPerHistogram - windowBuckets) + 1
    windows[at] = first
    windows[at + 1] = first >> 8
  }
  const offset = bucket + 1 - first
  if (offset < 0 || offset >= windowBuckets) return false
  const cell = at + 2 + offset
  const counted = windows[cell]
  if (counted === fullCell) return false
  windows[cell] = counted + 1
  return true
}

function addSpan(counts: Int32Array, start: number, length: number, key: number, sums: LatencySums): void {
  for (let i = 0; i < length; i++) if (counts[start + i] !== 0) addSample(sums, key + i, counts[start + i])
}

function addWindow(windows: Uint8Array, at: number, histogram: number, sums: LatencySums): void {
  const first = windows[at] | (windows[at + 1] << 8)
  if (first === 0) return
  const key = histogram * bucketsPerHistogram + first - 1
  for (let i = 0; i < windowBuckets; i++)
    if (windows[at + 2 + i] !== 0) addSample(sums, key + i, windows[at + 2 + i])
}

function windowsOf(rows: number): Uint8Array<ArrayBuffer> {
  const length = rows * windowsPerRow * windowBytes
  const { buffer, at } = lineAligned(length)
  return new Uint8Array(buffer, at, length)
}
