/** What an ingest knows at one position, in a form that can be written and read back. */
export interface IngestState {
  readonly received: number
  readonly applied: number
  readonly duplicates: number
  /** Lost here, by place. */
  readonly lost: Readonly<Record<string, number>>
  readonly nodes: readonly NodeState[]
}

export interface NodeState {
  readonly name: string
  readonly lastSeenMs: number
  readonly uncleanRestart: boolean
  /** Newest first. */
  readonly boots: readonly BootState[]
}

export interface BootState {
  readonly bootId: string
  readonly firstSentMs: number
  readonly encoded: number
  readonly merged: number
  readonly sampledOut: number
  readonly ringProduced: number
  readonly ringConsumed: number
  /** By number of LossPlace. */
  readonly lost: readonly (readonly [number, number])[]
  readonly capabilities: number
  readonly batches: number
  readonly records: number
  readonly duplicates: number
  readonly logs: readonly SequenceState[]
}

export interface SequenceState {
  readonly partition: number
  readonly stopped: boolean
  readonly highest: number
  readonly records: number
  readonly missingRecords: number
  readonly gaps: readonly GapState[]
}

/** A stretch of numbers that is missing. */
export interface GapState {
  readonly from: number
  readonly to: number
  readonly fromRecord: number
  readonly toRecord: number
  readonly sinceMs: number
  readonly settled: boolean
}
