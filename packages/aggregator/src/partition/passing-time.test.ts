import { encodeFlowBatch, Role } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { epochMs, flowBatch, minuteMs, record, type TestRecord } from '../join/flow-batch.testing.ts'
import { createProcess, partition } from './stream-run.testing.ts'

const closeMs = epochMs + minuteMs
const client = record({ atMs: closeMs - 1_000, local: '10.0.0.1:1000', remote: '10.0.0.2:80', bytesSent: 10 })
const server = record({
  role: Role.server,
  flowId: 2,
  atMs: closeMs - 10,
  local: '10.0.0.2:80',
  remote: '10.0.0.1:1000',
  bytesReceived: 10,
})

/** What is told of a minute whose last batch comes some time after it was complete, with ticks before that. */
function told(lastAtMs: number, ticks: readonly number[]): string[] {
  const edges: string[] = []
  const { core, topology } = createProcess(epochMs, [], undefined, {
    onDelta(edge, minute, delta) {
      edges.push(JSON.stringify([edge, minute, [...delta]]))
    },
  })
  const sequences: Record<string, number> = {}
  const accept = (node: string, atMs: number, records: readonly TestRecord[], minuteComplete: boolean) => {
    const sequence = (sequences[node] ?? 0) + 1
    sequences[node] = sequence
    const firstRecord = node === 'north' ? Math.min(1, sequence - 1) : 0
    const head = { node, partition, sequence, firstRecord, sentUnixMs: atMs, minuteComplete }
    const data = encodeFlowBatch(flowBatch({ ...head, baseUnixMs: epochMs }, records))
    core.accept({ node, partition, data }, { sequence: core.status().sequence + 1, unixMs: atMs })
  }
  accept('north', closeMs - 900, [client], false)
  for (const atMs of ticks) core.tick(atMs)
  accept('south', closeMs + 203, [], true)
  accept('north', closeMs + 204, [], true)
  accept('south', lastAtMs, [server], true)
  topology.takeDeltas(partition)
  return edges
}

describe('a partition whose time passes', () => {
  it('closes a minute at the same place of the stream, whether somebody was there or reads it again', () => {
    for (const lastAtMs of [closeMs + 399, closeMs + 402, closeMs + 600]) {
      const again = told(lastAtMs, [])
      for (const tickMs of [1, 150, 199, 200, 201, 202])
        expect(told(lastAtMs, [closeMs + tickMs]), `tick after ${tickMs} ms`).toEqual(again)
    }
    expect(told(closeMs + 399, [])).not.toEqual(told(closeMs + 402, []))
  })
})
