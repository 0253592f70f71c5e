/** What makes an edge look ill. Rates count only from a number of events on that can't be a single accident. */
export const thresholds = {
  /** Of all dials: failed ones. */
  degradedFailureRate: 0.01,
  failingFailureRate: 0.5,
  failedDials: 1,
  /** Of all data segments sent: retransmitted ones. */
  retransmitRate: 0.02,
  retransmits: 3,
  /** Of all data segments compared: lost ones. */
  lossRate: 0.01,
  lostSegments: 3,
  /** Of all closed connections: those that a reset or a kernel timeout ended. */
  brokenRate: 0.05,
  brokenConnections: 2,
} as const

/** Sums of one edge that its health follows from. */
export interface HealthFigures {
  readonly opened: number
  readonly failed: number
  readonly dataSegments: number
  readonly retransmits: number
  readonly compared: number
  readonly lost: number
  readonly closed: number
  readonly broken: number
}

export type Health = 'ok' | 'degraded' | 'failing'

export const reasonNames = {
  failing: 'failure_rate>=50%',
  failures: 'failure_rate>1%',
  retransmits: 'retransmit_rate>2%',
  loss: 'loss_rate>1%',
  broken: 'broken_connections>5%',
} as const

const wellReasons: readonly string[] = []
const well = { health: 'ok', reasons: wellReasons } as const

export function healthOf(f: HealthFigures): { readonly health: Health; readonly reasons: readonly string[] } {
  const t = thresholds
  const isQuiet = f.failed < t.failedDials && f.retransmits < t.retransmits
  if (isQuiet && f.lost < t.lostSegments && f.broken < t.brokenConnections) return well
  const failureRate = f.failed === 0 ? 0 : f.failed / (f.failed + f.opened)
  const isFailing = f.failed >= t.failedDials && failureRate >= t.failingFailureRate
  const reasons: string[] = []
  if (isFailing) reasons.push(reasonNames.failing)
  else if (f.failed >= t.failedDials && failureRate > t.degradedFailureRate)
    reasons.push(reasonNames.failures)
  if (f.retransmits >= t.retransmits && f.retransmits > t.retransmitRate * f.dataSegments)
    reasons.push(reasonNames.retransmits)
  if (f.lost >= t.lostSegments && f.lost > t.lossRate * f.compared) reasons.push(reasonNames.loss)
  if (f.broken >= t.brokenConnections && f.broken > t.brokenRate * f.closed) reasons.push(reasonNames.broken)
  return { health: isFailing ? 'failing' : reasons.length > 0 ? 'degraded' : 'ok', reasons }
}
