import type { EdgeId } from './edge-book.ts'
import { type Segment, type SegmentHead, segmentBytes } from './segment.ts'

export const blockMinutes = 10

export interface ArchiveOptions {
  /** Single minutes are kept this long, merged ones so long. */
  readonly minutesKept?: number
  readonly mergedMinutesKept?: number
  /** Bytes of memory that segments may take; over it the oldest go first. */
  readonly maxBytes?: number
}

/** Closed minutes: parts of single minutes, and ten minutes merged into one. */
export interface SegmentArchive {
  /** Adds a part of a minute, or a merged segment. */
  add(segment: Segment): void
  /** Number of the next part of a partition's minute. */
  nextNumber(partition: number, minute: number): number
  has(minute: number): boolean
  /** Some part of the partition's minute is there, by itself. */
  hasPart(partition: number, minute: number): boolean
  hasBlock(block: number): boolean
  /** Segments that together hold `[fromMinute, toMinute)`, and how far that range had to be widened. */
  find(fromMinute: number, toMinute: number): { segments: Segment[]; fromMinute: number; toMinute: number }
  parts(minute: number): readonly Segment[]
  /** Puts the same part in another form in its place, or takes out one that turned out to hold nothing. */
  replace(part: Segment, by: Segment | undefined): void
  remove(part: Segment): void
  /** Takes the merged form of a minute's block out where the minutes are still there; answers the block. */
  reopen(minute: number): number
  /** Only the merged form of this minute is left: nothing can be added to it. */
  isMergedOnly(minute: number): boolean
  /** Rises whenever what `find` answers for a range changes, but for the form. */
  generation(fromMinute: number, toMinute: number): number
  /** First minutes of the blocks that end before `settledMinute` and are not merged yet. */
  mergeable(settledMinute: number): number[]
  /** What the sum of a block is made of, and its head. */
  partsOfBlock(block: number): { readonly head: SegmentHead; readonly parts: Segment[] }
  /** Forgets what is too old. */
  forget(nowMinute: number): void
  forEachEdge(visit: (edge: EdgeId) => void): void
  readonly count: number
  readonly bytes: number
  /** Minutes that were dropped before their time because memory was full. */
  readonly dropped: number
}

export function createSegmentArchive(options: ArchiveOptions = {}): SegmentArchive {
  const { minutesKept = 120, mergedMinutesKept = 24 * 60, maxBytes = 512 * 1024 * 1024 } = options
  const minutes = new Map<number, Segment[]>()
  const blocks = new Map<number, Segment>()
  // when each minute changed last, in changes
  const changedAt = new Map<number, number>()
  let changes = 0
  let bytes = 0
  let dropped = 0

  function noteChange(fromMinute: number, count: number): void {
    changes++
    for (let m = fromMinute; m < fromMinute + count; m++) changedAt.set(m, changes)
  }

  function add(segment: Segment): void {
    bytes += segmentBytes(segment)
    noteChange(segment.fromMinute, segment.minutes)
    if (segment.minutes === blockMinutes) blocks.set(segment.fromMinute, segment)
    else {
      const parts = minutes.get(segment.fromMinute)
      if (parts) parts.push(segment)
      else minutes.set(segment.fromMinute, [segment])
    }
  }

  function dropMinute(minute: number): void {
    for (const part of minutes.get(minute) ?? []) bytes -= segmentBytes(part)
    minutes.delete(minute)
    noteChange(minute, 1)
  }

  function dropBlock(block: number): void {
    bytes -= segmentBytes(blocks.get(block)!)
    blocks.delete(block)
    noteChange(block, blockMinutes)
  }

  function partsOfBlock(block: number) {
    const parts: Segment[] = []
    let present = 0
    let expected = 0
    let reporting = Number.POSITIVE_INFINITY
    for (let i = 0; i < blockMinutes; i++)
      for (const part of minutes.get(block + i) ?? []) {
        parts.push(part)
        present |= 1 << i
        if (part.isCorrection || part.expected === 0) continue
        expected = Math.max(expected, part.expected)
        reporting = Math.min(reporting, part.reporting)
      }
    const head = {
      fromMinute: block,
      minutes: blockMinutes,
      partition: 0,
      number: 0,
      isPartial: false,
      isCorrection: false,
    }
    return { head: { ...head, present, expected, reporting }, parts }
  }

  function forgetOld(nowMinute: number): void {
    for (const minute of minutes.keys())
      if (minute < nowMinute - minutesKept && blocks.has(blockOf(minute))) dropMinute(minute)
    for (const block of blocks.keys()) if (block < nowMinute - mergedMinutesKept) dropBlock(block)
    while (bytes > maxBytes && minutes.size + blocks.size > 1) dropOldest()
    const forgotten = nowMinute - Math.max(minutesKept, mergedMinutesKept) - 2 * blockMinutes
    for (const minute of changedAt.keys())
      if (minute < forgotten && !minutes.has(minute) && !blocks.has(blockOf(minute))) changedAt.delete(minute)
  }

  function dropOldest(): void {
    const oldest = Math.min(...blocks.keys(), ...[...minutes.keys()].map(blockOf))
    for (let minute = oldest; minute < oldest + blockMinutes; minute++) {
      if (!minutes.has(minute) && !isPresent(blocks.get(oldest), minute)) continue
      dropped++
      if (minutes.has(minute)) dropMinute(minute)
    }
    if (blocks.has(oldest)) dropBlock(oldest)
  }

  return {
    add,
    nextNumber(partition, minute) {
      let next = 0
      for (const part of minutes.get(minute) ?? [])
        if (part.partition === partition) next = Math.max(next, part.number + 1)
      return next
    },
    hasPart: (partition, minute) => (minutes.get(minute) ?? []).some(part => part.partition === partition),
    has: minute => minutes.has(minute) || isPresent(blocks.get(blockOf(minute)), minute),
    hasBlock: block => blocks.has(block),
    parts: minute => minutes.get(minute) ?? [],
    find(fromMinute, toMinute) {
      const segments: Segment[] = []
      let from = fromMinute
      let to = toMinute
      for (let m = fromMinute; m < toMinute; m++) {
        const block = blocks.get(blockOf(m))
        const isWhole = m === blockOf(m) && m + blockMinutes <= toMinute
        if (block && (isWhole || !hasMinutesOf(block))) {
          segments.push(block)
          from = Math.min(from, block.fromMinute)
          to = Math.max(to, block.fromMinute + blockMinutes)
          m = block.fromMinute + blockMinutes - 1
        } else segments.push(...(minutes.get(m) ?? []))
      }
      return { segments, fromMinute: from, toMinute: to }
    },
    replace(part, by) {
      const parts = minutes.get(part.fromMinute)
      const at = parts?.indexOf(part) ?? -1
      if (!parts || at < 0) return
      parts.splice(at, 1, ...(by ? [by] : []))
      if (parts.length === 0) minutes.delete(part.fromMinute)
      bytes += (by ? segmentBytes(by) : 0) - segmentBytes(part)
    },
    remove(part) {
      const parts = minutes.get(part.fromMinute)
      const at = parts?.indexOf(part) ?? -1
      if (!parts || at < 0) return
      parts.splice(at, 1)
      if (parts.length === 0) minutes.delete(part.fromMinute)
      bytes -= segmentBytes(part)
      noteChange(part.fromMinute, 1)
    },
    reopen(minute) {
      const merged = blocks.get(blockOf(minute))
      if (merged && hasMinutesOf(merged)) dropBlock(blockOf(minute))
      return blockOf(minute)
    },
    isMergedOnly(minute) {
      const merged = blocks.get(blockOf(minute))
      return merged !== undefined && !hasMinutesOf(merged)
    },
    generation(fromMinute, toMinute) {
      let last = 0
      for (let m = fromMinute; m < toMinute; m++) last = Math.max(last, changedAt.get(m) ?? 0)
      return last
    },
    mergeable: settledMinute =>
      [...new Set([...minutes.keys()].map(blockOf))].filter(
        block => block + blockMinutes <= settledMinute && !blocks.has(block),
      ),
    partsOfBlock,
    forget: forgetOld,
    forEachEdge(visit) {
      const all = [...blocks.values(), ...[...minutes.values()].flat()]
      for (const { edges, open, said } of all) {
        for (const edge of edges) visit(edge)
        if (said) for (const edge of said.edges) visit(edge)
        for (const edge of open.edges) visit(edge)
      }
    },
    get count() {
      let count = blocks.size
      for (const parts of minutes.values()) count += parts.length
      return count
    },
    get bytes() {
      return bytes
    },
    get dropped() {
      return dropped
    },
  }

  /** False where only the merged form is left of a block, or some of its minutes were dropped already. */
  function hasMinutesOf(block: Segment): boolean {
    for (let i = 0; i < blockMinutes; i++)
      if ((block.present & (1 << i)) !== 0 && !minutes.has(block.fromMinute + i)) return false
    return true
  }
}

function blockOf(minute: number): number {
  return minute - (minute % blockMinutes)
}

function isPresent(block: Segment | undefined, minute: number): boolean {
  return block !== undefined && (block.present & (1 << (minute - block.fromMinute))) !== 0
}
