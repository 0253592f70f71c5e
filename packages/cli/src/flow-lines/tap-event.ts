import type { BatchHeader } from '@skybraid/shared'

/** Something a reader of the records must know besides them: what is missing, and why. */
export type TapEvent = EventWhere &
  (
    | GapEvent
    | {
        readonly kind: 'late'
        readonly partition: number
        readonly sequence: number
        readonly records: number
      }
    | LostEvent
    | { readonly kind: 'stopped' }
    | {
        readonly kind: 'restarted'
        readonly previousBoot: string
        /** Whether the run before ended with a clean stop; if not, what it still held is unknown. */
        readonly afterCleanStop: boolean
      }
    | RefusedEvent
    | SlowEvent
    | UnfollowedEvent
  )

export interface EventWhere {
  readonly unixMs: number
  /** Empty where no one collector is meant. */
  readonly node: string
  readonly bootId: string
}

/** Batches that did not come, of which the first that came after them tells how many records they held. */
export interface GapEvent {
  readonly kind: 'gap'
  readonly partition: number
  readonly firstSequence: number
  readonly lastSequence: number
  readonly batches: number
  readonly records: number
}

/** The collector itself says that it lost something. */
export interface LostEvent {
  readonly kind: 'lost'
  readonly place: string
  readonly records: number
  /** Since the collector's start. */
  readonly total: number
  /** It happened before the first batch that was seen. */
  readonly before: boolean
}

/** A message that is no batch, or not one of the node whose subject it has. */
export interface RefusedEvent {
  readonly kind: 'refused'
  readonly reason: string
}

/** Batches that this reader itself let go because it could not keep up. */
export interface SlowEvent {
  readonly kind: 'slow'
  readonly batches: number
  readonly records: number
  readonly bytes: number
}

/** More collectors and partitions than are followed at once: gaps may go unseen. */
export interface UnfollowedEvent {
  readonly kind: 'unfollowed'
  readonly limit: number
}

export function eventWhere({ sentUnixMs, node, bootId }: BatchHeader): EventWhere {
  return { unixMs: sentUnixMs, node, bootId }
}
