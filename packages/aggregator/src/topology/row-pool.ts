import { counterCount } from './counters.ts'
import type { EdgeId } from './edge-book.ts'
import type { OpenMinute } from './open-minute.ts'

const firstRows = 256

/** Takes what must not be booked; nobody reads it. */
export const voidRow = 0

/** Rows of counters of all open minutes in one array: freed rows are zeroed and given again. */
export interface RowPool {
  /** Number of a zeroed row, -1 when `maxRows` are in use. Its counters begin at `row * counterCount`. */
  take(): number
  give(row: number): void
  /** Replaced when the pool grows. */
  readonly counters: Float64Array
  readonly inUse: number
  /** By row: whose minute it is, and of which edge. Kept by those who take rows. */
  readonly minuteOf: OpenMinute[]
  readonly edgeOf: EdgeId[]
}

export function createRowPool(maxRows: number): RowPool {
  let counters = new Float64Array(firstRows * counterCount)
  let limit = voidRow + 1
  const free: number[] = []
  return {
    minuteOf: [],
    edgeOf: [],
    get counters() {
      return counters
    },
    get inUse() {
      return limit - free.length - 1
    },
    take() {
      const reused = free.pop()
      if (reused !== undefined) return reused
      if (limit > maxRows) return -1
      if ((limit + 1) * counterCount > counters.length) {
        const larger = new Float64Array(counters.length * 2)
        larger.set(counters)
        counters = larger
      }
      return limit++
    },
    give(row) {
      counters.fill(0, row * counterCount, (row + 1) * counterCount)
      free.push(row)
    },
  }
}
