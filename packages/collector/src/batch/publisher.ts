import type { BusPublisher } from '@skybraid/shared'
import type { Clock } from '../clock.ts'
import type { Spool, SpoolEntry } from '../spool/spool.ts'
import type { BatchStore } from './batch-store.ts'
import type { SealedBatch } from './seal.ts'

/**
 * Moves batches from the spool to the bus. Invariants:
 *   at most `window` batches are under way: sealed, in memory and not acknowledged; everything else waits in the spool
 *   or, sealed, in the store, whose batches are older than the spool's and go first;
 *   a sealed batch is published until the bus takes it, always with the same bytes;
 *   after a rejection nothing new goes out until every rejected batch was published again, oldest first.
 */
export interface PublisherOptions {
  readonly bus: BusPublisher
  readonly spool: Spool
  readonly store?: BatchStore
  readonly seal: (entry: SpoolEntry) => SealedBatch
  readonly clock: Clock
  readonly window?: number
  readonly firstRetryMs?: number
  readonly longestRetryMs?: number
  /** Between 0 and 1: spreads the retries of many collectors. */
  readonly random?: () => number
  readonly onTrouble?: (error: unknown) => void
  readonly onRecovered?: () => void
  /** The bus has a batch, and nobody reads its bytes any more. */
  readonly onPublished?: (batch: SealedBatch) => void
}

export interface PublisherCounts {
  publishedBatches: number
  publishedRecords: number
  /** Under way. */
  sealedBatches: number
  sealedRecords: number
  rejections: number
  /** Batches of a former boot that the bus took, and their records, which are in none of the others. */
  formerBatches: number
  formerRecords: number
}

export interface Publisher {
  readonly counts: Readonly<PublisherCounts>
  /** To be called after entries were added to the spool. */
  pump(): void
  /** The bus is there, or back: publishes what waits, and waits no longer before it tries again. */
  retryNow(): void
  /** Puts what is left into the store, in order, and publishes nothing from now on. Answers how many records did not fit. */
  stow(): number
  /** Resolves to true when nothing waits any more, or to false after `deadlineMs`. */
  drained(deadlineMs: number): Promise<boolean>
  /** Publishes nothing from now on. */
  stop(): void
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { bus, spool, store, seal, clock, window = 16, firstRetryMs = 100, longestRetryMs = 5_000 } = options
  const random = options.random ?? Math.random
  const counts = {
    publishedBatches: 0,
    publishedRecords: 0,
    sealedBatches: 0,
    sealedRecords: 0,
    rejections: 0,
    formerBatches: 0,
    formerRecords: 0,
  }
  const underWay = new Set<SealedBatch>()
  let rejected: SealedBatch[] = []
  let inFlight = 0
  let troubled = false
  let retryRounds = 0
  let stopped = false
  let cancelRetry: (() => void) | undefined
  const waiters = new Set<() => void>()

  function pump(): void {
    while (!stopped && rejected.length === 0 && counts.sealedBatches < window) {
      const batch = nextBatch()
      if (batch === undefined) break
      begin(batch)
      send(batch)
    }
    if (isEmpty()) for (const wake of waiters) wake()
  }

  function begin(batch: SealedBatch): void {
    underWay.add(batch)
    counts.sealedBatches++
    if (!batch.isFormer) counts.sealedRecords += batch.recordCount
  }

  function end(batch: SealedBatch): boolean {
    if (!underWay.delete(batch)) return false
    counts.sealedBatches--
    if (!batch.isFormer) counts.sealedRecords -= batch.recordCount
    return true
  }

  /** What does not fit stays under way, and so counted. */
  function stowOne(batch: SealedBatch): void {
    if (batch.isFormer === true || store?.put(batch) === true) end(batch)
  }

  function nextBatch(): SealedBatch | undefined {
    const stored = store?.next()
    if (stored !== undefined) return stored
    const entry = spool.take()
    return entry === undefined ? undefined : seal(entry)
  }

  function isEmpty(): boolean {
    return (
      counts.sealedBatches === 0 &&
      spool.counts.waitingBatches === 0 &&
      (store?.counts.waitingBatches ?? 0) === 0
    )
  }

  function send(batch: SealedBatch): void {
    inFlight++
    publish(bus, batch).then(
      () => acknowledged(batch),
      (error: unknown) => refused(batch, error),
    )
  }

  function acknowledged(batch: SealedBatch): void {
    inFlight--
    // put into the store meanwhile: whoever publishes it again does no harm
    if (!end(batch)) return
    store?.forget(batch)
    countPublished(batch)
    options.onPublished?.(batch)
    if (troubled && rejected.length === 0) {
      troubled = false
      retryRounds = 0
      options.onRecovered?.()
    }
    scheduleRetry()
    pump()
  }

  function countPublished(batch: SealedBatch): void {
    if (batch.isFormer) {
      counts.formerBatches++
      counts.formerRecords += batch.recordCount
      return
    }
    counts.publishedBatches++
    counts.publishedRecords += batch.recordCount
  }

  function refused(batch: SealedBatch, error: unknown): void {
    inFlight--
    counts.rejections++
    if (!underWay.has(batch)) return
    if (!troubled) options.onTrouble?.(error)
    troubled = true
    rejected.push(batch)
    scheduleRetry()
  }

  // Only when nothing is under way any more, so that the retries keep the order.
  function scheduleRetry(): void {
    if (stopped || rejected.length === 0 || inFlight > 0 || cancelRetry !== undefined) return
    const delayMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(20, retryRounds++))
    cancelRetry = clock.after(delayMs * (0.5 + random() / 2), retry)
  }

  function retry(): void {
    cancelRetry = undefined
    const again = rejected.sort((left, right) => left.order - right.order)
    rejected = []
    for (const batch of again) send(batch)
  }

  function stop(): void {
    stopped = true
    cancelRetry?.()
    cancelRetry = undefined
  }

  return {
    counts,
    pump,
    stop,
    retryNow() {
      if (cancelRetry === undefined) return pump()
      cancelRetry()
      retry()
    },
    stow() {
      stop()
      for (const batch of [...underWay].sort((a, b) => a.order - b.order)) stowOne(batch)
      for (let entry = spool.take(); entry !== undefined; entry = spool.take()) {
        const batch = seal(entry)
        begin(batch)
        stowOne(batch)
      }
      return counts.sealedRecords
    },
    drained(deadlineMs) {
      pump()
      if (isEmpty()) return Promise.resolve(true)
      return new Promise(resolve => {
        const finish = (complete: boolean) => {
          cancelDeadline()
          waiters.delete(wake)
          resolve(complete)
        }
        const wake = () => finish(true)
        const cancelDeadline = clock.after(deadlineMs, () => finish(false))
        waiters.add(wake)
      })
    },
  }
}

async function publish(bus: BusPublisher, batch: SealedBatch): Promise<void> {
  await bus.publish(batch.message)
}
