import type { SaidRows } from './said-rows.ts'

/**
 * Where the join books what it found. Entities and edges are interned to small integers; a row is one edge in one
 * minute. Rows of open minutes are live; rows of closed minutes are corrections and may hold negative amounts.
 */
export type EntityId = number
export type EdgeId = number
/** Index of a row's first counter in `counters`; valid until the next call of `row`. -1 where a cap was hit. */
export type RowOffset = number

export interface EdgeBook {
  /**
   * The edge between two entities. `serverPort` is the acceptor's own port when its end is known, otherwise the
   * dialled one; `via` is the entity of the dialled address where it is not the acceptor's own (a service's address),
   * otherwise -1; `viaPort` is the dialled port then, otherwise 0. Returns -1 when there are too many edges: the
   * caller counts `cardinality_cap` per record.
   */
  edge(
    client: EntityId,
    server: EntityId,
    protocol: number,
    serverPort: number,
    via: EntityId,
    viaPort: number,
  ): EdgeId
  /** The row of an edge in a minute (unix minutes). -1 when the minute can no longer be corrected: the caller counts `late`. */
  row(edge: EdgeId, unixMinute: number): RowOffset
  /**
   * Rows of many edges in one minute: `offsets[i]` is that of `edges[i]` for i < `count`, -1 as with `row`. All of them
   * are valid until the next call of `row` or `rows`.
   */
  rows(edges: Int32Array, count: number, unixMinute: number, offsets: Int32Array): void
  /** Backing store of all rows: `counters[row + Counter.clientBytesSent] += n`. Re-read after `row` and `rows`. */
  readonly counters: Float64Array
  /** By row number a line of 64 bytes that `samples` needs: to be fetched in advance. */
  readonly sampleLines: Uint8Array
  /** Adds (or with count -1 takes back) one sample. */
  sample(row: RowOffset, histogram: number, value: number, count: 1 | -1): void
  /** Adds to each of the first `count` rows, all of one minute, the sample `values[i]` of the histogram `histograms[i]`. */
  samples(offsets: Int32Array, histograms: Int32Array, values: Uint32Array, count: number): void
  /**
   * Where to add what was said on edges in a minute, each of which must have a row there. Undefined where nothing can
   * be booked, or where what is booked is void.
   */
  said(unixMinute: number): SaidRows | undefined
  /** So many more (or fewer) connections are open on an edge from a minute on, by side. */
  open(edge: EdgeId, side: 'client' | 'server' | 'joined', change: number, unixMinute: number): void
}
