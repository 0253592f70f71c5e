import type { OapInterval } from './access-log.ts'
import { type PackedRequests, packRequests, unpackRequests } from './packed-requests.ts'

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
  shift(nowMs: number): QueuedInterval | undefined
  /** When the oldest was taken; undefined if none waits. */
  oldestMs(): number | undefined
  counts(): QueueCounts
}

interface Waiting extends Omit<QueuedInterval, 'http'> {
  readonly http: PackedRequests
}

/** Of a reference to an end, a text. */
const bytesPerReference = 16
const bytesPerOddRequests = 400
const bytesPerFigures = 700

export function createIntervalQueue({ maxAgeMs, maxBytes }: QueueLimits): IntervalQueue {
  const waiting: Waiting[] = []
  let bytes = 0
  let droppedIntervals = 0
  let droppedPairs = 0

  function drop(): void {
    const oldest = waiting.shift()
    if (oldest === undefined) return
    bytes -= sizeOf(oldest)
    droppedIntervals++
    droppedPairs += oldest.pairs.count + oldest.http.count + oldest.http.odd.length
    oldest.settled?.()
  }

  function makeRoom(nowMs: number): void {
    while (waiting.length > 0 && nowMs - waiting[0].takenMs > maxAgeMs) drop()
    while (waiting.length > 1 && bytes > maxBytes) drop()
  }

  return {
    push(interval) {
      const packed = { ...interval, http: packRequests(interval.http) }
      waiting.push(packed)
      bytes += sizeOf(packed)
      makeRoom(interval.takenMs)
    },
    shift(nowMs) {
      makeRoom(nowMs)
      const oldest = waiting.shift()
      if (oldest === undefined) return undefined
      bytes -= sizeOf(oldest)
      return { ...oldest, http: unpackRequests(oldest.http) }
    },
    oldestMs: () => waiting[0]?.takenMs,
    counts: () => ({ intervals: waiting.length, bytes, droppedIntervals, droppedPairs }),
  }
}

function sizeOf({ pairs, http, figures = [] }: Waiting): number {
  const references = pairs.ends.length + http.ends.length + http.texts.length
  const others = http.odd.length * bytesPerOddRequests + figures.length * bytesPerFigures
  return pairs.bytes.length + http.bytes.length + references * bytesPerReference + others
}
