import { type BodyPart, mergeBodies, mergeWorkspace } from '@skybraid/shared'

/**
 * What waits to be published, oldest first. Invariants:
 *   added = taken + overflowed + merged + lost + waiting, exactly in records;
 *   the bytes that wait never exceed the capacity;
 *   batches of a partition leave in the order of their minutes, and a flow's records in their order;
 *   only what waits is merged or given up: a batch that was taken has its sequence number and is out of reach.
 */
export interface SpoolEntry {
  readonly partition: number
  readonly recordCount: number
  readonly baseUnixMs: number
  readonly minuteComplete: boolean
  /** The last entry of its partition. */
  readonly cleanStop?: boolean
  /** Fields 20 to 62 of the batch. */
  readonly body: Uint8Array
}

export interface Spool {
  /** Keeps an entry, making room if there is none. Answers how many records were lost by that. */
  add(entry: SpoolEntry): number
  /** The oldest entry, which is the caller's from now on. */
  take(): SpoolEntry | undefined
  readonly counts: Readonly<SpoolCounts>
}

export interface SpoolCounts {
  waitingBatches: number
  waitingRecords: number
  waitingBytes: number
  /** Records that were joined with another of their flow and minute. */
  mergedRecords: number
  /** Batches that could not be read when they were to be merged: a bug; they are published as they are. */
  unmergeableBatches: number
  lostBatches: number
  lostRecords: number
}

export interface SpoolOptions {
  /** Where the oldest entry goes when merging made no room; false if it can't go there. */
  readonly overflow?: (entry: SpoolEntry) => boolean
}

/** What an entry costs besides its body. */
export const entryOverheadBytes = 256
/** Merged at a time, which takes some 20 ms and 5 MB. */
const recordsPerMerge = 32_768

interface Waiting {
  readonly entry: SpoolEntry
  /** Was part of a merge, or has no records. */
  isMerged: boolean
}

/** A spool of at most `capacityBytes`. When it is full it merges, then hands over or gives up the oldest entries. */
export function createSpool(capacityBytes: number, { overflow = () => false }: SpoolOptions = {}): Spool {
  const counts: SpoolCounts = {
    waitingBatches: 0,
    waitingRecords: 0,
    waitingBytes: 0,
    mergedRecords: 0,
    unmergeableBatches: 0,
    lostBatches: 0,
    lostRecords: 0,
  }
  let queue: (Waiting | undefined)[] = []
  let head = 0
  /** Kept from one merge to the next, until nothing waits any more. */
  let workspace: Uint32Array | undefined

  function count(entry: SpoolEntry, sign: 1 | -1): void {
    counts.waitingBatches += sign
    counts.waitingRecords += sign * entry.recordCount
    counts.waitingBytes += sign * costOf(entry)
  }

  function take(): SpoolEntry | undefined {
    const entry = queue[head]?.entry
    if (entry === undefined) return undefined
    queue[head++] = undefined
    if (head > 64 && head * 2 > queue.length) {
      queue = queue.slice(head)
      head = 0
    }
    count(entry, -1)
    if (counts.waitingBatches === 0) workspace = undefined
    return entry
  }

  function lose(entry: SpoolEntry): number {
    counts.lostBatches++
    counts.lostRecords += entry.recordCount
    return entry.recordCount
  }

  /** Merges the oldest group that is worth it; false if there is none. */
  function mergeOldest(): boolean {
    const group = worthMerging(queue, head)
    if (group === undefined) return false
    const before = group.map(at => queue[at]!)
    const merged = tryMerge(before.map(({ entry }) => entry))
    if (merged === undefined) {
      for (const waiting of before) waiting.isMerged = true
      return true
    }
    for (const { entry } of before) count(entry, -1)
    const { partition, baseUnixMs } = before[0].entry
    const after = merged.map(part => ({ ...part, partition, baseUnixMs, minuteComplete: false }))
    for (const entry of after) count(entry, 1)
    counts.mergedRecords += recordsOf(before.map(({ entry }) => entry)) - recordsOf(after)
    // in the place of the first of them: before whatever says that the minute is complete
    const gone = new Set(group)
    const rest = queue.filter((_, at) => at >= head && !gone.has(at))
    rest.splice(group[0] - head, 0, ...after.map(entry => ({ entry, isMerged: true })))
    queue = rest
    head = 0
    return true
  }

  function tryMerge(parts: readonly SpoolEntry[]): BodyPart[] | undefined {
    try {
      workspace ??= mergeWorkspace(recordsPerMerge)
      return mergeBodies(parts, workspace)
    } catch {
      // they are as whole as they came
      counts.unmergeableBatches += parts.length
      return undefined
    }
  }

  return {
    counts,
    take,
    add(entry) {
      const cost = costOf(entry)
      if (cost > capacityBytes) return lose(entry)
      let lost = 0
      while (counts.waitingBytes + cost > capacityBytes) {
        if (mergeOldest()) continue
        const oldest = take()!
        if (!overflow(oldest)) lost += lose(oldest)
      }
      queue.push({ entry, isMerged: entry.recordCount === 0 })
      count(entry, 1)
      return lost
    },
  }
}

/**
 * Places of the oldest group, entries of one partition and minute, in which at least as much is new as was merged
 * before: so no record is merged more often than the logarithm of how many there are.
 */
function worthMerging(queue: readonly (Waiting | undefined)[], head: number): number[] | undefined {
  const groups = new Map<string, { places: number[]; fresh: number; merged: number }>()
  for (let at = head; at < queue.length; at++) {
    const waiting = queue[at]
    if (waiting === undefined || waiting.entry.recordCount === 0) continue
    const { partition, baseUnixMs, body } = waiting.entry
    const key = `${partition}/${baseUnixMs}`
    let group = groups.get(key)
    if (group === undefined) {
      group = { places: [], fresh: 0, merged: 0 }
      groups.set(key, group)
    }
    group.places.push(at)
    if (waiting.isMerged) group.merged += body.length
    else group.fresh += body.length
  }
  for (const { places, fresh, merged } of groups.values()) {
    if (fresh > 0 && fresh >= merged && places.length > 1) return withinOneMerge(places, queue)
  }
  return undefined
}

/** As many of the places as one merge takes, from the first that is new if they are too many. */
function withinOneMerge(places: readonly number[], queue: readonly (Waiting | undefined)[]): number[] {
  const recordsAt = (at: number) => queue[at]!.entry.recordCount
  const total = places.reduce((sum, at) => sum + recordsAt(at), 0)
  const from = total <= recordsPerMerge ? 0 : places.findIndex(at => !queue[at]!.isMerged)
  const taken: number[] = []
  let records = 0
  for (const at of places.slice(from)) {
    records += recordsAt(at)
    if (records > recordsPerMerge && taken.length > 0) break
    taken.push(at)
  }
  return taken
}

function recordsOf(entries: readonly SpoolEntry[]): number {
  return entries.reduce((sum, { recordCount }) => sum + recordCount, 0)
}

function costOf(entry: SpoolEntry): number {
  return entry.body.length + entryOverheadBytes
}
