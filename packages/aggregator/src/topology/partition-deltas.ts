import { createDeltaBook, type DeltaRows, type OnDelta } from './delta-book.ts'
import type { EdgeId, EntityId } from './edge-book.ts'
import type { EdgeTable } from './edge-table.ts'
import type { MinuteBookOptions } from './minute-book-deps.ts'
import type { OpenMinute } from './open-minute.ts'
import type { PartitionBooks } from './partition-books.ts'
import type { RowLatencies } from './row-latencies.ts'
import { type RowPool, rowStride } from './row-pool.ts'
import { createSaidDeltas, type OnSaid, type SaidDelta } from './said-deltas.ts'

/** What an export needs to know of an edge. */
export interface DeltaEdge {
  readonly client: EntityId
  readonly server: EntityId
  readonly protocol: number
  /** The address that was dialled, the acceptor's own where nothing stood in between, and its port. */
  readonly dialled: EntityId
  readonly dialledPort: number
}

/** `edge` and `delta` are reused. */
export type OnEdgeDelta = (
  edge: DeltaEdge,
  unixMinute: number,
  delta: Float64Array,
  partition: number,
) => void

/** A row that is written no more. */
export interface FinalRow {
  readonly counters: Float64Array
  /** Of the row's first counter. */
  readonly offset: number
  readonly latencies: RowLatencies
  /** Its number among the latencies. */
  readonly row: number
}

/** `edge` is reused. */
export type OnEdgeFinal = (edge: DeltaEdge, unixMinute: number, row: FinalRow, partition: number) => void

/** `edge` is reused. */
export type OnEdgeSaid = (edge: DeltaEdge, unixMinute: number, said: SaidDelta, partition: number) => void

/** Whoever adds up for themselves what is booked on edges. */
export interface EdgeListeners {
  /** Gets what edges grew by, at each `takeDeltas` and when a minute closes; see `deltaCounters`. */
  readonly onDelta?: OnEdgeDelta
  /** Gets the rows of every minute, and of corrections to one, once nothing is written to them any more. */
  readonly onFinal?: OnEdgeFinal
  /** Gets what was said on edges since the last `takeDeltas`. */
  readonly onSaid?: OnEdgeSaid
}

export interface PartitionDeltasDeps {
  readonly edges: EdgeTable
  readonly pool: RowPool
  readonly books: () => PartitionBooks
  /** Whether nobody reported for this end. */
  readonly isAddress: (id: EntityId) => boolean
  readonly listeners: EdgeListeners
}

/** What edges grew by, partition by partition; see `DeltaBook`. */
export interface PartitionDeltas {
  mark(partition?: number): void
  take(partition?: number): void
  /** Anybody listens. */
  readonly isHeard: boolean
  readonly onFreeze: NonNullable<MinuteBookOptions['onFreeze']>
}

export function createPartitionDeltas(deps: PartitionDeltasDeps): PartitionDeltas {
  const { edges, pool, isAddress } = deps
  const { onDelta, onFinal, onSaid } = deps.listeners
  const isWaiting = (e: EdgeId) => isAddress(edges.client[e]) || isAddress(edges.server[e])
  const deltas = createDeltaBook(isWaiting)
  const saidDeltas = createSaidDeltas(isWaiting)

  const told = { client: -1, server: -1, protocol: 0, dialled: -1, dialledPort: 0 }

  function edgeOf(e: EdgeId): DeltaEdge {
    const isVia = edges.via[e] >= 0
    told.client = edges.client[e]
    told.server = edges.server[e]
    told.protocol = edges.protocol[e]
    told.dialled = isVia ? edges.via[e] : edges.server[e]
    told.dialledPort = isVia ? edges.viaPort[e] : edges.port[e]
    return told
  }

  function tellOf(partition: number): OnDelta {
    return (e, minute, delta) => onDelta?.(edgeOf(e), minute, delta, partition)
  }

  function tellSaid(partition: number): OnSaid {
    return (e, minute, said) => onSaid?.(edgeOf(e), minute, said, partition)
  }

  function takePartition(partition: number): void {
    const rows = rowsOf(partition)
    if (onDelta) deltas.take(rows, tellOf(partition))
    if (onSaid === undefined) return
    for (const { minute } of rows) saidDeltas.take(minute, tellSaid(partition))
  }

  function tellFinal(
    { minute, edges: own, rows, latencies }: OpenMinute,
    counters: Float64Array,
    partition: number,
  ) {
    if (onFinal === undefined) return
    for (let i = 0; i < rows.length; i++) {
      const row = { counters, offset: rows[i] * rowStride, latencies, row: rows[i] }
      onFinal(edgeOf(own[i]), minute, row, partition)
    }
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
      if (onDelta) for (const partition of these(one)) deltas.mark(rowsOf(partition))
    },
    take(one) {
      for (const partition of these(one)) takePartition(partition)
    },
    isHeard: Boolean(onDelta || onFinal || onSaid),
    onFreeze(minute, counters, partition) {
      if (onDelta) deltas.finish({ minute, counters }, tellOf(partition))
      if (onSaid) saidDeltas.finish(minute, tellSaid(partition))
      tellFinal(minute, counters, partition)
    },
  }
}
