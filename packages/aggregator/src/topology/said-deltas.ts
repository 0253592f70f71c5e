import type { Operation } from '@skybraid/shared'
import type { EdgeId } from './edge-book.ts'
import type { OpenMinute } from './open-minute.ts'
import { type SaidRows, saidSumCount } from './said-rows.ts'

/** What one end of an edge saw of one operation, since it was last told. Amounts are negative where they moved away. */
export interface SaidDelta {
  readonly operation: Operation
  /** `unknownStatus` where no answer was seen. */
  readonly status: number
  /** Of `SaidFlag`. */
  readonly flags: number
  /** In the order of `saidSums`. */
  readonly sums: Float64Array
  /** Bucket and count, of the times to the first byte. */
  readonly buckets: readonly (readonly [slot: number, count: number])[]
}

export type OnSaid = (edge: EdgeId, unixMinute: number, said: SaidDelta) => void

/**
 * What rows of what was said grew by since it was last asked. Edges with an end that nobody reported are told when their
 * minute is closed: until then the other half may come and take everything along.
 */
export interface SaidDeltas {
  take(minute: OpenMinute, onSaid: OnSaid): void
  finish(minute: OpenMinute, onSaid: OnSaid): void
}

interface Given {
  sums: Float64Array
  readonly buckets: Map<number, number>
}

const slotSpan = 4_096

export function createSaidDeltas(isWaiting: (edge: EdgeId) => boolean): SaidDeltas {
  // a minute that is dropped instead of frozen takes its state along
  const givenOf = new WeakMap<SaidRows, Given>()

  function tellRow(said: SaidRows, given: Given, row: number, minute: number, onSaid: OnSaid): void {
    const first = row * saidSumCount
    if (!isChanged(said, given, first)) return
    const sums = new Float64Array(saidSumCount)
    for (let i = 0; i < saidSumCount; i++) {
      sums[i] = said.sums[first + i] - given.sums[first + i]
      given.sums[first + i] = said.sums[first + i]
    }
    const buckets: [number, number][] = []
    said.eachBucket(row, (slot, count) => {
      const key = row * slotSpan + slot
      const more = count - (given.buckets.get(key) ?? 0)
      if (more === 0) return
      given.buckets.set(key, count)
      buckets.push([slot, more])
    })
    const operation = said.operations[said.operationOf(row)]
    onSaid(said.edgeOf(row), minute, {
      operation,
      status: said.statusOf(row),
      flags: said.flagsOf(row),
      sums,
      buckets,
    })
  }

  /** What was taken back and what came may be as many requests, and not the same bytes. */
  function isChanged(said: SaidRows, given: Given, first: number): boolean {
    for (let i = first; i < first + saidSumCount; i++) if (said.sums[i] !== given.sums[i]) return true
    return false
  }

  function tell({ said, minute }: OpenMinute, isFinal: boolean, onSaid: OnSaid): void {
    if (said === undefined) return
    const given = givenOf.get(said) ?? { sums: new Float64Array(0), buckets: new Map() }
    givenOf.set(said, given)
    if (given.sums.length < said.sums.length) {
      const larger = new Float64Array(said.sums.length)
      larger.set(given.sums)
      given.sums = larger
    }
    for (let row = 0; row < said.rowCount; row++)
      if (isFinal || !isWaiting(said.edgeOf(row))) tellRow(said, given, row, minute, onSaid)
  }

  return {
    take: (minute, onSaid) => tell(minute, false, onSaid),
    finish: (minute, onSaid) => tell(minute, true, onSaid),
  }
}
