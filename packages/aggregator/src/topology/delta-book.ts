import { Counter } from './counters.ts'
import type { EdgeId } from './edge-book.ts'
import type { OpenMinute } from './open-minute.ts'
import { rowStride } from './row-pool.ts'

/** What of a row is exported, in this order: the client's figures, then the server's. */
export const deltaCounters = [
  'clientOpened',
  'clientHandshakeUsSum',
  'clientClosed',
  'clientBytesSent',
  'clientBytesReceived',
  'clientSegmentsSent',
  'clientSegmentsReceived',
  'clientRetransmits',
  'serverAccepted',
  'serverHandshakeUsSum',
  'serverClosed',
  'serverBytesSent',
  'serverBytesReceived',
  'serverSegmentsSent',
  'serverSegmentsReceived',
  'serverRetransmits',
  // beyond these: dials that never connected, of all kinds together
] as const

/** Index of the failed dials in a delta. */
export const failedDelta = deltaCounters.length
export const deltaLength = deltaCounters.length + 1

const wanted = Int32Array.from(deltaCounters, name => Counter[name])
const failures = Int32Array.of(
  Counter.failedRefused,
  Counter.failedTimedOut,
  Counter.failedUnreachable,
  Counter.failedReset,
  Counter.failedAbandoned,
  Counter.failedOther,
)

/** Rows of a minute as they are now. */
export interface DeltaRows {
  readonly minute: OpenMinute
  readonly counters: Float64Array
}

/** Gets what an edge's row grew by; `delta` is reused. Amounts are negative where a booking was taken back or moved. */
export type OnDelta = (edge: EdgeId, unixMinute: number, delta: Float64Array) => void

/**
 * What rows grew by since it was last asked: for exports that add up. It costs nothing where rows are written; a pass
 * over the rows finds the differences. Edges with an end that nobody reported wait for the other half: of those only
 * what was there at the latest `mark` is given, so that a conversation is not exported under a name that it loses at
 * once.
 */
export interface DeltaBook {
  /** Notes how far rows of edges with an unreported end are. */
  mark(rows: readonly DeltaRows[]): void
  take(rows: readonly DeltaRows[], onDelta: OnDelta): void
  /** Takes the rest of a minute whose rows are written no more, and forgets it. */
  finish(rows: DeltaRows, onDelta: OnDelta): void
}

interface Taken {
  /** By place in the minute's list of rows. */
  given: Float64Array
  marked: Float64Array
}

/** `isWaiting` tells an edge with an end that nobody reported. */
export function createDeltaBook(isWaiting: (edge: EdgeId) => boolean): DeltaBook {
  // a minute that is dropped instead of frozen takes its state along
  const minutes = new WeakMap<OpenMinute, Taken>()
  const now = new Float64Array(deltaLength)
  const delta = new Float64Array(deltaLength)

  function takenOf({ minute }: DeltaRows): Taken {
    const length = minute.rows.length * deltaLength
    const known = minutes.get(minute)
    if (known === undefined) {
      const fresh = { given: new Float64Array(length), marked: new Float64Array(length) }
      minutes.set(minute, fresh)
      return fresh
    }
    if (known.given.length < length) {
      known.given = grown(known.given, 2 * length)
      known.marked = grown(known.marked, 2 * length)
    }
    return known
  }

  function takeRow(
    { minute, counters }: DeltaRows,
    i: number,
    taken: Taken,
    isFinal: boolean,
    onDelta: OnDelta,
  ): void {
    readRow(counters, minute.rows[i] * rowStride, now)
    const at = i * deltaLength
    const edge = minute.edges[i]
    const waits = !isFinal && isWaiting(edge)
    let isChanged = false
    for (let k = 0; k < deltaLength; k++) {
      const upTo = waits ? Math.min(now[k], taken.marked[at + k]) : now[k]
      delta[k] = upTo - taken.given[at + k]
      taken.given[at + k] = upTo
      isChanged ||= delta[k] !== 0
    }
    if (isChanged) onDelta(edge, minute.minute, delta)
  }

  function takeRows(rows: DeltaRows, isFinal: boolean, onDelta: OnDelta): void {
    const taken = takenOf(rows)
    for (let i = 0; i < rows.minute.rows.length; i++) takeRow(rows, i, taken, isFinal, onDelta)
  }

  return {
    mark(all) {
      for (const rows of all) {
        const { marked } = takenOf(rows)
        const { minute, counters } = rows
        for (let i = 0; i < minute.rows.length; i++) {
          if (!isWaiting(minute.edges[i])) continue
          readRow(counters, minute.rows[i] * rowStride, now)
          marked.set(now, i * deltaLength)
        }
      }
    },
    take(all, onDelta) {
      for (const rows of all) takeRows(rows, false, onDelta)
    },
    finish(rows, onDelta) {
      takeRows(rows, true, onDelta)
      minutes.delete(rows.minute)
    },
  }
}

function readRow(counters: Float64Array, row: number, into: Float64Array): void {
  // sums of sampled connections are scaled up and need not be whole; rounding the sums keeps the differences true
  for (let k = 0; k < failedDelta; k++) into[k] = Math.round(counters[row + wanted[k]])
  let failed = 0
  for (let k = 0; k < failures.length; k++) failed += counters[row + failures[k]]
  into[failedDelta] = Math.round(failed)
}

function grown(from: Float64Array, length: number): Float64Array {
  const to = new Float64Array(length)
  to.set(from)
  return to
}
