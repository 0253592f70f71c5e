import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { manualClock } from '../../packages/collector/src/manual-clock.testing.ts'
import type { BusMessage } from '../../packages/shared/src/index.ts'
import {
  compressFlowPayload,
  flowHeaders,
  flowMessageId,
  flowSubject,
} from '../../packages/shared/src/nats/index.ts'
import { makeStreams } from '../fault/arena.ts'
import { startSimulation } from '../fault/simulation.ts'
import { createWorld, type World } from '../fault/world/world.ts'
import { runCommand } from '../lab/run-command.ts'
import { NatsServer } from '../nats/nats-server.ts'
import { programFile } from './bench-program.ts'
import type { Figure, Measurement } from './figure.ts'
import { median } from './statistics.ts'

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
const seconds = 20
/** As scripts/skybraid.sh starts a collector. */
const nodeFlags = ['--max-semi-space-size=1', '--max-old-space-size=64']

interface Load {
  readonly records: number
  readonly wallMs: number
  readonly cpuMs: number
  readonly rss: number
  readonly anonymous: number
  readonly unacknowledged: number
}

/** Ten seconds of one node's flushes in a file. */
function writeFlushes(path: string): void {
  const world = busyWorld()
  const pieces: Uint8Array[] = []
  for (let flush = 0; flush < 40; flush++) {
    const before = world.records[0]
    const bytes = world.flush()[0]
    // what opens at the start is not what a busy node makes later
    if (flush < 20) continue
    pieces.push(new Uint8Array(Float64Array.of(bytes.byteLength, world.records[0] - before).buffer))
    pieces.push(new Uint8Array(bytes))
  }
  writeFileSync(path, Buffer.concat(pieces))
}

async function measureCollector(): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'skybraid-bench-'))
  const server = await NatsServer.start()
  try {
    await makeStreams(server.url)
    const file = join(folder, 'flushes')
    writeFlushes(file)
    const load = async (url: string): Promise<Load> => {
      const args = [file, String(perSecond), String(seconds), url]
      const { stdout } = await runCommand([process.execPath, ...nodeFlags, programFile('collector-load.mjs'), ...args])
      return JSON.parse(stdout) as Load
    }
    const runs: Load[] = []
    const shares: number[] = []
    for (let round = 0; round < 3; round++) {
      const feeding = await load('-')
      const run = await load(server.url)
      if (run.unacknowledged !== 0) throw new Error(`${run.unacknowledged} records were not acknowledged`)
      runs.push(run)
      shares.push((100 * run.cpuMs) / run.wallMs - (100 * feeding.cpuMs) / feeding.wallMs)
    }
    const rate = Math.round(runs[0].records / (runs[0].wallMs / 1_000))
    const method = `the built collector but for the kernel part, ${rate} records/s from a file for ${seconds} s, zstd, JetStream with file storage; median of 3 runs`
    const mib = (of: 'rss' | 'anonymous') => median(runs.map(run => run[of]))
    return [
      {
        name: cpuName,
        value: median(shares),
        unit: '%',
        reach: '<= 3',
        method: `${method}, what reading the file costs taken off`,
      },
      {
        name: anonymousName,
        value: mib('anonymous'),
        unit: 'MiB',
        reach: '<= 40',
        method: `${method}, largest`,
      },
      { name: rssName, value: mib('rss'), unit: 'MiB', reach: '<= 80', method: `${method}, largest` },
    ]
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

export const measurements: readonly Measurement[] = [
  { names: [rawName, zstdName], measure: measureWire },
  { names: [cpuName, anonymousName, rssName], measure: measureCollector },
]
