import { createDeltaBook, type DeltaRows, type OnDelta } from './delta-book.ts'
import type { EdgeId, EntityId } from './edge-book.ts'
import type { EdgeTable } from './edge-table.ts'
import type { MinuteBookOptions } from './minute-book.ts'
import type { PartitionBooks } from './partition-books.ts'
import type { RowPool } from './row-pool.ts'

export type OnEdgeDelta = (
  client: EntityId,
  server: EntityId,
  protocol: number,
  unixMinute: number,
  delta: Float64Array,
  partition: number,
) => void

export interface PartitionDeltasDeps {
  readonly edges: EdgeTable
  readonly pool: RowPool
  readonly books: () => PartitionBooks
  /** Whether nobody reported for this end. */
  readonly isAddress: (id: EntityId) => boolean
  readonly onDelta: OnEdgeDelta | undefined
}

/** What edges grew by, partition by partition; see `DeltaBook`. */
export interface PartitionDeltas {
  mark(partition?: number): void
  take(partition?: number): void
  readonly onFreeze: NonNullable<MinuteBookOptions['onFreeze']>
}

export function createPartitionDeltas(deps: PartitionDeltasDeps): PartitionDeltas {
  const { edges, pool, isAddress } = deps
  const deltas = createDeltaBook((e: EdgeId) => isAddress(edges.client[e]) || isAddress(edges.server[e]))

  function tellOf(partition: number): OnDelta {
    return (e, minute, delta) =>
      deps.onDelta?.(edges.client[e], edges.server[e], edges.protocol[e], minute, delta, partition)
  }

  function rowsOf(partition: number): DeltaRows[] {
    const open = deps.books().get(partition)?.writable() ?? []
    return Array.from(open, minute => ({ minute, counters: pool.counters }))
  }

  function these(one: number | undefined): number[] {
    if (one !== undefined) return [one]
    return deps
      .books()
      .all()
      .map(book => book.partition)
  }

  return {
    mark(one) {
      for (const partition of these(one)) deltas.mark(rowsOf(partition))
    },
    take(one) {
      for (const partition of these(one)) deltas.take(rowsOf(partition), tellOf(partition))
    },
    onFreeze: (minute, counters, partition) => deltas.finish({ minute, counters }, tellOf(partition)),
  }
}
