import { batchLimits } from '@skybraid/shared'
import type { EntityIndex } from '../resolve/entity-index.ts'
import { counterCount } from './counters.ts'
import type { EdgeBook, EdgeId } from './edge-book.ts'
import type { EdgeTable } from './edge-table.ts'
import { bucketOf } from './latency-bucket.ts'
import { bucketsPerHistogram } from './latency-entries.ts'
import { createOpenMinute, growRowOf, type OpenMinute } from './open-minute.ts'
import { createRowPool, type RowPool } from './row-pool.ts'
import { noteSample } from './sample-log.ts'
import {
  createSegmentPacker,
  emptySegment,
  noGauges,
  type OpenGauges,
  type Segment,
  type SegmentRows,
} from './segment.ts'
import type { SegmentArchive } from './segment-archive.ts'
import { encodeInSteps } from './segment-bytes.ts'
import { mergeSegments } from './segment-merge.ts'
import type { Watermark } from './watermark.ts'
import { createWorkQueue } from './work-queue.ts'

export interface MinuteBookOptions {
  readonly index: EntityIndex
  /** Unix milliseconds of the start: earlier minutes are missing unless segments are loaded. */
  readonly startMs: number
  /** Rows of open minutes and open corrections together, at most 500,000. */
  readonly maxOpenRows?: number
  /** A closed minute can be corrected this long after its end. */
  readonly correctableMinutes?: number
  /** So many rows of closed minutes are packed at each `advance`, or more where many wait. */
  readonly rowsPerAdvance?: number
  /** Gets the bytes of every segment soon after it closed; merged ones span ten minutes. */
  readonly onSegment?: (bytes: Uint8Array, segment: Segment) => void
}

export interface MinuteBookDeps extends MinuteBookOptions {
  readonly edges: EdgeTable
  readonly archive: SegmentArchive
  readonly watermark: Watermark
  /** Numbers are freed and given again only when more edges than this are in use. */
  readonly sweepAbove: number
  /** Edge or entity numbers were freed. */
  readonly onSweep: () => void
}

/** Rows of the minutes that can be written, and the closing of minutes. */
export interface MinuteBook extends Omit<EdgeBook, 'edge'> {
  advance(nowMs: number): void
  flush(nowMs: number): void
  lose(place: number, minute: number, records: number): void
  closedMinute(): number
  /** The minute has begun and is not closed. */
  isOpen(minute: number): boolean
  openWithin(fromMinute: number, toMinute: number): OpenMinute[]
  /** Grows with everything booked in a range. */
  touches(fromMinute: number, toMinute: number): string
  openMinutes(): number
  openRows(): number
  noteLoaded(segment: Segment): void
}

const minuteMs = 60_000
/** Corrections are gathered this long before they become a segment. */
const correctionMinutes = 1
/** Clocks of nodes may be this far ahead. */
const aheadMinutes = 2
const sweepMinutes = 10
/** Packing goes by steps of so many rows; an `advance` with this many takes some milliseconds. */
const rowsPerStep = 500
const rowsPerAdvance = 1500
/** What goes over all rows at once, like sorting them, counts as much as packing this share of them. */
const sectionShare = 8
/** Longer without `advance` means that the process did not run: those minutes are missing, not empty. */
const pauseMinutes = 5

export function createMinuteBook(deps: MinuteBookDeps): MinuteBook {
  const { edges, archive, watermark, index } = deps
  const correctable = deps.correctableMinutes ?? 15
  const pool = createRowPool(Math.min(deps.maxOpenRows ?? 400_000, 500_000))
  const open = new Map<number, OpenMinute>()
  const ownerOfRow: OpenMinute[] = []
  const edgeOfRow: EdgeId[] = []
  const correctionSince = new Map<number, number>()
  /** Closed, not yet packed. */
  const frozen = new Set<OpenMinute>()
  const merging = new Set<number>()
  const work = createWorkQueue()
  let nowMinute = minuteOf(deps.startMs)
  let closed = nowMinute - 1
  let sweptMinute = nowMinute
  let last: OpenMinute | undefined
  let gaugeTouches = 0
  const sampleRows = new Int32Array(batchLimits.records)
  const sampleKeys = new Int32Array(batchLimits.records)

  function openMinute(minute: number): OpenMinute | undefined {
    const known = open.get(minute)
    if (known) {
      last = known
      return known
    }
    if (minute > nowMinute + aheadMinutes || minute < nowMinute - correctable - 1) return undefined
    if (minute <= closed && !archive.has(minute)) return undefined
    last = createOpenMinute(minute, Math.max(1024, edges.limit))
    open.set(minute, last)
    if (minute <= closed) correctionSince.set(minute, nowMinute)
    return last
  }

  function addRow(into: OpenMinute, edge: EdgeId): number {
    const row = pool.take()
    if (row < 0) return -1
    if (edge >= into.rowOf.length) growRowOf(into, edge)
    into.rowOf[edge] = row + 1
    into.edges.push(edge)
    into.rows.push(row)
    ownerOfRow[row] = into
    edgeOfRow[row] = edge
    return row * counterCount
  }

  function row(edge: EdgeId, minute: number): number {
    const into = last !== undefined && last.minute === minute ? last : openMinute(minute)
    if (into === undefined || edge < 0) return -1
    into.touches++
    const known = edge < into.rowOf.length ? into.rowOf[edge] : 0
    return known !== 0 ? (known - 1) * counterCount : addRow(into, edge)
  }

  function rows(of: Int32Array, count: number, minute: number, offsets: Int32Array): void {
    const into = last !== undefined && last.minute === minute ? last : openMinute(minute)
    if (into === undefined) {
      offsets.fill(-1, 0, count)
      return
    }
    into.touches += count
    let { rowOf } = into
    for (let i = 0; i < count; i++) {
      const edge = of[i]
      const known = edge >= 0 && edge < rowOf.length ? rowOf[edge] : 0
      if (known !== 0) {
        offsets[i] = (known - 1) * counterCount
      } else {
        offsets[i] = edge < 0 ? -1 : addRow(into, edge)
        rowOf = into.rowOf
      }
    }
  }

  /**
   * Ends the writing to a minute. From here on its part is closed: an empty segment stands for it until the rows,
   * which still answer questions, are packed.
   */
  function freeze(minute: number, isPartial: boolean, nowMs: number): void {
    const isCorrection = minute <= closed
    const from = open.get(minute) ?? createOpenMinute(minute, 0)
    const head = {
      fromMinute: minute,
      minutes: 1,
      number: archive.nextNumber(minute),
      isPartial,
      isCorrection,
      present: 1,
      ...watermark.finished(minute, nowMs),
    }
    const part = emptySegment(head, isCorrection ? noGauges : gaugesNow(edges), from.losses)
    archive.add(part)
    frozen.add(from)
    open.delete(minute)
    correctionSince.delete(minute)
    if (last === from) last = undefined
    work.add(packMinute(from, part, nowMs), from.edges.length)
  }

  function* packMinute(from: OpenMinute, part: Segment, nowMs: number): Generator<number, void> {
    const rows = sortedRows(from, pool)
    const wholeColumns = from.edges.length / sectionShare
    yield wholeColumns
    const packer = createSegmentPacker(part, rows, part.open, part.losses)
    while (packer.step(rowsPerStep)) yield rowsPerStep
    yield wholeColumns
    const segment: Segment = { ...packer.finish(), content: from.content }
    const isEmpty = segment.edges.length === 0 && segment.losses.every(n => n === 0)
    const isKept = !(part.isCorrection && isEmpty)
    archive.replace(part, isKept ? segment : undefined)
    frozen.delete(from)
    for (const r of from.rows) pool.give(r)
    yield wholeColumns
    if (isKept) yield* publish(segment, nowMs)
  }

  function* mergeBlock(block: number, nowMs: number): Generator<number, void> {
    const { head, parts } = archive.partsOfBlock(block)
    const merged = yield* mergeSegments(head, parts, edges.limit, rowsPerStep)
    merging.delete(block)
    archive.add(merged)
    yield* publish(merged, nowMs)
  }

  function* publish(segment: Segment, nowMs: number): Generator<number, void> {
    if (!deps.onSegment) return
    const atMs = Math.min(nowMs, (segment.fromMinute + segment.minutes) * minuteMs)
    const bytes = yield* encodeInSteps(segment, namesAt(atMs))
    deps.onSegment(bytes, segment)
  }

  function namesAt(atMs: number) {
    return {
      edge: (e: EdgeId) => ({
        client: edges.client[e],
        server: edges.server[e],
        via: edges.via[e],
        viaPort: edges.viaPort[e],
        protocol: edges.protocol[e],
        port: edges.port[e],
      }),
      entity: (id: number) => index.entity(id)!,
      knowledge: (id: number) => index.knowledge(id, atMs),
    }
  }

  function closeDue(nowMs: number): void {
    while (closed < nowMinute && watermark.isComplete(closed + 1, nowMs)) {
      const minute = closed + 1
      // the running minute itself can't be over before its end, whatever a fast clock says
      if (nowMs < (minute + 1) * minuteMs) return
      freeze(minute, false, nowMs)
      closed = minute
    }
  }

  function skipPause(): void {
    if (nowMinute - closed <= pauseMinutes + 1) return
    const firstOpen = Math.min(nowMinute - 1, ...open.keys())
    closed = Math.max(closed, firstOpen - 1)
  }

  function closeCorrections(nowMs: number): void {
    for (const [minute, since] of correctionSince) {
      if (nowMinute - since >= correctionMinutes) freeze(minute, false, nowMs)
    }
  }

  function mergeSettled(nowMs: number): void {
    for (const block of archive.mergeable(Math.min(closed + 1, nowMinute - correctable - 1))) {
      if (merging.has(block)) continue
      merging.add(block)
      work.add(mergeBlock(block, nowMs), edges.inUse)
    }
  }

  function sweep(): void {
    // what is being packed holds edges that no segment shows yet
    if (nowMinute - sweptMinute < sweepMinutes || work.length > 0) return
    sweptMinute = nowMinute
    if (edges.inUse <= deps.sweepAbove && index.stats().entities <= deps.sweepAbove) return
    const isUsed = new Uint8Array(edges.limit)
    archive.forEachEdge(e => {
      isUsed[e] = 1
    })
    for (const minute of open.values()) for (const e of minute.edges) isUsed[e] = 1
    edges.sweep(e => isUsed[e] === 1)
    const usedEntities = new Set<number>()
    for (let e = 0; e < edges.limit; e++)
      if (edges.protocol[e] !== 0)
        for (const id of [edges.client[e], edges.server[e], edges.via[e]]) usedEntities.add(id)
    index.sweep(id => usedEntities.has(id))
    deps.onSweep()
  }

  return {
    row,
    rows,
    get counters() {
      return pool.counters
    },
    sample(offset, histogram, value, count) {
      const r = (offset / counterCount) | 0
      const key = histogram * bucketsPerHistogram + bucketOf(value)
      const { latencies, log } = ownerOfRow[r]
      latencies.add(r, key, count)
      if (log.isOn) noteSample(log, edgeOfRow[r], key, count)
    },
    samples(offsets, histograms, values, count) {
      if (count === 0) return
      for (let i = 0; i < count; i++) {
        sampleRows[i] = offsets[i] / counterCount
        sampleKeys[i] = histograms[i] * bucketsPerHistogram + bucketOf(values[i])
      }
      const { latencies, log } = ownerOfRow[sampleRows[0]]
      latencies.addEach(sampleRows, sampleKeys, count)
      if (!log.isOn) return
      for (let i = 0; i < count; i++) noteSample(log, edgeOfRow[sampleRows[i]], sampleKeys[i], 1)
    },
    open(edge, side, change) {
      if (edge < 0) return
      gaugeTouches++
      const gauge =
        side === 'joined' ? edges.openJoined : side === 'client' ? edges.openClient : edges.openServer
      gauge[edge] += change
    },
    lose(place, minute, records) {
      const into = openMinute(minute) ?? openMinute(nowMinute)
      if (!into) return
      into.touches++
      into.losses[place] += records
    },
    advance(nowMs) {
      const before = nowMinute
      nowMinute = Math.max(nowMinute, minuteOf(nowMs))
      if (nowMinute - before > pauseMinutes) skipPause()
      closeDue(nowMs)
      if (nowMinute !== before) {
        closeCorrections(nowMs)
        mergeSettled(nowMs)
        archive.forget(nowMinute)
      }
      work.advance(deps.rowsPerAdvance ?? rowsPerAdvance)
      sweep()
    },
    flush(nowMs) {
      for (const minute of [...open.keys()].sort((a, b) => a - b)) freeze(minute, minute > closed, nowMs)
      work.finish()
    },
    closedMinute: () => closed,
    isOpen: minute => minute > closed && minute <= nowMinute,
    openWithin: (fromMinute, toMinute) =>
      [...open.values(), ...frozen].filter(m => m.minute >= fromMinute && m.minute < toMinute),
    touches(fromMinute, toMinute) {
      let sum = 0
      for (const m of open.values()) if (m.minute >= fromMinute && m.minute < toMinute) sum += m.touches
      return `${sum}${toMinute > closed + 1 ? `.${gaugeTouches}.${nowMinute}` : ''}`
    },
    openMinutes: () => open.size - correctionSince.size,
    openRows: () => pool.inUse,
    noteLoaded(segment) {
      if (segment.isPartial || segment.isCorrection) return
      closed = Math.max(closed, segment.fromMinute + segment.minutes - 1)
    },
  }
}

function minuteOf(ms: number): number {
  return Math.floor(ms / minuteMs)
}

/** The rows of an open minute in order of their edges. */
function sortedRows(from: OpenMinute, pool: RowPool): SegmentRows {
  const edges = Uint32Array.from(from.edges).sort()
  const rows = Uint32Array.from(edges, edge => from.rowOf[edge] - 1)
  return {
    edges,
    get counters() {
      return pool.counters
    },
    at: i => rows[i] * counterCount,
    addLatencies: (i, sums) => from.latencies.addTo(rows[i], sums),
  }
}

function gaugesNow(edges: EdgeTable): OpenGauges {
  const ids: EdgeId[] = []
  for (let e = 0; e < edges.limit; e++)
    if (edges.openClient[e] > 0 || edges.openServer[e] > 0 || edges.openJoined[e] > 0) ids.push(e)
  const column = (of: Int32Array) => Uint32Array.from(ids, e => Math.max(0, of[e]))
  return {
    edges: Uint32Array.from(ids),
    client: column(edges.openClient),
    server: column(edges.openServer),
    joined: column(edges.openJoined),
  }
}
