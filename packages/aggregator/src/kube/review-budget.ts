/** How often something may be done: so many at once, and so many per second in the long run. */
export interface ReviewBudget {
  /** Takes one; false if there is none left now. */
  take(): boolean
}

export function createReviewBudget(burst: number, perSecond: number, nowMs: () => number): ReviewBudget {
  let left = burst
  let countedMs = nowMs()
  return {
    take() {
      const now = nowMs()
      left = Math.min(burst, left + (Math.max(0, now - countedMs) * perSecond) / 1000)
      countedMs = now
      if (left < 1) return false
      left--
      return true
    },
  }
}
