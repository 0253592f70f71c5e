import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { manualClock } from '../../packages/collector/src/manual-clock.testing.ts'
import type { BusMessage } from '../../packages/shared/src/index.ts'
import {
  compressFlowPayload,
  flowHeaders,
  flowMessageId,
  flowSubject,
} from '../../packages/shared/src/nats/index.ts'
import { cluster, makeStreams } from '../fault/arena.ts'
import { startSimulation } from '../fault/simulation.ts'
import { createWorld, type World } from '../fault/world/world.ts'
import { NatsServer } from '../nats/nats-server.ts'
import { programFile } from './bench-program.ts'
import type { Figure, Measurement } from './figure.ts'
import { cpuNs, memoryMib } from './process-cost.ts'
import { median, spread } from './statistics.ts'

const rawName = 'bytes on the wire per record, raw'
const zstdName = 'bytes on the wire per record, zstd'
const cpuName = 'collector publishing 15,000 records/s, of one core'
const anonymousName = 'collector publishing 15,000 records/s, anonymous memory'
const rssName = 'collector publishing 15,000 records/s, RSS'

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

const perSecond = 15_000
const warmMs = 15_000
const measuredMs = 20_000

/** The built collector with a script in its kernel's place, started as scripts/skybraid.sh starts it. */
function startPublisher(url: string): ChildProcess {
  const flags = ['--max-semi-space-size=1', '--max-old-space-size=64', '--v8-pool-size=1']
  const args = [String(perSecond), '--nats', url, '--cluster', cluster, '--status-listen', '127.0.0.1:0']
  return spawn(process.execPath, [...flags, programFile('collector-publishing.mjs'), ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
  })
}

async function measureCollector(): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack()
  const server = await NatsServer.start()
  stack.defer(() => server.stop())
  await makeStreams(server.url)
  const child = startPublisher(server.url)
  stack.defer(() => void child.kill('SIGKILL'))
  await sleep(warmMs)
  const largest = { rss: 0, anonymous: 0 }
  const shares: number[] = []
  for (let second = 0; second < measuredMs / 1_000; second++) {
    const [usedNs, begun] = [cpuNs(child.pid!), performance.now()]
    await sleep(1_000)
    shares.push((cpuNs(child.pid!) - usedNs) / (performance.now() - begun) / 1e4)
    const { rss, anonymous } = memoryMib(child.pid!)
    largest.rss = Math.max(largest.rss, rss)
    largest.anonymous = Math.max(largest.anonymous, anonymous)
  }
  const method = `the built collector with a script in its kernel's place, zstd, JetStream with file storage, after ${warmMs / 1_000} s`
  return [
    {
      name: cpuName,
      value: median(shares),
      unit: '%',
      reach: '<= 3',
      spread: spread(shares),
      method: `${method}; median of ${shares.length} seconds`,
    },
    {
      name: anonymousName,
      value: largest.anonymous,
      unit: 'MiB',
      reach: '<= 40',
      method: `${method}; largest`,
    },
    { name: rssName, value: largest.rss, unit: 'MiB', reach: '<= 80', method: `${method}; largest` },
  ]
}

export const measurements: readonly Measurement[] = [
  { names: [rawName, zstdName], measure: measureWire },
  { names: [cpuName, anonymousName, rssName], measure: measureCollector },
]
