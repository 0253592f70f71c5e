import type { BusPublisher } from '@skybraid/shared'
import type { Clock } from '../clock.ts'
import type { Spool, SpoolEntry } from '../spool/spool.ts'
import type { SealedBatch } from './seal.ts'

/**
 * Moves batches from the spool to the bus. Invariants:
 *   at most `window` batches are sealed and not acknowledged; everything else waits in the spool;
 *   a sealed batch is published until the bus takes it, always with the same bytes;
 *   after a rejection nothing new is sealed until every rejected batch was published again, oldest first.
 */
export interface PublisherOptions {
  readonly bus: BusPublisher
  readonly spool: Spool
  readonly seal: (entry: SpoolEntry) => SealedBatch
  readonly clock: Clock
  readonly window?: number
  readonly firstRetryMs?: number
  readonly longestRetryMs?: number
  /** Between 0 and 1: spreads the retries of many collectors. */
  readonly random?: () => number
  readonly onTrouble?: (error: unknown) => void
  readonly onRecovered?: () => void
}

export interface PublisherCounts {
  publishedBatches: number
  publishedRecords: number
  sealedBatches: number
  sealedRecords: number
  rejections: number
}

export interface Publisher {
  readonly counts: Readonly<PublisherCounts>
  /** To be called after entries were added to the spool. */
  pump(): void
  /** Resolves to true when nothing waits any more, or to false after `deadlineMs`. */
  drained(deadlineMs: number): Promise<boolean>
  /** Publishes nothing from now on. */
  stop(): void
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { bus, spool, seal, clock, window = 16, firstRetryMs = 100, longestRetryMs = 5_000 } = options
  const random = options.random ?? Math.random
  const counts = {
    publishedBatches: 0,
    publishedRecords: 0,
    sealedBatches: 0,
    sealedRecords: 0,
    rejections: 0,
  }
  let rejected: SealedBatch[] = []
  let inFlight = 0
  let troubled = false
  let retryRounds = 0
  let stopped = false
  let cancelRetry: (() => void) | undefined
  const waiters = new Set<() => void>()

  function pump(): void {
    while (!stopped && rejected.length === 0 && counts.sealedBatches < window) {
      const entry = spool.take()
      if (entry === undefined) break
      const batch = seal(entry)
      counts.sealedBatches++
      counts.sealedRecords += batch.recordCount
      send(batch)
    }
    if (counts.sealedBatches === 0 && spool.counts.waitingBatches === 0) for (const wake of waiters) wake()
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
    counts.sealedBatches--
    counts.sealedRecords -= batch.recordCount
    counts.publishedBatches++
    counts.publishedRecords += batch.recordCount
    if (troubled && rejected.length === 0) {
      troubled = false
      retryRounds = 0
      options.onRecovered?.()
    }
    scheduleRetry()
    pump()
  }

  function refused(batch: SealedBatch, error: unknown): void {
    inFlight--
    counts.rejections++
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

  return {
    counts,
    pump,
    stop() {
      stopped = true
      cancelRetry?.()
      cancelRetry = undefined
    },
    drained(deadlineMs) {
      pump()
      if (counts.sealedBatches === 0 && spool.counts.waitingBatches === 0) return Promise.resolve(true)
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
