/**
 * What waits to be published, oldest first. Invariants:
 *   added = taken + lost + waiting, in batches and exactly in records;
 *   the bytes that wait never exceed the capacity;
 *   batches leave in the order in which they came, so each partition stays in order;
 *   only what waits is given up: a batch that was taken has its sequence number and is out of reach.
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
  /** Keeps an entry, giving up the oldest ones if there is no room. Answers how many records were lost by that. */
  add(entry: SpoolEntry): number
  /** The oldest entry, which is the caller's from now on. */
  take(): SpoolEntry | undefined
  readonly counts: Readonly<SpoolCounts>
}

export interface SpoolCounts {
  waitingBatches: number
  waitingRecords: number
  waitingBytes: number
  lostBatches: number
  lostRecords: number
}

/** What an entry costs besides its body. */
export const entryOverheadBytes = 256

export function createSpool(capacityBytes: number): Spool {
  const counts: SpoolCounts = {
    waitingBatches: 0,
    waitingRecords: 0,
    waitingBytes: 0,
    lostBatches: 0,
    lostRecords: 0,
  }
  let queue: (SpoolEntry | undefined)[] = []
  let head = 0

  function take(): SpoolEntry | undefined {
    const entry = queue[head]
    if (entry === undefined) return undefined
    queue[head++] = undefined
    if (head > 64 && head * 2 > queue.length) {
      queue = queue.slice(head)
      head = 0
    }
    counts.waitingBatches--
    counts.waitingRecords -= entry.recordCount
    counts.waitingBytes -= costOf(entry)
    return entry
  }

  function lose(entry: SpoolEntry): number {
    counts.lostBatches++
    counts.lostRecords += entry.recordCount
    return entry.recordCount
  }

  return {
    counts,
    take,
    add(entry) {
      const cost = costOf(entry)
      if (cost > capacityBytes) return lose(entry)
      let lost = 0
      while (counts.waitingBytes + cost > capacityBytes) lost += lose(take()!)
      queue.push(entry)
      counts.waitingBatches++
      counts.waitingRecords += entry.recordCount
      counts.waitingBytes += cost
      return lost
    },
  }
}

function costOf(entry: SpoolEntry): number {
  return entry.body.length + entryOverheadBytes
}
