import { counterCount } from './counters.ts'
import type { EdgeId } from './edge-book.ts'
import { lineAligned, lineBytes } from './line-aligned.ts'
import type { OpenMinute } from './open-minute.ts'
import { createRowLatencies, type RowLatencies } from './row-latencies.ts'

const countersPerLine = lineBytes / Float64Array.BYTES_PER_ELEMENT
/** From one row's counters to the next one's: whole lines of memory. */
export const rowStride = Math.ceil(counterCount / countersPerLine) * countersPerLine
const firstRows = 256

/** Takes what must not be booked; nobody reads it. */
export const voidRow = 0

/** Rows of counters of all open minutes in one array, and their latencies: freed rows are zeroed and given again. */
export interface RowPool {
  /** Number of a zeroed row, -1 when `maxRows` are in use. Its counters begin at `row * rowStride`. */
  take(): number
  give(row: number): void
  /** Replaced when the pool grows. */
  readonly counters: Float64Array
  readonly latencies: RowLatencies
  readonly inUse: number
  /** By row: whose minute it is, and of which edge. Kept by those who take rows. */
  readonly minuteOf: OpenMinute[]
  readonly edgeOf: EdgeId[]
}

export function createRowPool(maxRows: number): RowPool {
  let counters = countersOf(firstRows)
  let limit = voidRow + 1
  const free: number[] = []
  const latencies = createRowLatencies()
  return {
    latencies,
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
      if ((limit + 1) * rowStride > counters.length) {
        const larger = countersOf(limit * 2)
        larger.set(counters)
        counters = larger
      }
      return limit++
    },
    give(row) {
      counters.fill(0, row * rowStride, (row + 1) * rowStride)
      latencies.clear(row)
      free.push(row)
    },
  }
}

function countersOf(rows: number): Float64Array<ArrayBuffer> {
  const length = rows * rowStride
  const { buffer, at } = lineAligned(length * Float64Array.BYTES_PER_ELEMENT)
  return new Float64Array(buffer, at, length)
}

/** Giving back so many rows takes about as long. */
const rowsGivenPerStep = 2000

/** Gives back rows that nothing refers to any more, in steps of about `work` each. */
export function* giveBack(pool: RowPool, rows: readonly number[], work: number): Generator<number, void> {
  for (const [i, row] of rows.entries()) {
    pool.give(row)
    if ((i + 1) % rowsGivenPerStep === 0) yield work
  }
}
