import type { Epoch } from '@skybraid/shared'
import type { NatsState, StreamReport } from '@skybraid/shared/nats'

/**
 * `following`: somebody else books it, or nobody. `claiming`: about to take it. `catching_up`: taken, reading again what
 * the last round knows and what came since. `owning`: up to date.
 */
export type OwnerPhase = 'following' | 'claiming' | 'catching_up' | 'owning'

export interface PartitionBusStatus {
  readonly partition: number
  readonly phase: OwnerPhase
  /** Who appended last, here or elsewhere. */
  readonly owner?: string
  /** Position in the stream of batches, for a partition that is read here. */
  readonly sequence: number
  readonly lagMessages: number
  readonly lagMs: number
  /** Last closed minute in whole rounds, Unix minutes; -1 if there is none. */
  readonly closedThrough: number
  readonly rounds: number
  readonly claims: number
  /** Appends of ours that were refused because somebody else had appended. */
  readonly rejectedAppends: number
  readonly abandonedRounds: number
  readonly refusedMessages: number
  /** Segments of rounds that were not taken over. */
  readonly refusedSegments: number
  /** Batches whose headers or encoding were refused, by what came of them. */
  readonly refusedBatches: number
  /** Flows that came in the middle while catching up: what they did longer ago is known by its minutes alone. */
  readonly cameMidway: number
  /** Times that the stream reached back less far than this partition had been read. */
  readonly trims: number
  /** Times that the stream was another than the one that this partition had been read from. */
  readonly replacements: number
}

export interface BusStatus extends Pick<NatsState, 'connected' | 'disconnects'> {
  readonly server?: string
  readonly lastError?: string
  readonly owner: string
  readonly replica: number
  readonly replicas: number
  readonly streams: readonly StreamReport[]
  /** How records are split into partitions: epochs, oldest first. */
  readonly layout: readonly Epoch[]
  /** Partitions in which batches come although they are in no epoch. */
  readonly strays: readonly number[]
  readonly partitions: readonly PartitionBusStatus[]
}
