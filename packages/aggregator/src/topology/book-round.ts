/** What one closing makes: the minutes that are over and all corrections of earlier ones, cut at the same moment. */
export interface BookRound {
  readonly closedThrough: number
  /** What `stateAtCut` answered. */
  readonly state: unknown
  /** One per segment. */
  readonly bytes: readonly Uint8Array[]
}

/** Records lost in a minute that is open, by number of the place. */
export interface OpenLosses {
  readonly minute: number
  readonly losses: readonly number[]
}
