import type { EntityIndex } from '../resolve/entity-index.ts'
import { edgeNames } from './edge-names.ts'
import type { EdgeTable } from './edge-table.ts'
import type { Segment } from './segment.ts'
import type { SegmentArchive } from './segment-archive.ts'
import { encodeInSteps } from './segment-bytes.ts'
import { mergeSegments } from './segment-merge.ts'
import type { WorkQueue } from './work-queue.ts'

export interface SegmentKeeperDeps {
  readonly index: EntityIndex
  readonly edges: EdgeTable
  readonly archive: SegmentArchive
  readonly work: WorkQueue
  readonly startMs: number
  /** Minutes before this one don't change any more. */
  readonly settledMinute: (nowMinute: number) => number
  /** Numbers are freed and given again only when more edges than this are in use. */
  readonly sweepAbove: number
  /** Marks edges that no segment shows yet. */
  readonly markOpenEdges: (isUsed: Uint8Array) => void
  /** Edge or entity numbers were freed. */
  readonly onSweep: () => void
  readonly onSegment?: (bytes: Uint8Array, segment: Segment) => void
}

/** Tidies what all partitions share: merges ten minutes into one, forgets what is old, frees numbers. */
export interface SegmentKeeper {
  advance(nowMs: number): void
  /** Takes the merged form of a minute's block back, because a part of the minute came after all. */
  reopen(minute: number): void
}

const minuteMs = 60_000
const sweepMinutes = 10
const rowsPerStep = 500

export function createSegmentKeeper(deps: SegmentKeeperDeps): SegmentKeeper {
  const { index, edges, archive, work } = deps
  const merging = new Map<number, { isStale: boolean }>()
  let nowMinute = Math.floor(deps.startMs / minuteMs)
  let sweptMinute = nowMinute

  function* mergeBlock(block: number, state: { isStale: boolean }, nowMs: number): Generator<number, void> {
    const { head, parts } = archive.partsOfBlock(block)
    const merged = yield* mergeSegments(head, parts, edges.limit, rowsPerStep)
    merging.delete(block)
    if (state.isStale) return
    archive.add(merged)
    if (!deps.onSegment) return
    const atMs = Math.min(nowMs, (merged.fromMinute + merged.minutes) * minuteMs)
    const bytes = yield* encodeInSteps(merged, edgeNames(edges, index, atMs))
    deps.onSegment(bytes, merged)
  }

  function mergeSettled(nowMs: number): void {
    for (const block of archive.mergeable(deps.settledMinute(nowMinute))) {
      if (merging.has(block)) continue
      const state = { isStale: false }
      merging.set(block, state)
      work.add(mergeBlock(block, state, nowMs), edges.inUse)
    }
  }

  function sweep(): void {
    // what is being packed holds edges that no segment shows yet
    if (nowMinute - sweptMinute < sweepMinutes || work.length > 0) return
    sweptMinute = nowMinute
    const { entities, isCrowded } = index.stats()
    if (edges.inUse <= deps.sweepAbove && entities <= deps.sweepAbove && !isCrowded) return
    const isUsed = new Uint8Array(edges.limit)
    archive.forEachEdge(e => {
      isUsed[e] = 1
    })
    deps.markOpenEdges(isUsed)
    edges.sweep(e => isUsed[e] === 1)
    const usedEntities = new Set<number>()
    for (let e = 0; e < edges.limit; e++)
      if (edges.protocol[e] !== 0)
        for (const id of [edges.client[e], edges.server[e], edges.via[e]]) usedEntities.add(id)
    index.sweep(id => usedEntities.has(id))
    deps.onSweep()
  }

  return {
    advance(nowMs) {
      const minute = Math.floor(nowMs / minuteMs)
      if (minute > nowMinute) {
        nowMinute = minute
        mergeSettled(nowMs)
        archive.forget(nowMinute)
      }
      sweep()
    },
    reopen(minute) {
      const block = archive.reopen(minute)
      const running = merging.get(block)
      if (running) running.isStale = true
    },
  }
}
