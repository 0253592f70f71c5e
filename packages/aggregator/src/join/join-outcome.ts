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
  readonly said: SaidCounts
}

/** Messages of application protocols that are not where one would look for them. */
export interface SaidCounts {
  /** Of records that were not booked either: late, or a table was full. */
  readonly unbooked: number
  /** Booked as `{other}`, because an edge had too many operations. */
  readonly other: number
  /** Stay on a one-sided edge although the other end came, because too many waited for theirs. */
  readonly unmovable: number
}
