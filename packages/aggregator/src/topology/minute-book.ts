import { batchLimits, bucketSlot } from '@skybraid/shared'
import type { BookRound, OpenLosses } from './book-round.ts'
import type { EdgeBook, EdgeId } from './edge-book.ts'
import { edgeNames } from './edge-names.ts'
import { createGaugeBook } from './gauge-book.ts'
import { bucketsPerHistogram } from './latency-entries.ts'
import type { MinuteBookDeps } from './minute-book-deps.ts'
import { isWithin, nearestWithin } from './minute-range.ts'
import { createOpenMinute, growRowOf, type OpenMinute } from './open-minute.ts'
import { createRowLatencies } from './row-latencies.ts'
import { giveBack, rowStride, voidRow } from './row-pool.ts'
import { minuteLimits, mostOperations, SaidRows } from './said-rows.ts'
import { packSaid } from './said-segment.ts'
import { noteSample } from './sample-log.ts'
import { createSegmentPacker, emptySegment, noGauges, type OpenGauges, type Segment } from './segment.ts'
import { encodeInSteps } from './segment-bytes.ts'
import { sortedRows } from './sorted-rows.ts'
import type { Watermark } from './watermark.ts'

/** Rows of one partition's minutes that can be written, and the closing of minutes. */
export interface MinuteBook extends EdgeBook {
  readonly partition: number
  heard: Watermark['heard']
  minuteComplete: Watermark['minuteComplete']
  live: Watermark['live']
  advance(nowMs: number): void
  /** Ends everything that is open, as parts that a later process continues. */
  flush(nowMs: number): void
  lose(place: number, minute: number, records: number): void
  closedMinute(): number
  /** The minute has begun and is not closed. */
  isOpen(minute: number): boolean
  /** Whether it is the minute that runs, or comes later. */
  isRunning(minute: number): boolean
  /** What is open at the end of a minute that is not closed. */
  gaugesAtEndOf(minute: number): OpenGauges
  openWithin(fromMinute: number, toMinute: number): OpenMinute[]
  /** Grows with everything booked in a range. */
  touches(fromMinute: number, toMinute: number): string
  openMinutes(): number
  /** The minutes, and corrections to minutes, that can be written. */
  writable(): Iterable<OpenMinute>
  markEdges(isUsed: Uint8Array): void
  noteLoaded(segment: Segment): void
  /**
   * From here on, what is booked to minutes up to this one is void, because segments hold it already, and so is every
   * loss; no minute closes. With undefined, everything counts again.
   */
  seal(throughMinute: number | undefined): void
  /** Losses of the minutes after the closed ones, and how to put them back. */
  openLosses(): OpenLosses[]
  restoreLosses(list: readonly OpenLosses[]): void
  /** The round is safe. */
  commit(round: BookRound): void
  /** Takes everything out that is open or in a round that is not safe. Nothing may be booked afterwards. */
  drop(): void
}

interface CutRound extends BookRound {
  readonly bytes: Uint8Array[]
  /** In the archive, packed or not yet. */
  readonly parts: Set<Segment>
  unpacked: number
}

const minuteMs = 60_000
/** Clocks of nodes may be as far ahead as a batch may, and the book's be behind by a moment. */
const aheadMinutes = 11
/** Packing goes by steps of so many rows; an `advance` with this many takes some milliseconds. */
const rowsPerStep = 500
/** What goes over all rows at once, like sorting them, counts as much as packing this share of them. */
const sectionShare = 8
/** How long after its end a closed minute can be corrected. */
export const correctableMinutes = 15
/** Longer without `advance` means that the process did not run: those minutes are missing, not empty. */
const pauseMinutes = 5

export function createMinuteBook(deps: MinuteBookDeps): MinuteBook {
  const { partition, edges, archive, watermark, index, pool, work } = deps
  const { minuteOf: minuteOfRow, edgeOf: edgeOfRow } = pool
  const isOurs = (minute: number) => isWithin(deps.range?.(), minute)
  const ours = (minute: number) => nearestWithin(deps.range?.(), minute)
  const correctable = deps.correctableMinutes ?? correctableMinutes
  const gauges = createGaugeBook(edges)
  const open = new Map<number, OpenMinute>()
  /** Closed, not yet packed. */
  const frozen = new Set<OpenMinute>()
  /** Cut, not yet committed. */
  const rounds = new Set<CutRound>()
  let nowMinute = minuteOf(deps.startMs)
  let closed = deps.closedThrough ?? nowMinute - 1
  let committed = closed
  let sealedThrough: number | undefined
  let isDropped = false
  let last: OpenMinute | undefined
  gauges.mute(!isOurs(nowMinute))
  const sampleRows = new Int32Array(batchLimits.records)
  const sampleKeys = new Int32Array(batchLimits.records)

  function openMinute(minute: number): OpenMinute | undefined {
    const known = open.get(minute)
    if (known) {
      last = known
      return known
    }
    if (minute > nowMinute + aheadMinutes || minute < nowMinute - correctable - 1) return undefined
    if (!isOurs(minute)) return voidMinute
    if (sealedThrough !== undefined && minute <= sealedThrough) return voidMinute
    if (minute <= closed && !archive.hasPart(partition, minute)) return undefined
    last = createOpenMinute(minute, Math.max(1024, edges.limit), pool.latencies)
    open.set(minute, last)
    return last
  }

  function addRow(into: OpenMinute, edge: EdgeId): number {
    const row = pool.take()
    if (row < 0) return -1
    if (edge >= into.rowOf.length) growRowOf(into, edge)
    into.rowOf[edge] = row + 1
    into.edges.push(edge)
    into.rows.push(row)
    minuteOfRow[row] = into
    edgeOfRow[row] = edge
    return row * rowStride
  }

  function row(edge: EdgeId, minute: number): number {
    const into = last !== undefined && last.minute === minute ? last : openMinute(minute)
    if (into === undefined || edge < 0) return -1
    if (into === voidMinute) return voidRow
    into.touches++
    const known = edge < into.rowOf.length ? into.rowOf[edge] : 0
    return known !== 0 ? (known - 1) * rowStride : addRow(into, edge)
  }

  function rows(of: Int32Array, count: number, minute: number, offsets: Int32Array): void {
    const into = last !== undefined && last.minute === minute ? last : openMinute(minute)
    if (into === undefined) {
      offsets.fill(-1, 0, count)
      return
    }
    if (into === voidMinute) {
      offsets.fill(voidRow, 0, count)
      return
    }
    into.touches += count
    let { rowOf } = into
    for (let i = 0; i < count; i++) {
      const edge = of[i]
      const known = edge >= 0 && edge < rowOf.length ? rowOf[edge] : 0
      if (known !== 0) {
        offsets[i] = (known - 1) * rowStride
      } else {
        offsets[i] = edge < 0 ? -1 : addRow(into, edge)
        rowOf = into.rowOf
      }
    }
  }

  /** Ends everything up to `through`: the minutes that are not closed yet, and all corrections of closed ones. */
  function cutRound(through: number, nowMs: number): void {
    const due = [...open.keys()].filter(minute => minute <= closed).sort((a, b) => a - b)
    for (let minute = closed + 1; minute <= through; minute++) due.push(minute)
    const cut: [OpenMinute, Segment][] = due.map(minute => freeze(minute, minute > closed, false, nowMs))
    closeThrough(through)
    const round: CutRound = {
      closedThrough: closed,
      state: deps.stateAtCut?.(closed),
      bytes: [],
      parts: new Set(cut.map(([, part]) => part)),
      unpacked: cut.length,
    }
    if (deps.onRound) rounds.add(round)
    for (const [from, part] of cut) work.add(packMinute(from, part, round, nowMs), from.edges.length)
  }

  /**
   * Ends the writing to a minute. From here on its part is closed: an empty segment stands for it until the rows,
   * which still answer questions, are packed.
   */
  function freeze(minute: number, isBase: boolean, isPartial: boolean, nowMs: number): [OpenMinute, Segment] {
    const from = open.get(minute) ?? createOpenMinute(minute, 0, pool.latencies)
    deps.onFreeze?.(from, pool.counters, partition)
    const head = {
      fromMinute: minute,
      minutes: 1,
      partition,
      number: archive.nextNumber(partition, minute),
      isPartial,
      isCorrection: !isBase,
      present: 1,
      ...(isOurs(minute) ? watermark.finished(minute, nowMs) : nobody),
    }
    const hasGauges = isBase && isOurs(minute)
    const part = emptySegment(head, hasGauges ? gauges.atEndOf(minute) : noGauges, from.losses)
    archive.add(part)
    frozen.add(from)
    open.delete(minute)
    if (last === from) last = undefined
    return [from, part]
  }

  function* packMinute(
    from: OpenMinute,
    part: Segment,
    round: CutRound | undefined,
    nowMs: number,
  ): Generator<number, void> {
    if (isDropped) return
    const rows = sortedRows(from, pool)
    const wholeColumns = from.edges.length / sectionShare
    yield wholeColumns
    const packer = createSegmentPacker(part, rows, part.open, part.losses)
    while (!isDropped && packer.step(rowsPerStep)) yield rowsPerStep
    if (isDropped) return
    const said = yield* packSaid(from.said)
    const segment: Segment = { ...(yield* packer.finish()), ...(said && { said }), content: from.content }
    if (isDropped) return
    const isEmpty = segment.edges.length === 0 && !said && segment.losses.every(n => n === 0)
    const kept = part.isCorrection && isEmpty ? undefined : segment
    archive.replace(part, kept)
    round?.parts.delete(part)
    if (kept) round?.parts.add(kept)
    frozen.delete(from)
    from.packed = segment
    yield* giveBack(pool, from.rows, rowsPerStep)
    if (kept) yield* publish(kept, round, nowMs)
    if (round && --round.unpacked === 0 && !isDropped) deps.onRound?.(round)
  }

  function* publish(segment: Segment, round: CutRound | undefined, nowMs: number): Generator<number, void> {
    if (!deps.onSegment && !deps.onRound) return
    const atMs = Math.min(nowMs, (segment.fromMinute + segment.minutes) * minuteMs)
    const bytes = yield* encodeInSteps(segment, edgeNames(edges, index, atMs))
    deps.onSegment?.(bytes, segment)
    round?.bytes.push(bytes)
  }

  function closeDue(nowMs: number): void {
    let through = closed
    // the running minute itself can't be over before its end, whatever a fast clock says
    while (
      through < nowMinute &&
      nowMs >= (through + 2) * minuteMs &&
      (!isOurs(through + 1) || watermark.isComplete(through + 1, nowMs))
    )
      through++
    if (through > closed) cutRound(through, nowMs)
  }

  function skipPause(): void {
    if (nowMinute - closed <= pauseMinutes + 1) return
    const firstOpen = Math.min(nowMinute - 1, ...open.keys())
    closeThrough(firstOpen - 1)
  }

  function closeThrough(minute: number): void {
    closed = Math.max(closed, minute)
    gauges.forget(closed)
  }

  return {
    partition,
    edge: edges.intern,
    heard: watermark.heard,
    minuteComplete: watermark.minuteComplete,
    live: nowMs => (isOurs(nowMinute) ? watermark.live(nowMs) : nobody),
    row,
    rows,
    get counters() {
      return pool.counters
    },
    get sampleLines() {
      return pool.latencies.lines
    },
    sample(offset, histogram, value, count) {
      if (offset === voidRow) return
      const r = (offset / rowStride) | 0
      const key = histogram * bucketsPerHistogram + bucketSlot(value)
      const { log } = minuteOfRow[r]
      pool.latencies.add(r, key, count)
      if (log.isOn) noteSample(log, edgeOfRow[r], key, count)
    },
    samples(offsets, histograms, values, count) {
      if (count === 0 || offsets[0] === voidRow) return
      for (let i = 0; i < count; i++) {
        sampleRows[i] = (offsets[i] / rowStride) | 0
        sampleKeys[i] = histograms[i] * bucketsPerHistogram + bucketSlot(values[i])
      }
      const { log } = minuteOfRow[sampleRows[0]]
      pool.latencies.addEach(sampleRows, sampleKeys, count)
      if (!log.isOn) return
      for (let i = 0; i < count; i++) noteSample(log, edgeOfRow[sampleRows[i]], sampleKeys[i], 1)
    },
    said(minute) {
      const into = last !== undefined && last.minute === minute ? last : openMinute(minute)
      if (into === undefined || into === voidMinute) return undefined
      into.said ??= new SaidRows(mostOperations, minuteLimits)
      return into.said
    },
    open(edge, side, change, minute) {
      if (edge >= 0) gauges.add(edge, side, change, minute > closed ? minute : undefined)
    },
    lose(place, minute, records) {
      if (sealedThrough !== undefined) return
      const into = openMinute(ours(minute)) ?? openMinute(ours(nowMinute))
      if (!into || into === voidMinute) return
      into.touches++
      into.losses[place] += records
    },
    advance(nowMs) {
      const before = nowMinute
      nowMinute = Math.max(nowMinute, minuteOf(nowMs))
      gauges.mute(!isOurs(nowMinute))
      if (sealedThrough !== undefined) return
      if (nowMinute - before > pauseMinutes) skipPause()
      closeDue(nowMs)
    },
    flush(nowMs) {
      for (const minute of [...open.keys()].sort((a, b) => a - b)) {
        const [from, part] = freeze(minute, minute > closed, minute > closed, nowMs)
        work.add(packMinute(from, part, undefined, nowMs), from.edges.length)
      }
    },
    closedMinute: () => closed,
    isOpen: minute => minute > closed && minute <= nowMinute,
    isRunning: minute => minute >= nowMinute,
    gaugesAtEndOf: minute => (isOurs(minute) ? gauges.atEndOf(minute) : noGauges),
    openWithin: (fromMinute, toMinute) =>
      [...open.values(), ...frozen].filter(m => m.minute >= fromMinute && m.minute < toMinute),
    touches(fromMinute, toMinute) {
      let sum = 0
      for (const m of open.values()) if (m.minute >= fromMinute && m.minute < toMinute) sum += m.touches
      return `${sum}${toMinute > closed + 1 ? `.${gauges.touches}.${nowMinute}` : ''}`
    },
    openMinutes: () => [...open.keys()].filter(minute => minute > closed).length,
    writable: () => open.values(),
    markEdges(isUsed) {
      for (const minute of open.values()) for (const e of minute.edges) isUsed[e] = 1
    },
    noteLoaded(segment) {
      if (segment.isPartial || segment.isCorrection) return
      closeThrough(segment.fromMinute + segment.minutes - 1)
    },
    seal(throughMinute) {
      sealedThrough = throughMinute
    },
    openLosses: () =>
      [...open.values()]
        .filter(({ minute, losses }) => minute > closed && losses.some(n => n !== 0))
        .map(({ minute, losses }) => ({ minute, losses: [...losses] })),
    restoreLosses(list) {
      for (const { minute, losses } of list) {
        const into = openMinute(minute)
        if (!into || into === voidMinute) continue
        into.touches++
        for (let place = 0; place < into.losses.length; place++) into.losses[place] += losses[place] ?? 0
      }
    },
    commit(round) {
      rounds.delete(round as CutRound)
      committed = Math.max(committed, round.closedThrough)
    },
    drop() {
      isDropped = true
      if (deps.onRound) closed = committed
      gauges.clear()
      for (const round of rounds) for (const part of round.parts) archive.remove(part)
      for (const { rows: taken } of [...open.values(), ...frozen]) for (const r of taken) pool.give(r)
      rounds.clear()
      open.clear()
      frozen.clear()
      last = undefined
    },
  }
}

/** Stands for every minute whose bookings are void. */
const voidMinute = createOpenMinute(Number.NaN, 0, createRowLatencies())

/** Of minutes that a book is not for, nobody is expected to say anything. */
const nobody = { expected: 0, reporting: 0 } as const

function minuteOf(ms: number): number {
  return Math.floor(ms / minuteMs)
}
