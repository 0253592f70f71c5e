import { Counter, type CounterName } from './counters.ts'
import { type Health, healthOf } from './health.ts'
import type { RangeSums } from './range-sums.ts'

/** Which of an edge's ends were seen, in which range; from this and the counters everything else follows. */
export interface EdgeView {
  readonly hasClient: boolean
  readonly hasServer: boolean
  readonly openNow: number
  readonly failed: number
  readonly health: Health
  readonly reasons: readonly string[]
}

const clientCounters = countersOf('client', 'failed', 'openedClientOnly', 'openedJoined')
const serverCounters = countersOf('server', 'openedServerOnly', 'openedJoined')
export const failureCounters = countersOf('failed')

/** Loss between the two ends says that both were seen, but its names begin like those of one end. */
function countersOf(...prefixes: string[]): readonly number[] {
  return (Object.keys(Counter) as CounterName[])
    .filter(name => prefixes.some(p => name.startsWith(p)) && !name.includes('To'))
    .map(name => Counter[name])
}

export function viewEdge(sums: RangeSums, slot: number): EdgeView {
  const joined = sums.openJoined[slot]
  const openNow = joined + sums.openClient[slot] + sums.openServer[slot]
  const failed = total(sums, slot, failureCounters)
  return {
    hasClient: joined > 0 || sums.openClient[slot] > 0 || hasAny(sums, slot, clientCounters),
    hasServer: joined > 0 || sums.openServer[slot] > 0 || hasAny(sums, slot, serverCounters),
    openNow,
    failed,
    ...healthOf({
      failed,
      opened:
        of(sums, slot, 'openedJoined') +
        of(sums, slot, 'openedClientOnly') +
        of(sums, slot, 'openedServerOnly'),
      dataSegments: of(sums, slot, 'clientDataSegmentsSent') + of(sums, slot, 'serverDataSegmentsSent'),
      retransmits: of(sums, slot, 'clientRetransmits') + of(sums, slot, 'serverRetransmits'),
      compared: of(sums, slot, 'clientToServerCompared') + of(sums, slot, 'serverToClientCompared'),
      lost: of(sums, slot, 'clientToServerLost') + of(sums, slot, 'serverToClientLost'),
      closed: of(sums, slot, 'clientClosed') + of(sums, slot, 'serverClosed'),
      broken:
        of(sums, slot, 'clientEndedRstReceived') +
        of(sums, slot, 'clientEndedTimeout') +
        of(sums, slot, 'serverEndedRstReceived') +
        of(sums, slot, 'serverEndedTimeout'),
    }),
  }
}

export function observedBy(view: EdgeView): 'client' | 'server' | 'both' {
  if (view.hasClient) return view.hasServer ? 'both' : 'client'
  return 'server'
}

function of(sums: RangeSums, slot: number, name: CounterName): number {
  return sums.columns[Counter[name]][slot]
}

function total(sums: RangeSums, slot: number, counters: readonly number[]): number {
  let sum = 0
  for (const counter of counters) sum += sums.columns[counter][slot]
  return sum
}

function hasAny(sums: RangeSums, slot: number, counters: readonly number[]): boolean {
  for (const counter of counters) if (sums.columns[counter][slot] !== 0) return true
  return false
}

/** Payload bytes of an edge as its better-informed end saw them, both ways together. */
export function bytesOf(sums: RangeSums, slot: number): number {
  return Math.max(
    of(sums, slot, 'clientBytesSent') + of(sums, slot, 'clientBytesReceived'),
    of(sums, slot, 'serverBytesSent') + of(sums, slot, 'serverBytesReceived'),
  )
}
