import { encodeFlowBatch } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { epochMs, flowBatch, minuteMs, record } from '../join/flow-batch.testing.ts'
import { createProcess, minutesOf, partition } from './stream-run.testing.ts'

const node = 'north'
const startMs = epochMs - 20 * minuteMs

/** What becomes of records of a node whose clock is so many minutes off. */
function tellOff(minutes: number) {
  const process = createProcess(startMs, [])
  const nowMs = epochMs + 30_000
  process.core.tick(nowMs)
  const atMs = nowMs + minutes * minuteMs
  const columns = flowBatch({ node, partition, sentUnixMs: atMs }, [
    record({ atMs, openedMs: atMs, bytesSent: 100, bytesSentTotal: 100 }),
  ])
  process.core.accept({ node, partition, data: encodeFlowBatch(columns) }, { sequence: 1, unixMs: nowMs })
  for (let at = nowMs; at <= nowMs + 15 * minuteMs; at += 10_000) process.core.tick(at)
  process.topology.tidy(nowMs + 15 * minuteMs)
  const minute = Math.floor(atMs / minuteMs)
  return { figures: process.core.figures(), inItsMinute: minutesOf(process, minute, minute + 1)[minute]! }
}

describe('a node whose clock is off', () => {
  it.each([-15, -3, 0, 2, 3, 7, 10])('by %i minutes has its records in the minutes that it says', minutes => {
    const { figures, inItsMinute } = tellOff(minutes)
    expect(figures).toMatchObject({ received: 1, applied: 1, lost: {} })
    expect(Object.values(inItsMinute)).toContain(100)
  })

  it('by more than ten minutes is refused', () => {
    expect(tellOff(11).figures).toMatchObject({ applied: 0, lost: { malformed: 1 } })
  })
})
