import type { OpenMinute } from './open-minute.ts'
import { type RowPool, rowStride } from './row-pool.ts'
import type { SegmentRows } from './segment.ts'

/** The rows of an open minute in order of their edges. */
export function sortedRows(from: OpenMinute, pool: RowPool): SegmentRows {
  const edges = Uint32Array.from(from.edges).sort()
  const rows = Uint32Array.from(edges, edge => from.rowOf[edge] - 1)
  return {
    edges,
    get counters() {
      return pool.counters
    },
    at: i => rows[i] * rowStride,
    addLatencies: (i, sums) => from.latencies.addTo(rows[i], sums),
  }
}
