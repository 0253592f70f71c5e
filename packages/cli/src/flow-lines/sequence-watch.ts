import type { BatchHeader } from '@skybraid/shared'
import { eventWhere, type TapEvent } from './tap-event.ts'

/** What identifies a batch that was let go unread. */
export interface UnreadBatch {
  readonly node: string
  readonly bootId: string
  readonly partition: number
  readonly sequence: number
  readonly recordCount: number
}

/**
 * The batches of one node, boot and partition, in their order.
 * Invariants: every sequence below `next` was seen, is in a hole or was let go; holes do not overlap and are in order.
 */
export interface SequenceWatch {
  next: number
  nextRecord: number
  readonly holes: Hole[]
  /** Let go unread at or after `next`, so that they do not count as a gap. */
  skippedBatches: number
  skippedRecords: number
}

interface Hole {
  first: number
  last: number
}

export type Arrival = { readonly isNew: boolean; readonly event?: TapEvent }

/** More holes than this are not remembered: what comes late from older ones counts as a repetition. */
const mostHoles = 64

const repetition: Arrival = { isNew: false }
const inOrder: Arrival = { isNew: true }

/** `fromStart`: the whole boot was watched, so that even what came before its first batch is missing. */
export function createSequenceWatch(header: BatchHeader, fromStart: boolean): SequenceWatch {
  const start = fromStart
    ? { next: 1, nextRecord: 0 }
    : { next: header.sequence, nextRecord: header.firstRecord }
  return { ...start, holes: [], skippedBatches: 0, skippedRecords: 0 }
}

/** Books a batch; a repetition is not new, a gap before it is told exactly. */
export function noteSequence(watch: SequenceWatch, header: BatchHeader): Arrival {
  const { sequence, firstRecord, recordCount } = header
  if (sequence < watch.next) return fillHole(watch, header)
  const gap = gapBefore(watch, header)
  if (sequence > watch.next) {
    watch.holes.push({ first: watch.next, last: sequence - 1 })
    if (watch.holes.length > mostHoles) watch.holes.shift()
  }
  watch.next = sequence + 1
  watch.nextRecord = firstRecord + recordCount
  watch.skippedBatches = 0
  watch.skippedRecords = 0
  return gap === undefined ? inOrder : { isNew: true, event: gap }
}

/** Books a batch that was let go unread, so that it isn't taken for one that never came. */
export function skipSequence(watch: SequenceWatch, { sequence, recordCount }: UnreadBatch): void {
  if (sequence < watch.next) return
  watch.skippedBatches += 1
  watch.skippedRecords += recordCount
}

function gapBefore(watch: SequenceWatch, header: BatchHeader): TapEvent | undefined {
  const batches = header.sequence - watch.next - watch.skippedBatches
  const records = header.firstRecord - watch.nextRecord - watch.skippedRecords
  if (batches <= 0) return undefined
  return {
    ...eventWhere(header),
    kind: 'gap',
    partition: header.partition,
    firstSequence: watch.next,
    lastSequence: header.sequence - 1,
    batches,
    // a sender that contradicts itself must not make a negative number
    records: Math.max(0, records),
  }
}

function fillHole(watch: SequenceWatch, header: BatchHeader): Arrival {
  const { sequence } = header
  const at = watch.holes.findIndex(({ first, last }) => sequence >= first && sequence <= last)
  if (at < 0) return repetition
  const { first, last } = watch.holes[at]
  const rest: Hole[] = []
  if (first < sequence) rest.push({ first, last: sequence - 1 })
  if (sequence < last) rest.push({ first: sequence + 1, last })
  watch.holes.splice(at, 1, ...rest)
  const { partition, recordCount } = header
  return {
    isNew: true,
    event: { ...eventWhere(header), kind: 'late', partition, sequence, records: recordCount },
  }
}
