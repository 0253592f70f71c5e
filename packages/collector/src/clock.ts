/** Time as the collector needs it; tests pass one they move by hand. */
export interface Clock {
  /** Unix milliseconds. */
  nowMs(): number
  /** Calls `action` once, `delayMs` from now; the answer cancels it. */
  after(delayMs: number, action: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs)
    return () => clearTimeout(timer)
  },
}
