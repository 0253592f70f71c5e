import type { EntityIndex } from '../resolve/entity-index.ts'
import type { BookRound } from './book-round.ts'
import type { EdgeTable } from './edge-table.ts'
import type { MinuteRange } from './minute-range.ts'
import type { OpenMinute } from './open-minute.ts'
import type { RowPool } from './row-pool.ts'
import type { Segment } from './segment.ts'
import type { SegmentArchive } from './segment-archive.ts'
import type { Watermark } from './watermark.ts'
import type { WorkQueue } from './work-queue.ts'

export interface MinuteBookOptions {
  readonly index: EntityIndex
  /** Unix milliseconds of the start: earlier minutes are missing unless segments are loaded. */
  readonly startMs: number
  /** A closed minute can be corrected this long after its end. */
  readonly correctableMinutes?: number
  /** Gets the bytes of every segment soon after it closed; merged ones span ten minutes. */
  readonly onSegment?: (bytes: Uint8Array, segment: Segment) => void
  /** Sees the rows of a minute, or of corrections to one, once nothing is written to them any more. */
  readonly onFreeze?: (minute: OpenMinute, counters: Float64Array, partition: number) => void
}

export interface MinuteBookDeps extends MinuteBookOptions {
  readonly partition: number
  readonly edges: EdgeTable
  readonly archive: SegmentArchive
  readonly watermark: Watermark
  /** What is booked to other minutes is void, because another partition's book has it; they close without anything. */
  readonly range?: () => MinuteRange
  /** Shared by the books of a process. */
  readonly pool: RowPool
  readonly work: WorkQueue
  /** The last minute that earlier segments close, where there are any. */
  readonly closedThrough?: number
  /** Called when a round is cut, with the last minute that it closes; what it answers goes with the round. */
  readonly stateAtCut?: (closedThrough: number) => unknown
  /** Gets every round once it is packed. Then nothing of it counts as safe before it is committed. */
  readonly onRound?: (round: BookRound) => void
}
