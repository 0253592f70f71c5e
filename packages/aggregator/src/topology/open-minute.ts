import type { EdgeId } from './edge-book.ts'
import type { RowLatencies } from './row-latencies.ts'
import type { SaidRows } from './said-rows.ts'
import { createSampleLog, type SampleLog } from './sample-log.ts'
import type { Segment } from './segment.ts'

/** Rows of one minute that can still be written: the minute itself while open, or corrections to a closed one. */
export interface OpenMinute {
  readonly minute: number
  /** Row number + 1 by edge, 0 where the edge has no row. Grows with the edges. */
  rowOf: Int32Array
  /** Edge of each row, in order of first use, and the row's number in the pool. */
  readonly edges: EdgeId[]
  readonly rows: number[]
  /** Those of all rows of the pool. */
  readonly latencies: RowLatencies
  readonly log: SampleLog
  /** Stands for what the rows hold, also when they are packed. */
  readonly content: object
  /** What the rows held, once they are packed and given to others. */
  packed?: Segment
  /** Records lost, by the number of the loss place. */
  readonly losses: Float64Array
  /** What was said on its edges; undefined until something was. */
  said?: SaidRows
  /** Grows whenever something is booked. */
  touches: number
}

export const lossPlaceCount = 10

export function createOpenMinute(minute: number, edgeCapacity: number, latencies: RowLatencies): OpenMinute {
  return {
    minute,
    rowOf: new Int32Array(edgeCapacity),
    edges: [],
    rows: [],
    latencies,
    log: createSampleLog(),
    content: {},
    losses: new Float64Array(lossPlaceCount),
    touches: 0,
  }
}

export function growRowOf(open: OpenMinute, edge: EdgeId): void {
  const larger = new Int32Array(Math.max(open.rowOf.length * 2, edge + 1))
  larger.set(open.rowOf)
  open.rowOf = larger
}
