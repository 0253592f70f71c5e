import type { IngestState } from '../ingest/ingest-state.ts'
import type { BookedState } from '../loss-booking.ts'
import type { OpenLosses } from '../topology/book-round.ts'

/**
 * What goes with a round of closed minutes: the position that all of it belongs to, and what can't be found out again
 * by reading the stream once more.
 */
export interface RoundState {
  /** The last closed minute. */
  readonly closedThrough: number
  /** Sequence of the stream up to which everything that touches closed minutes is in segments. */
  readonly appliedThrough: number
  /** Which stream that is: when it was made. */
  readonly stream?: string
  /** What the clock was then, Unix milliseconds. */
  readonly appliedMs: number
  /** The stream's time of the first batch with a minute that is not closed; `appliedMs` if there is none. */
  readonly openSinceMs: number
  readonly ingest: IngestState
  readonly losses: readonly BookedState[]
  /** Losses of minutes that are not closed. */
  readonly openLosses: readonly OpenLosses[]
}

/** How far back flows have said something: they announce themselves every five minutes. */
export const announcedWithinMs = 6 * 60_000

/** The stream's time from which on a partition is read again. */
export function readAgainFromMs(state: RoundState, backMs = announcedWithinMs): number {
  return Math.min(state.openSinceMs, state.appliedMs - backMs)
}
