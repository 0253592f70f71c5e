import { manualClock } from '../../packages/collector/src/manual-clock.testing.ts'
import type { BusMessage } from '../../packages/shared/src/index.ts'
import {
  compressFlowPayload,
  flowHeaders,
  flowMessageId,
  flowSubject,
} from '../../packages/shared/src/nats/index.ts'
import { startSimulation } from '../fault/simulation.ts'
import { createWorld, type World } from '../fault/world/world.ts'
import type { Figure, Measurement } from './figure.ts'

const rawName = 'bytes on the wire per record, raw'
const zstdName = 'bytes on the wire per record, zstd'

const startMs = Date.UTC(2026, 0, 1)

/** Two busy nodes: short connections, long ones read every ten seconds, UDP, failures. */
function busyWorld(): World {
  return createWorld({
    nodes: 2,
    prefix: 'node-',
    firstHost: 0,
    services: 40,
    callersPerService: 3,
    udpServices: 6,
    outsiders: 20,
    seed: 1,
    partitions: 4,
    flushMs: 500,
    reportMs: 10_000,
    announceMs: 300_000,
    startMs,
    longLived: 20_000,
    shortPerSecond: 5_000,
    udpPerSecond: 800,
    outsidePerSecond: 400,
    failedPerSecond: 100,
  })
}

/** Everything that goes over the socket for a batch: the protocol line, headers and payload. */
function wireBytes({ node, partition, data, head }: BusMessage, encoding: 'raw' | 'zstd'): number {
  if (head === undefined) throw new Error('a batch without its head')
  const payload = encoding === 'zstd' ? compressFlowPayload(data) : data
  const own = flowHeaders({ ...head, partition, encoding })
  const list = [
    ...own,
    ['Nats-Msg-Id', flowMessageId({ ...head, partition })],
    ['Nats-Expected-Stream', 'SKYBRAID_FLOW_x'],
  ]
  const headerBytes = list.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 14)
  const line = `HPUB ${flowSubject('x', partition, node)} _INBOX.${'x'.repeat(31)} ${headerBytes} ${headerBytes + payload.length}\r\n`
  return line.length + headerBytes + payload.length + 2
}

async function measureWire(): Promise<Figure[]> {
  const world = busyWorld()
  const clock = manualClock(startMs)
  const sums = { records: 0, raw: 0, zstd: 0, batches: 0 }
  const take = async (message: BusMessage) => {
    const count = message.head?.recordCount ?? 0
    if (count < 300) return
    sums.records += count
    sums.batches++
    sums.raw += wireBytes(message, 'raw')
    sums.zstd += wireBytes(message, 'zstd')
  }
  const simulation = await startSimulation({ world, clock, bus: () => ({ publish: take }) })
  for (let flush = 0; flush < 60; flush++) {
    clock.advance(world.settings.flushMs)
    simulation.flush()
    await new Promise(resolve => setImmediate(resolve))
  }
  const perBatch = Math.round(sums.records / sums.batches)
  const method = `30 s of two simulated nodes, ${sums.batches} batches of 300 and more records (${perBatch} on average), owners, headers and protocol included`
  return [
    { name: rawName, value: sums.raw / sums.records, unit: 'B', reach: '<= 130', method },
    { name: zstdName, value: sums.zstd / sums.records, unit: 'B', reach: '<= 60', method },
  ]
}

export const measurements: readonly Measurement[] = [{ names: [rawName, zstdName], measure: measureWire }]
