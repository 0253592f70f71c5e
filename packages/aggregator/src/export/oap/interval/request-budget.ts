/**
 * Requests that may be told one by one: so many a second, and what was not used stays for a minute and a bit, because
 * those to and from ends that nobody reported for come all at once when their minute is closed.
 */
export interface RequestBudget {
  left(nowMs: number): number
  spend(requests: number): void
}

export const keptSeconds = 75

export function createRequestBudget(perSecond: number, startMs: number): RequestBudget {
  // what came while nobody sent, as at a restart, comes at once too
  let left = perSecond * keptSeconds
  let filledMs = startMs
  return {
    left(nowMs) {
      left = Math.min(perSecond * keptSeconds, left + (perSecond * Math.max(0, nowMs - filledMs)) / 1000)
      filledMs = nowMs
      return Math.floor(left)
    },
    spend(requests) {
      left -= requests
    },
  }
}
