/** What became of the records of one batch; together they are all of them. */
export interface ApplyOutcome {
  applied: number
  late: number
  tableFull: number
  cardinalityCap: number
  malformed: number
}

export interface JoinCounts {
  readonly connections: number
  readonly joined: number
  readonly clientOnly: number
  readonly serverOnly: number
  readonly tombstones: number
  /** Ended connections forgotten early to make room: what still comes of them counts as a new connection. */
  readonly evicted: number
}
