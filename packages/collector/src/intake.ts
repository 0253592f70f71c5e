import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import { readFrames } from './source/read-frames.ts'
import type { Spool } from './spool/spool.ts'

export interface IntakeCounts {
  /** Records of all frames so far. */
  received: number
  /** Flushes that were not a whole sequence of frames: a bug, and their records are missing. */
  brokenFlushes: number
  lastFlushUnixMs: number
  /** The last minute of which nothing follows; -1 before the first. */
  completeMinute: number
}

export interface Intake {
  readonly counts: Readonly<IntakeCounts>
  /** Puts every frame of a flush into the spool. */
  accept(flush: ArrayBuffer): void
}

const lossLogIntervalMs = 10_000

export function createIntake(node: string, spool: Spool, clock: Clock, log: Log): Intake {
  const counts = { received: 0, brokenFlushes: 0, lastFlushUnixMs: 0, completeMinute: -1 }
  let nextLossLogMs = 0

  function noteLoss(): void {
    if (counts.lastFlushUnixMs < nextLossLogMs) return
    nextLossLogMs = counts.lastFlushUnixMs + lossLogIntervalMs
    const { lostRecords } = spool.counts
    log.warn({ node, lostRecords }, 'the spool is full: the oldest records are given up')
  }

  return {
    counts,
    accept(flush) {
      counts.lastFlushUnixMs = clock.nowMs()
      let lost = 0
      try {
        readFrames(flush, frame => {
          counts.received += frame.recordCount
          lost += spool.add(frame)
          if (frame.minuteComplete) counts.completeMinute = Math.floor(frame.baseUnixMs / 60_000)
        })
      } catch (err) {
        counts.brokenFlushes++
        log.error({ node, err }, 'a flush could not be read')
      }
      if (lost > 0) noteLoss()
    },
  }
}
