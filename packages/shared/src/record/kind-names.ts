import { EndReason, State } from './kind.ts'

/** The words for states and ends of flows, the same wherever flows are shown. */
export const stateNames = {
  [State.open]: 'open',
  [State.closed]: 'closed',
  [State.failed]: 'failed',
  [State.halfOpen]: 'halfOpen',
} as const
export type FlowStateName = (typeof stateNames)[keyof typeof stateNames]

export const endNames = {
  [EndReason.fin]: 'fin',
  [EndReason.rstSent]: 'reset_sent',
  [EndReason.rstReceived]: 'reset_received',
  [EndReason.kernelTimeout]: 'timeout',
  [EndReason.refused]: 'refused',
  [EndReason.timedOut]: 'timed_out',
  [EndReason.unreachable]: 'unreachable',
  [EndReason.resetInHandshake]: 'reset_in_handshake',
  [EndReason.abandoned]: 'abandoned',
  [EndReason.idle]: 'idle',
  [EndReason.localError]: 'local_error',
} as const
export type EndName = (typeof endNames)[keyof typeof endNames]
