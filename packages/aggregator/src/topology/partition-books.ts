import { createMinuteBook, type MinuteBook } from './minute-book.ts'
import type { MinuteBookDeps, MinuteBookOptions } from './minute-book-deps.ts'
import type { OpenMinute } from './open-minute.ts'
import { lastGauges, type OpenGauges, type Segment } from './segment.ts'
import { createWatermark, type WatermarkOptions } from './watermark.ts'

/** How one partition's book begins; without anything, as that of a process that keeps no positions. */
export type BookStart = Partial<
  Pick<MinuteBookDeps, 'startMs' | 'closedThrough' | 'stateAtCut' | 'onRound' | 'range'>
>

export interface PartitionBooksDeps
  extends Pick<MinuteBookDeps, 'edges' | 'archive' | 'pool' | 'work'>,
    MinuteBookOptions,
    WatermarkOptions {}

/** The books of the partitions that this process books, and what is known of the others, as one. */
export interface PartitionBooks {
  get(partition: number): MinuteBook | undefined
  open(partition: number, start: BookStart): MinuteBook
  close(partition: number): void
  all(): MinuteBook[]
  noteLoaded(segment: Segment): void
  /** Nothing more is expected of a partition that is booked elsewhere or nowhere. */
  forget(partition: number): void
  /** The last minute that every partition has closed, but for those that lie far behind. */
  closedMinute(): number
  /** Whether what is open now is what is open at the end of a range: one that ends with the running minute. */
  isLive(toMinute: number): boolean
  isOpen(minute: number): boolean
  openWithin(fromMinute: number, toMinute: number): OpenMinute[]
  touches(fromMinute: number, toMinute: number): string
  /**
   * Gauges at the end of a range: of all partitions, or where it is live, of those elsewhere. As segments have them, or
   * the books where its last minute is not closed.
   */
  gaugesOf(segments: readonly Segment[], toMinute: number, isLive: boolean): OpenGauges[]
  /** Collectors that report to books whose minute before `toMinute` is open. */
  live(toMinute: number, nowMs: number): { readonly expected: number; readonly reporting: number }[]
}

/** A partition that is so far behind the others doesn't keep minutes from counting as closed. */
const farBehindMinutes = 15

export function createPartitionBooks(deps: PartitionBooksDeps): PartitionBooks {
  const books = new Map<number, MinuteBook>()
  /** Last closed minute of partitions, as segments of other processes say. */
  const closedElsewhere = new Map<number, number>()
  const all = () => [...books.values()]

  return {
    get: partition => books.get(partition),
    all,
    open(partition, start) {
      const others = all().map(book => book.closedMinute())
      const closed = others.length > 0 ? { closedThrough: Math.min(...others) } : {}
      const book = createMinuteBook({
        ...deps,
        ...closed,
        ...start,
        partition,
        watermark: createWatermark(deps),
      })
      books.set(partition, book)
      return book
    },
    close(partition) {
      const book = books.get(partition)
      if (!book) return
      books.delete(partition)
      book.drop()
      closedElsewhere.set(partition, book.closedMinute())
    },
    noteLoaded(segment) {
      if (segment.minutes > 1) for (const book of all()) book.noteLoaded(segment)
      const own = books.get(segment.partition)
      if (own) own.noteLoaded(segment)
      else if (!segment.isPartial && !segment.isCorrection) {
        const known = closedElsewhere.get(segment.partition) ?? -1
        closedElsewhere.set(segment.partition, Math.max(known, segment.fromMinute + segment.minutes - 1))
      }
    },
    forget(partition) {
      closedElsewhere.delete(partition)
    },
    closedMinute() {
      const minutes = new Map(closedElsewhere)
      for (const [partition, book] of books) minutes.set(partition, book.closedMinute())
      const newest = Math.max(-1, ...minutes.values())
      return Math.min(newest, ...[...minutes.values()].filter(minute => minute >= newest - farBehindMinutes))
    },
    isLive: toMinute => books.size > 0 && all().every(book => book.isRunning(toMinute - 1)),
    isOpen: minute => all().some(book => book.isOpen(minute)),
    openWithin: (fromMinute, toMinute) => all().flatMap(book => book.openWithin(fromMinute, toMinute)),
    touches: (fromMinute, toMinute) =>
      all()
        .map(book => book.touches(fromMinute, toMinute))
        .join('-'),
    gaugesOf(segments, toMinute, isLive) {
      const own = all().filter(book => isLive || toMinute > book.closedMinute() + 1)
      if (own.length === 0) return lastGauges(segments)
      const told = new Set(own.map(book => book.partition))
      return [
        ...lastGauges(segments.filter(s => s.minutes === 1 && !told.has(s.partition))),
        ...(isLive ? [] : own.map(book => book.gaugesAtEndOf(toMinute - 1))),
      ]
    },
    live: (toMinute, nowMs) =>
      all()
        .filter(book => toMinute > book.closedMinute() + 1)
        .map(book => book.live(nowMs)),
  }
}
