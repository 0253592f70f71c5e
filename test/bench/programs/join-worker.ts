import { parentPort, workerData } from 'node:worker_threads'
import { createPartitionedCore } from '../../../packages/aggregator/src/core.ts'
import { openNativeJoin } from '../../../packages/aggregator/src/native/open-native-join.ts'
import { encodeFlowBatch } from '../../../packages/shared/src/index.ts'
import { LiveConnections } from '../live-connections.ts'

/*
 * One partition's share of a million connections in a worker of its own, told to `prepare` the batches of its next round, and
 * then to `book` them.
 */

export interface RoundTaken {
  readonly records: number
  readonly ms: number
}

const { connections } = workerData as { readonly connections: number }
const recordsPerBatch = 340
const shortPerBatch = 2
const warmUps = 1
const cadenceMs = 10_000
const startMs = Math.floor(Date.now() / 60_000) * 60_000
const world = new LiveConnections(connections, startMs)
const core = createPartitionedCore({
  startMs,
  joinCapacity: connections + 200_000,
  maxEdges: 100_000,
  retentionMs: 3_600_000,
  openNative: openNativeJoin(),
}).open(0, { startMs })
let sequence = 0

interface Encoded {
  readonly node: string
  readonly data: Uint8Array
  readonly nowMs: number
}

function encoded(nowMs: number): Encoded {
  return { node: world.columns.header.node, data: encodeFlowBatch(world.columns), nowMs }
}

function take({ node, data, nowMs }: Encoded): void {
  core.accept({ node, partition: 0, data }, { sequence: ++sequence, unixMs: nowMs })
}

function openAll(): void {
  for (let first = 0; first < connections; first += recordsPerBatch) {
    const count = Math.min(recordsPerBatch, connections - first)
    for (let node = 0; node < 2; node++) {
      world.begin(node, count, startMs + 1)
      for (let i = 0; i < count; i++) world.reading(i, first + i, node, startMs + 1, 0)
      take(encoded(startMs + 2))
    }
  }
}

function* batchesOf(round: number): Generator<Encoded> {
  let short = round * 100_000
  for (let at = 0; at < connections; at += recordsPerBatch) {
    const readings = Math.min(recordsPerBatch, connections - at)
    const atMs = startMs + (round - 1) * cadenceMs + Math.floor((at / connections) * cadenceMs) + 50
    for (let node = 0; node < 2; node++) {
      world.batch(node, at, readings, { first: short, count: shortPerBatch }, atMs, round)
      yield encoded(atMs + 50)
    }
    short += shortPerBatch
  }
}

function book(batches: readonly Encoded[]): RoundTaken {
  const before = core.figures().applied
  const begun = performance.now()
  for (const batch of batches) take(batch)
  return { records: core.figures().applied - before, ms: performance.now() - begun }
}

openAll()
for (let round = 1; round <= warmUps; round++) for (const batch of batchesOf(round)) take(batch)
let round = warmUps
let waiting: Encoded[] = []
parentPort?.on('message', (order: 'prepare' | 'book') => {
  if (order === 'book') return parentPort?.postMessage(book(waiting))
  waiting = [...batchesOf(++round)]
  parentPort?.postMessage('ready')
})
parentPort?.postMessage('ready')
