/** Requests that may be told one by one: so many a second, and what was not used stays for some seconds. */
export interface RequestBudget {
  left(nowMs: number): number
  spend(requests: number): void
}

const keptSeconds = 10

export function createRequestBudget(perSecond: number, startMs: number): RequestBudget {
  let left = 0
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
