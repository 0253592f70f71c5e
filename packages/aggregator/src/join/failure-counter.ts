import { EndReason, reasonOf, State, stateOf } from '@skybraid/shared'
import { Counter } from '../topology/counters.ts'

/** Where a dial that never connected is counted, by the flags of the side that tells it. */
export function failureCounter(flags: number): number {
  if (stateOf(flags) === State.halfOpen) return Counter.serverHalfOpen
  switch (reasonOf(flags)) {
    case EndReason.refused:
      return Counter.failedRefused
    case EndReason.timedOut:
      return Counter.failedTimedOut
    case EndReason.unreachable:
      return Counter.failedUnreachable
    case EndReason.resetInHandshake:
      return Counter.failedReset
    case EndReason.abandoned:
      return Counter.failedAbandoned
    default:
      return Counter.failedOther
  }
}
