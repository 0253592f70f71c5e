import { Counter, counterCount } from './counters.ts'
import { type Health, healthOf } from './health.ts'
import { type RangeSums, Seen } from './range-sums.ts'

/** What of an edge follows from several counters. */
export interface EdgeView {
  readonly hasClient: boolean
  readonly hasServer: boolean
  readonly openNow: number
  readonly failed: number
  readonly health: Health
  readonly reasons: readonly string[]
}

// looked up by name once: per edge and answer that would take longer than everything else here
const c = { ...Counter }

export function viewEdge(sums: RangeSums, slot: number): EdgeView {
  const { counters, seen } = sums
  const at = slot * counterCount
  const failed =
    counters[at + c.failedRefused] +
    counters[at + c.failedTimedOut] +
    counters[at + c.failedUnreachable] +
    counters[at + c.failedReset] +
    counters[at + c.failedAbandoned] +
    counters[at + c.failedOther]
  const { health, reasons } = healthOf({
    failed,
    opened:
      counters[at + c.openedJoined] + counters[at + c.openedClientOnly] + counters[at + c.openedServerOnly],
    dataSegments: counters[at + c.clientDataSegmentsSent] + counters[at + c.serverDataSegmentsSent],
    retransmits: counters[at + c.clientRetransmits] + counters[at + c.serverRetransmits],
    compared: counters[at + c.clientToServerCompared] + counters[at + c.serverToClientCompared],
    lost: counters[at + c.clientToServerLost] + counters[at + c.serverToClientLost],
    closed: counters[at + c.clientClosed] + counters[at + c.serverClosed],
    broken:
      counters[at + c.clientEndedRstReceived] +
      counters[at + c.clientEndedTimeout] +
      counters[at + c.serverEndedRstReceived] +
      counters[at + c.serverEndedTimeout],
  })
  return {
    hasClient: (seen[slot] & Seen.client) !== 0,
    hasServer: (seen[slot] & Seen.server) !== 0,
    openNow: sums.openJoined[slot] + sums.openClient[slot] + sums.openServer[slot],
    failed,
    health,
    reasons,
  }
}

/** An edge that neither end reported counts for, but for what one of them missed, is the server's by default. */
export function observedBy(seen: number): 'client' | 'server' | 'both' {
  if ((seen & Seen.client) === 0) return 'server'
  return (seen & Seen.server) === 0 ? 'client' : 'both'
}

/** Payload bytes of an edge as its better-informed end saw them, both ways together. */
export function bytesOf({ counters }: RangeSums, slot: number): number {
  const at = slot * counterCount
  return Math.max(
    counters[at + c.clientBytesSent] + counters[at + c.clientBytesReceived],
    counters[at + c.serverBytesSent] + counters[at + c.serverBytesReceived],
  )
}
