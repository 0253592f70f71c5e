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

export interface FrameToWrite {
  readonly partition: number
  readonly recordCount: number
  readonly baseUnixMs: number
  readonly body: Uint8Array
}

/** A flush as the addon lays it out; see native/index.d.ts. */
export function writeFlush(frames: readonly FrameToWrite[]): ArrayBuffer {
  const padded = (length: number) => Math.ceil(length / 8) * 8
  const flush = new ArrayBuffer(frames.reduce((sum, { body }) => sum + 32 + padded(body.length), 0))
  const view = new DataView(flush)
  let at = 0
  for (const { partition, recordCount, baseUnixMs, body } of frames) {
    view.setUint32(at, partition, true)
    view.setUint32(at + 4, recordCount, true)
    view.setFloat64(at + 8, baseUnixMs, true)
    view.setUint32(at + 16, body.length, true)
    view.setFloat64(at + 24, baseUnixMs + 1, true)
    new Uint8Array(flush, at + 32).set(body)
    at += 32 + padded(body.length)
  }
  return flush
}
