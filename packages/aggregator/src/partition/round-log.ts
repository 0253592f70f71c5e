import { decodeRollup, type RollupMessage, type RollupRefusal, splitRound } from './round-decode.ts'

/** A round all of whose messages are there. */
export interface CommittedRound {
  readonly owner: string
  readonly closedThrough: number
  /** JSON of the state. */
  readonly state: Uint8Array
  readonly segments: readonly Uint8Array[]
}

export type RoundLogNews =
  | { readonly kind: 'claim'; readonly owner: string }
  | { readonly kind: 'part'; readonly owner: string }
  | { readonly kind: 'round'; readonly owner: string; readonly round: CommittedRound }
  | { readonly kind: 'refused'; readonly reason: RollupRefusal }

/**
 * What was appended for one partition, message by message. A round counts once its last message is there; one that
 * somebody else's claim, or anything but its next message, interrupts never was.
 */
export interface RoundLog {
  take(bytes: Uint8Array): RoundLogNews
  /** The last whole round. */
  readonly latest: Omit<CommittedRound, 'segments'> | undefined
  /** Who appended last. */
  readonly owner: string | undefined
  readonly rounds: number
  readonly claims: number
  /** Rounds that were begun and never finished. */
  readonly abandoned: number
  readonly refused: number
}

interface Unfinished {
  readonly first: RollupMessage
  readonly bytes: Uint8Array
  filled: number
  next: number
}

export function createRoundLog(partition: number): RoundLog {
  let unfinished: Unfinished | undefined
  let latest: RoundLog['latest']
  let owner: string | undefined
  let rounds = 0
  let claims = 0
  let abandoned = 0
  let refused = 0

  function abandon(): void {
    if (unfinished) abandoned++
    unfinished = undefined
  }

  function refuse(reason: RollupRefusal): RoundLogNews {
    abandon()
    refused++
    return { kind: 'refused', reason }
  }

  function continues(message: RollupMessage): boolean {
    if (!unfinished) return false
    const { first, next } = unfinished
    return (
      message.owner === first.owner &&
      message.chunk === next &&
      message.chunks === first.chunks &&
      message.closedThrough === first.closedThrough &&
      message.roundBytes === first.roundBytes
    )
  }

  function takeChunk(message: RollupMessage): RoundLogNews {
    if (message.chunk === 0) {
      abandon()
      unfinished = { first: message, bytes: new Uint8Array(message.roundBytes), filled: 0, next: 0 }
    } else if (!continues(message)) {
      // the rest of a round whose beginning is not there, or was interrupted
      abandon()
      return { kind: 'part', owner: message.owner }
    }
    const round = unfinished!
    if (round.filled + message.body.length > round.bytes.length) return refuse('inconsistent')
    round.bytes.set(message.body, round.filled)
    round.filled += message.body.length
    round.next++
    if (round.next < message.chunks) return { kind: 'part', owner: message.owner }
    unfinished = undefined
    const parts = round.filled === round.bytes.length ? splitRound(round.bytes) : undefined
    if (!parts) return refuse('inconsistent')
    rounds++
    const { owner: by, closedThrough } = message
    latest = { owner: by, closedThrough, state: parts.state.slice() }
    return { kind: 'round', owner: by, round: { owner: by, closedThrough, ...parts } }
  }

  return {
    take(bytes) {
      const message = decodeRollup(bytes)
      if (typeof message === 'string') return refuse(message)
      if (message.partition !== partition) return refuse('other_partition')
      owner = message.owner
      if (message.kind === 'chunk') return takeChunk(message)
      abandon()
      claims++
      return { kind: 'claim', owner }
    },
    get latest() {
      return latest
    },
    get owner() {
      return owner
    },
    get rounds() {
      return rounds
    },
    get claims() {
      return claims
    },
    get abandoned() {
      return abandoned
    },
    get refused() {
      return refused
    },
  }
}
