import { lossPlaces } from '@skybraid/shared'
import { LRUCache } from 'lru-cache'
import type {
  AnswerMark,
  Completeness,
  FlowQuery,
  FlowView,
  IngestStatus,
  MissingPartitions,
  TopologyAnswer,
  TopologyChange,
  TopologyQuery,
  TopologyReader,
} from './answer.ts'
import {
  type AnswerForm,
  type AnswerFrame,
  answerText,
  createAnswerScratch,
  windowOf,
} from './answer-text.ts'
import { isComparable, markAnswer, type OwnMark } from './change-feed.ts'
import { createClosedSumsCache } from './closed-sums.ts'
import { Counter, counterCount } from './counters.ts'
import type { EntityId } from './edge-book.ts'
import { createEdgeTable } from './edge-table.ts'
import { observedBy } from './edge-view.ts'
import { type Evaluation, evaluate } from './evaluate.ts'
import type { Fold } from './fold.ts'
import { createFoldCache } from './fold-cache.ts'
import { correctableMinutes, type MinuteBook } from './minute-book.ts'
import type { MinuteBookOptions } from './minute-book-deps.ts'
import { operationsAnswer } from './operations.ts'
import { type BookStart, createPartitionBooks } from './partition-books.ts'
import { createPartitionDeltas, type EdgeListeners } from './partition-deltas.ts'
import { createSumsScratch, type RangeParts } from './range-sums.ts'
import { createRowPool } from './row-pool.ts'
import { type ArchiveOptions, createSegmentArchive } from './segment-archive.ts'
import { createSegmentKeeper } from './segment-keeper.ts'
import { createSegmentLoader, type LoadResult } from './segment-loader.ts'
import type { WatermarkOptions } from './watermark.ts'
import { createWorkQueue } from './work-queue.ts'

export interface TopologyOptions extends ArchiveOptions, WatermarkOptions, MinuteBookOptions, EdgeListeners {
  readonly maxEdges?: number
  /** Rows of open minutes and open corrections together, at most 500,000. */
  readonly maxOpenRows?: number
  /** So many rows of closed minutes are packed at each `advance`, or more where many wait. */
  readonly rowsPerAdvance?: number
  /** What the join and the ingest answer; without them there are no flows and no losses of theirs. */
  readonly flows?: (query: FlowQuery, nowMs: number) => ReturnType<TopologyReader['flows']>
  readonly ingestStatus?: (nowMs: number) => IngestStatus
  /** What of a bus with partitions is not here. */
  readonly partitions?: () => MissingPartitions
  /** Sentences that every answer carries. */
  readonly notes?: readonly string[]
  /** Records lost outside the topology in a range, by place. */
  readonly losses?: (fromMs: number, toMs: number, nowMs: number) => Readonly<Record<string, number>>
}

export interface TopologyStats {
  readonly edges: number
  readonly entities: number
  readonly openMinutes: number
  readonly openRows: number
  readonly closedSegments: number
  readonly segmentBytes: number
  /** Minutes dropped before their time because memory was full. */
  readonly droppedMinutes: number
  /** Segments refused when loading, by reason. */
  readonly refusedSegments: Readonly<Record<string, number>>
}

/**
 * Edges per minute, from the rows that the join books to answers and segments. What partitions of the bus were booked
 * apart is added in every answer. All times are arguments.
 */
export interface Topology extends TopologyReader {
  topologyJson(query: TopologyQuery, nowMs: number, reuse?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>
  changedSince(query: TopologyQuery, nowMs: number, before: AnswerMark | undefined): TopologyChange
  /** The book of a partition that this process books; opened when first asked for. */
  book(partition: number): MinuteBook
  openBook(partition: number, start: BookStart): MinuteBook
  /** Drops what the partition's book holds and no segment keeps. */
  closeBook(partition: number): void
  /** No further minute is expected of a partition that has no book here. */
  forgetPartition(partition: number): void
  /** Closes minutes that are due, merges and forgets old ones. Call at least once a second. */
  advance(nowMs: number): void
  /** Packs some rows of closed minutes. */
  pack(): void
  /** As `advance`, for books that each have a clock of their own. */
  tidy(nowMs: number): void
  /** Closes everything that is open, as a part that a later process continues. For a shutdown. */
  flush(nowMs: number): void
  /** Takes over a segment of an earlier process. Whatever the bytes are, it is loaded or refused with a reason. */
  load(bytes: Uint8Array): LoadResult
  /** Takes over a part of a partition's minute that its owner, here or elsewhere, has appended. */
  follow(bytes: Uint8Array, partition: number): LoadResult
  stats(): TopologyStats
  /**
   * From here on edges with an end that nobody reported wait for it, until the next `takeDeltas`; of one partition, or
   * of all of them.
   */
  markDeltas(partition?: number): void
  /** Tells `onDelta` what was booked since the last time. */
  takeDeltas(partition?: number): void
}

/** A query's result with the range that it really is about. */
interface RangeEvaluation {
  readonly found: Evaluation
  readonly fromMinute: number
  readonly toMinute: number
}

/** The part of an answer's completeness that follows from what was booked. */
interface RangeCounts {
  readonly fromMinute: number
  readonly toMinute: number
  readonly losses: Float64Array
  readonly oneSidedEdges: number
  readonly unresolvedEndpoints: number
  readonly sampledEdges: number
}

const minuteMs = 60_000
const rowsPerAdvance = 1500
const noFlows: FlowView[] = []

export function createTopology(options: TopologyOptions): Topology {
  const { index, notes = [] } = options
  const maxEdges = options.maxEdges ?? 262_144
  const edges = createEdgeTable(maxEdges)
  const archive = createSegmentArchive(options)
  const folds = createFoldCache(edges, index)
  const pool = createRowPool(Math.min(options.maxOpenRows ?? 400_000, 500_000))
  const work = createWorkQueue()
  const deltas = createPartitionDeltas({ edges, pool, books: () => books, isAddress, listeners: options })
  const books = createPartitionBooks({
    ...options,
    ...(deltas.isHeard && { onFreeze: deltas.onFreeze }),
    edges,
    archive,
    pool,
    work,
  })
  const keeper = createSegmentKeeper({
    ...options,
    edges,
    archive,
    work,
    settledMinute: nowMinute => Math.min(books.closedMinute() + 1, nowMinute - correctableMinutes - 1),
    sweepAbove: maxEdges / 2,
    markOpenEdges: isUsed => {
      for (const book of books.all()) book.markEdges(isUsed)
    },
    onSweep: () => {
      folds.clear()
      closed.clear()
    },
  })
  const loader = createSegmentLoader({ index, edges, archive, onLoaded: books.noteLoaded })
  const answerScratch = createAnswerScratch()
  const sumsScratch = createSumsScratch()
  const closed = createClosedSumsCache()
  const knownCounts = new LRUCache<string, RangeCounts>({ max: 64 })
  let lastText: Uint8Array<ArrayBuffer> | undefined

  function isAddress(id: EntityId): boolean {
    return index.entity(id)?.kind === 'address'
  }

  function pack(): void {
    work.advance(options.rowsPerAdvance ?? rowsPerAdvance)
  }

  function tidy(nowMs: number): void {
    keeper.advance(nowMs)
    pack()
  }

  function evaluateQuery(query: TopologyQuery): RangeEvaluation {
    const range = partsOf(query.fromMs, query.toMs)
    const gauges = books.gaugesOf(range.parts.segments, range.toMinute, range.isLive)
    const minutes = range.toMinute - range.fromMinute
    const closedOf = (fold: Fold) => closed.get(fold, minutes)
    const { parts, isLive } = range
    const source = { edges, index, folds, parts, gauges, isLive, scratch: sumsScratch, closedOf }
    const found = evaluate(source, query)
    return { found, fromMinute: range.fromMinute, toMinute: range.toMinute }
  }

  function partsOf(fromMs: number, toMs: number) {
    const { segments, fromMinute, toMinute } = archive.find(minuteOf(fromMs), Math.ceil(toMs / minuteMs))
    const parts: RangeParts = { segments, open: books.openWithin(fromMinute, toMinute), pool: pool.counters }
    return { parts, fromMinute, toMinute, isLive: books.isLive(toMinute) }
  }

  function generation(fromMs: number, toMs: number): string {
    const { fromMinute, toMinute } = archive.find(minuteOf(fromMs), Math.ceil(toMs / minuteMs))
    const open = books.touches(fromMinute, toMinute)
    const { missing = [], openElsewhere = [] } = options.partitions?.() ?? {}
    const elsewhere = options.partitions ? `.${missing.join('_')}.${openElsewhere.join('_')}` : ''
    return `${options.startMs}.${archive.generation(fromMinute, toMinute)}.${open}.${index.revisionAt(toMs)}${elsewhere}`
  }

  function missingMinutes(fromMinute: number, toMinute: number, nowMs: number): number {
    let missing = 0
    const end = Math.min(toMinute, minuteOf(nowMs) + 1)
    for (let m = fromMinute; m < end; m++) if (!archive.has(m) && !books.isOpen(m)) missing++
    return missing
  }

  function countsOf({ found, fromMinute, toMinute }: RangeEvaluation): RangeCounts {
    const { sums, slots, fold, groups } = found
    return {
      fromMinute,
      toMinute,
      losses: sums.losses,
      oneSidedEdges: countOf(slots, slot => observedBy(sums.seen[slot]) !== 'both'),
      unresolvedEndpoints: countOf(groups, g => fold.groups[g].foundBy === 'address'),
      sampledEdges: countOf(slots, slot => sums.counters[slot * counterCount + Counter.sampled] !== 0),
    }
  }

  /** Who reports and what is missing changes with time alone; what was counted does not. */
  function describe(counts: RangeCounts, nowMs: number): Completeness {
    const { fromMinute, toMinute, losses, ...edges } = counts
    const lost: Record<string, number> = {
      ...options.losses?.(fromMinute * minuteMs, toMinute * minuteMs, nowMs),
    }
    for (const [place, number] of Object.entries(lossPlaces))
      if (losses[number] !== 0) lost[place] = (lost[place] ?? 0) + losses[number]
    return {
      collectors: collectorsOf(fromMinute, toMinute, nowMs),
      lostRecords: Object.values(lost).reduce((a, b) => a + b, 0),
      lost,
      ...edges,
      missingMinutes: missingMinutes(fromMinute, toMinute, nowMs),
      ...(options.partitions && { partitions: options.partitions() }),
    }
  }

  /** The most that were expected and the fewest that reported in any minute; right now for what is still open. */
  function collectorsOf(fromMinute: number, toMinute: number, nowMs: number): Completeness['collectors'] {
    let expected = 0
    let reporting = Number.POSITIVE_INFINITY
    const add = (seen: { expected: number; reporting: number }) => {
      // nobody was known to a partition that no batch has come to yet
      if (seen.expected === 0) return
      expected = Math.max(expected, seen.expected)
      reporting = Math.min(reporting, seen.reporting)
    }
    for (const segment of archive.find(fromMinute, toMinute).segments) if (!segment.isCorrection) add(segment)
    for (const seen of books.live(toMinute, nowMs)) add(seen)
    return { expected, reporting: Number.isFinite(reporting) ? reporting : 0 }
  }

  function frameOf(evaluated: RangeEvaluation, query: TopologyQuery, nowMs: number): AnswerFrame {
    const { fromMinute, toMinute } = evaluated
    const isWidened = fromMinute * minuteMs < query.fromMs || toMinute * minuteMs > query.toMs
    const widened = 'Of this time only ten-minute sums are kept: the window was widened to them.'
    return {
      fromMs: fromMinute * minuteMs,
      toMs: toMinute * minuteMs,
      isClosed: toMinute <= books.closedMinute() + 1,
      completeness: describe(countsOf(evaluated), nowMs),
      notes: isWidened ? [...notes, widened] : notes,
    }
  }

  function topologyJson(query: TopologyQuery, nowMs: number, reuse?: Uint8Array<ArrayBuffer>) {
    const evaluated = evaluateQuery(query)
    const frame = frameOf(evaluated, query, nowMs)
    return answerText(evaluated.found, frame, formOf(query), answerScratch, reuse?.buffer)
  }

  function changedSince(query: TopologyQuery, nowMs: number, before: AnswerMark | undefined): TopologyChange {
    const evaluated = evaluateQuery(query)
    const { found } = evaluated
    const frame = frameOf(evaluated, query, nowMs)
    const { mark, patchSince } = markAnswer(found, formOf(query), answerScratch)
    // marks are made here and nowhere else
    const old = before as OwnMark | undefined
    const isWhole = old === undefined || !isComparable(old, mark)
    return {
      mark,
      isWhole,
      patch: isWhole ? undefined : patchSince(old),
      head: {
        window: windowOf(frame),
        completeness: frame.completeness,
        groupBy: found.fold.groupBy,
        notes: [...found.notes, ...frame.notes],
      },
    }
  }

  return {
    book: partition => books.get(partition) ?? books.open(partition, {}),
    openBook: books.open,
    closeBook: books.close,
    forgetPartition: books.forget,
    advance(nowMs) {
      for (const book of books.all()) book.advance(nowMs)
      tidy(nowMs)
    },
    pack,
    tidy,
    flush(nowMs) {
      for (const book of books.all()) book.flush(nowMs)
      work.finish()
    },
    load: loader.load,
    follow(bytes, partition) {
      const loaded = loader.load(bytes, partition)
      if (loaded.ok) keeper.reopen(loaded.segment.fromMinute)
      return loaded
    },
    topology(query, nowMs) {
      lastText = topologyJson({ ...query, detail: true }, nowMs, lastText)
      return JSON.parse(ascii.decode(lastText)) as TopologyAnswer
    },
    topologyJson,
    operations(query, nowMs) {
      const evaluated = evaluateQuery(query)
      return operationsAnswer(evaluated.found, query, frameOf(evaluated, query, nowMs), answerScratch)
    },
    changedSince,
    flows: (query, nowMs) => options.flows?.(query, nowMs) ?? { flows: noFlows },
    generation,
    closedMinute: books.closedMinute,
    completeness(fromMs, toMs, nowMs) {
      const key = `${fromMs} ${toMs} ${generation(fromMs, toMs)}`
      let counts = knownCounts.get(key)
      if (!counts) {
        const query = { fromMs, toMs, groupBy: 'process' as const, limit: Number.MAX_SAFE_INTEGER }
        counts = countsOf(evaluateQuery(query))
        knownCounts.set(key, counts)
      }
      return describe(counts, nowMs)
    },
    ingestStatus: nowMs => options.ingestStatus?.(nowMs) ?? missingIngest(),
    stats: () => ({
      edges: edges.inUse,
      entities: index.stats().entities,
      openMinutes: Math.max(0, ...books.all().map(book => book.openMinutes())),
      openRows: pool.inUse,
      closedSegments: archive.count,
      segmentBytes: archive.bytes,
      droppedMinutes: archive.dropped,
      refusedSegments: loader.refused(),
    }),
    markDeltas: deltas.mark,
    takeDeltas: deltas.take,
  }
}

function countOf(items: Int32Array, holds: (item: number) => boolean): number {
  let count = 0
  for (let i = 0; i < items.length; i++) if (holds(items[i])) count++
  return count
}

const ascii = new TextDecoder('latin1')

function formOf(query: TopologyQuery): AnswerForm {
  return query.detail ? 'detail' : 'summary'
}

function minuteOf(ms: number): number {
  return Math.floor(ms / minuteMs)
}

function missingIngest(): never {
  throw new Error('this topology was created without an ingest')
}
