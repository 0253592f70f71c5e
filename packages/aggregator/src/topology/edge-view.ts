import { Counter } from './counters.ts'
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
  const { columns, seen } = sums
  const failed =
    columns[c.failedRefused][slot] +
    columns[c.failedTimedOut][slot] +
    columns[c.failedUnreachable][slot] +
    columns[c.failedReset][slot] +
    columns[c.failedAbandoned][slot] +
    columns[c.failedOther][slot]
  const { health, reasons } = healthOf({
    failed,
    opened:
      columns[c.openedJoined][slot] + columns[c.openedClientOnly][slot] + columns[c.openedServerOnly][slot],
    dataSegments: columns[c.clientDataSegmentsSent][slot] + columns[c.serverDataSegmentsSent][slot],
    retransmits: columns[c.clientRetransmits][slot] + columns[c.serverRetransmits][slot],
    compared: columns[c.clientToServerCompared][slot] + columns[c.serverToClientCompared][slot],
    lost: columns[c.clientToServerLost][slot] + columns[c.serverToClientLost][slot],
    closed: columns[c.clientClosed][slot] + columns[c.serverClosed][slot],
    broken:
      columns[c.clientEndedRstReceived][slot] +
      columns[c.clientEndedTimeout][slot] +
      columns[c.serverEndedRstReceived][slot] +
      columns[c.serverEndedTimeout][slot],
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
export function bytesOf({ columns }: RangeSums, slot: number): number {
  return Math.max(
    columns[c.clientBytesSent][slot] + columns[c.clientBytesReceived][slot],
    columns[c.serverBytesSent][slot] + columns[c.serverBytesReceived][slot],
  )
}
