import type { TapMessage } from './tap-message.ts'

/** For the last records so many bytes of batches are kept and looked through at most. */
export const lastBatchesBytes = 64 * 2 ** 20

/** Keeps the newest batches of which `wanted` records fit, and at most `limitBytes` of them. */
export interface LastBatches {
  add(message: TapMessage, fitting: number): void
  /** How many records fit in what is kept. */
  readonly fitting: number
  /** Batches went although their records are wanted. */
  readonly isCut: boolean
  readonly messages: readonly TapMessage[]
  /** How many records of the first batch are more than wanted. */
  readonly excess: number
}

export function createLastBatches(wanted: number, limitBytes = lastBatchesBytes): LastBatches {
  const kept: { message: TapMessage; fitting: number }[] = []
  let fitting = 0
  let heldBytes = 0
  let isCut = false

  function dropFirst(): void {
    const first = kept.shift()!
    fitting -= first.fitting
    heldBytes -= first.message.payload.length
  }

  return {
    add(message, amount) {
      kept.push({ message, fitting: amount })
      fitting += amount
      heldBytes += message.payload.length
      while (kept.length > 1 && fitting - kept[0].fitting >= wanted) dropFirst()
      while (kept.length > 1 && heldBytes > limitBytes) {
        isCut ||= kept[0].fitting > 0
        dropFirst()
      }
    },
    get fitting() {
      return fitting
    },
    get isCut() {
      return isCut
    },
    get messages() {
      return kept.map(({ message }) => message)
    },
    get excess() {
      return Math.max(0, fitting - wanted)
    },
  }
}
