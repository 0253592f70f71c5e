import type { Clock } from './clock.ts'

export interface ManualClock extends Clock {
  /** Moves time and runs what is due, in order. */
  advance(ms: number): void
  readonly pendingTimers: number
}

/** A clock that moves only when told. */
export function manualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let nowMs = startMs
  let timers: { atMs: number; action: () => void }[] = []
  return {
    nowMs: () => nowMs,
    get pendingTimers() {
      return timers.length
    },
    after(delayMs, action) {
      const timer = { atMs: nowMs + delayMs, action }
      timers.push(timer)
      return () => {
        timers = timers.filter(other => other !== timer)
      }
    },
    advance(ms) {
      const endMs = nowMs + ms
      for (;;) {
        const due = timers.filter(timer => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0]
        if (due === undefined) break
        timers = timers.filter(timer => timer !== due)
        nowMs = Math.max(nowMs, due.atMs)
        due.action()
      }
      nowMs = endMs
    },
  }
}
