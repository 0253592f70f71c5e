import { bucketsPerHistogram } from './latency-entries.ts'
import { lineAligned } from './line-aligned.ts'

/** 16 buckets, two octaves: one line of memory. */
const smallestWidth = 4
const largestWidth = 9
const widthShift = 16
const firstCounts = 1 << 14

/**
 * Counts of many histograms, each kept in a span of neighbouring buckets that is a power of two wide and grows with what
 * is counted. A span's number and shape are two neighbouring words of `spans`, which belongs to the owner.
 */
export interface BucketSpans {
  /** Replaced when it grows. */
  readonly counts: Int32Array
  /** Index in `counts` of a bucket of the span at `spans[at]`, which is widened for it if need be. */
  cellOf(spans: Int32Array, at: number, bucket: number): number
  /** Takes the counts away and zeroes the two words. */
  release(spans: Int32Array, at: number): void
}

export function createBucketSpans(): BucketSpans {
  let counts = zeroed(firstCounts)
  let end = 0
  const free: number[][] = Array.from({ length: largestWidth + 1 }, () => [])

  function take(width: number): number {
    const reused = free[width].pop()
    if (reused !== undefined) return reused
    const start = end
    end += 1 << width
    if (end > counts.length) {
      const larger = zeroed(Math.max(counts.length * 2, end))
      larger.set(counts)
      counts = larger
    }
    return start
  }

  function give(start: number, width: number): void {
    counts.fill(0, start, start + (1 << width))
    free[width].push(start)
  }

  function widen(spans: Int32Array, at: number, bucket: number): number {
    const shape = spans[at + 1]
    const oldWidth = widthOf(shape)
    const oldFirst = firstOf(shape)
    const low = shape === 0 ? bucket : Math.min(bucket, oldFirst)
    const high = shape === 0 ? bucket : Math.max(bucket, oldFirst + (1 << oldWidth) - 1)
    let width = shape === 0 ? smallestWidth : oldWidth + 1
    while (1 << width <= high - low) width++
    // what is spare lies on both sides
    const spare = (1 << width) - (high - low + 1)
    const first = Math.min(Math.max(0, low - (spare >> 1)), bucketsPerHistogram - (1 << width))
    const start = take(width)
    if (shape !== 0) {
      const old = spans[at]
      counts.copyWithin(start + oldFirst - first, old, old + (1 << oldWidth))
      give(old, oldWidth)
    }
    spans[at] = start
    spans[at + 1] = first | (width << widthShift)
    return start + bucket - first
  }

  return {
    get counts() {
      return counts
    },
    cellOf(spans, at, bucket) {
      const shape = spans[at + 1]
      return holds(shape, bucket) ? spans[at] + bucket - firstOf(shape) : widen(spans, at, bucket)
    },
    release(spans, at) {
      if (spans[at + 1] === 0) return
      give(spans[at], widthOf(spans[at + 1]))
      spans[at] = 0
      spans[at + 1] = 0
    },
  }
}

/** Whether a span of this shape has the bucket; the shape 0 is that of a histogram without any count. */
export function holds(shape: number, bucket: number): boolean {
  return shape !== 0 && (bucket - firstOf(shape)) >>> widthOf(shape) === 0
}

/** Its lowest bucket. */
export function firstOf(shape: number): number {
  return shape & 0xffff
}

/** Logarithm of how many buckets it has. */
export function widthOf(shape: number): number {
  return shape >> widthShift
}

function zeroed(length: number): Int32Array<ArrayBuffer> {
  const { buffer, at } = lineAligned(length * 4)
  return new Int32Array(buffer, at, length)
}
