import type { SealedBatch } from './seal.ts'

export interface BatchStoreCounts {
  /** Of this boot, not handed out yet. */
  readonly waitingBatches: number
  readonly waitingRecords: number
  /** Everything that is kept, handed out or not. */
  readonly bytes: number
  readonly capacityBytes: number
  /** Of a former boot of the same node, not handed out yet. */
  readonly formerBatches: number
  /** Of this boot, in entries that could not be read again: the reader of the bus sees them as a gap. */
  readonly lostRecords: number
  /** Entries that were torn or changed, left out for good. */
  readonly broken: number
  /** Entries that could not be written; they stayed in memory or were given up there. */
  readonly failedWrites: number
}

/**
 * Sealed batches outside memory, oldest first. They have their sequence numbers and their final bytes, so it makes no
 * difference which process publishes them, nor whether one of them was published before.
 */
export interface BatchStore {
  /** Keeps a batch; false if there is no room for it or it can't be written. */
  put(batch: SealedBatch): boolean
  /** The oldest batch that was not handed out yet. It is kept until `forget`. */
  next(): SealedBatch | undefined
  /** The bus has it. */
  forget(batch: SealedBatch): void
  readonly counts: BatchStoreCounts
}
