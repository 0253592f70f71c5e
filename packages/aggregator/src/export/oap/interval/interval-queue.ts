import type { OapInterval } from './access-log.ts'

export interface QueuedInterval extends OapInterval {
  /** When it was taken. */
  readonly takenMs: number
  /** Called once it is known what became of it: sent, in doubt, or thrown away. */
  readonly settled?: () => void
}

export interface QueueLimits {
  readonly maxAgeMs: number
  readonly maxBytes: number
}

export interface QueueCounts {
  readonly intervals: number
  readonly bytes: number
  /** Thrown away, the oldest first: too old, or no room. */
  readonly droppedIntervals: number
  readonly droppedPairs: number
}

/** Intervals that wait for OAP, in order. What does not fit goes, the oldest first, and is counted. */
export interface IntervalQueue {
  push(interval: QueuedInterval): void
  /** Puts back what could not be sent. */
  unshift(interval: QueuedInterval): void
  shift(nowMs: number): QueuedInterval | undefined
  /** When the oldest was taken; undefined if none waits. */
  oldestMs(): number | undefined
  counts(): QueueCounts
}

const bytesPerEnd = 16
const bytesPerRequestGroup = 200
const bytesPerFigures = 700

export function createIntervalQueue({ maxAgeMs, maxBytes }: QueueLimits): IntervalQueue {
  const waiting: QueuedInterval[] = []
  let bytes = 0
  let droppedIntervals = 0
  let droppedPairs = 0

  function drop(): void {
    const oldest = waiting.shift()
    if (oldest === undefined) return
    bytes -= sizeOf(oldest)
    droppedIntervals++
    droppedPairs += oldest.pairs.count + oldest.http.length
    oldest.settled?.()
  }

  function makeRoom(nowMs: number): void {
    while (waiting.length > 0 && nowMs - waiting[0].takenMs > maxAgeMs) drop()
    while (waiting.length > 1 && bytes > maxBytes) drop()
  }

  return {
    push(interval) {
      waiting.push(interval)
      bytes += sizeOf(interval)
      makeRoom(interval.takenMs)
    },
    unshift(interval) {
      waiting.unshift(interval)
      bytes += sizeOf(interval)
    },
    shift(nowMs) {
      makeRoom(nowMs)
      const oldest = waiting.shift()
      if (oldest !== undefined) bytes -= sizeOf(oldest)
      return oldest
    },
    oldestMs: () => waiting[0]?.takenMs,
    counts: () => ({ intervals: waiting.length, bytes, droppedIntervals, droppedPairs }),
  }
}

function sizeOf({ pairs, http, figures = [] }: OapInterval): number {
  const others = http.length * bytesPerRequestGroup + figures.length * bytesPerFigures
  return pairs.bytes.length + pairs.ends.length * bytesPerEnd + others
}
