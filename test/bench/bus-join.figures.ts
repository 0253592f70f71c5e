import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { headers } from '@nats-io/transport-node'
import { encodeFlowBatch } from '../../packages/shared/src/index.ts'
import {
  compressFlowPayload,
  ensureStreams,
  type FlowEncoding,
  flowHeaders,
  flowSubject,
  type NatsLink,
} from '../../packages/shared/src/nats/index.ts'
import { linkWith } from '../nats/bus-link.ts'
import { NatsServer } from '../nats/nats-server.ts'
import { streamSettings } from '../nats/stream-settings.ts'
import { programFile } from './bench-program.ts'
import type { Figure, Measurement } from './figure.ts'
import { LiveConnections } from './live-connections.ts'
import type { ReaderReport } from './programs/bus-reader.ts'
import type { RoundTaken } from './programs/join-worker.ts'

const connections = 1_000_000
/** So many fit into the 48 KB of a batch. */
const recordsPerBatch = 340
const shortPerBatch = 2
const measuredRounds = 1
const mostWaiting = 100_000
const cluster = 'local'

const title = 'NATS socket → decode → join → edge counters, 1 M live connections'
const variants = [
  { name: `${title}, raw`, encoding: 'raw', way: 'subscription', reach: '>= 3' },
  { name: `${title}, zstd`, encoding: 'zstd', way: 'subscription', reach: '>= 2' },
  { name: `${title}, read from JetStream, zstd`, encoding: 'zstd', way: 'stream', reach: '>= 2' },
] as const
type Variant = (typeof variants)[number]

async function reportOf(reader: ChildProcess): Promise<ReaderReport> {
  if (reader.exitCode !== null) throw new Error(`the reader ended with ${reader.exitCode}`)
  const answer = once(reader, 'message', { signal: AbortSignal.timeout(30_000) })
  reader.send('report')
  return (await answer)[0] as ReaderReport
}

/** Publishes what `world` holds, and never gets far ahead of the reader. */
class Publisher {
  published = 0
  readonly #link: NatsLink
  readonly #reader: ChildProcess
  readonly #encoding: FlowEncoding

  constructor(link: NatsLink, reader: ChildProcess, encoding: FlowEncoding) {
    this.#link = link
    this.#reader = reader
    this.#encoding = encoding
  }

  async publish(world: LiveConnections): Promise<void> {
    const { header } = world.columns
    const data = encodeFlowBatch(world.columns)
    const list = headers()
    for (const [name, value] of flowHeaders({ ...header, encoding: this.#encoding })) list.append(name, value)
    const payload = this.#encoding === 'zstd' ? compressFlowPayload(data) : data
    this.#link.connection.publish(flowSubject(cluster, 0, header.node), payload, { headers: list })
    const before = this.published
    this.published += header.recordCount
    const step = mostWaiting / 4
    if (Math.floor(before / step) !== Math.floor(this.published / step)) await this.#caughtUp(mostWaiting)
  }

  /** Waits until at most so many records were published and not booked. */
  async #caughtUp(records: number): Promise<ReaderReport> {
    await this.#link.connection.flush()
    const deadline = performance.now() + 120_000
    for (;;) {
      const report = await reportOf(this.#reader)
      if (this.published - report.received <= records) return report
      if (performance.now() > deadline) throw new Error(`${report.received} of ${this.published} came`)
      await sleep(10)
    }
  }

  /** When everything is booked. */
  async done(): Promise<ReaderReport> {
    const report = await this.#caughtUp(0)
    if (report.applied !== this.published)
      throw new Error(`${report.applied} of ${this.published} records were booked`)
    return report
  }
}

async function openAll(world: LiveConnections, publisher: Publisher): Promise<void> {
  for (let first = 0; first < world.count; first += recordsPerBatch) {
    const count = Math.min(recordsPerBatch, world.count - first)
    for (let node = 0; node < 2; node++) {
      const atMs = Date.now()
      world.begin(node, count, atMs)
      for (let i = 0; i < count; i++) world.reading(i, first + i, node, atMs, 0)
      await publisher.publish(world)
    }
  }
}

async function readAll(world: LiveConnections, round: number, publisher: Publisher): Promise<void> {
  let short = round * 100_000
  for (let at = 0; at < world.count; at += recordsPerBatch) {
    const readings = Math.min(recordsPerBatch, world.count - at)
    for (let node = 0; node < 2; node++) {
      world.batch(node, at, readings, { first: short, count: shortPerBatch }, Date.now(), round)
      await publisher.publish(world)
    }
    short += shortPerBatch
  }
}

async function measureOne({ name, encoding, way, reach }: Variant): Promise<Figure> {
  const server = await NatsServer.start()
  const link = await linkWith(['--nats', server.url])
  let reader: ChildProcess | undefined
  try {
    if (way === 'stream') await ensureStreams(link.jsm, cluster, streamSettings())
    reader = fork(programFile('bus-reader.ts'), [server.url, cluster, way])
    await reportOf(reader)
    const publisher = new Publisher(link, reader, encoding)
    const world = new LiveConnections(connections, Date.now())
    await openAll(world, publisher)
    await readAll(world, 1, publisher)
    const before = await publisher.done()
    for (let round = 2; round < 2 + measuredRounds; round++) await readAll(world, round, publisher)
    const after = await publisher.done()
    const records = after.applied - before.applied
    const from = way === 'stream' ? 'read from the stream' : 'a subscription'
    return {
      name,
      value: records / (after.cpuMs - before.cpuMs) / 1_000,
      unit: 'M records per CPU second',
      reach,
      method: `processor time of the reading process, all threads; batches of ${recordsPerBatch + 2 * shortPerBatch} records from two nodes, ${from}, a server of its own; ${records} records`,
    }
  } finally {
    reader?.kill()
    await link.close()
    await server.stop()
  }
}

const workersName = 'two workers over one, batches preloaded, without the server'
const workerRounds = 3

/** Records a millisecond. */
async function roundOf(worker: Worker): Promise<number> {
  const { records, ms } = (await answerTo(worker, 'book')) as RoundTaken
  return records / ms
}

async function answerTo(worker: Worker, order: 'prepare' | 'book'): Promise<unknown> {
  const answer = once(worker, 'message')
  worker.postMessage(order)
  return (await answer)[0]
}

async function measureWorkers(): Promise<Figure[]> {
  const share = connections / 2
  const workerData = { connections: share }
  const workers = [0, 1].map(() => new Worker(programFile('join-worker.ts'), { workerData }))
  try {
    await Promise.all(workers.map(worker => once(worker, 'message')))
    const gains: number[] = []
    for (let turn = 0; turn < workerRounds; turn++) {
      const alone: number[] = []
      for (const worker of workers) {
        await answerTo(worker, 'prepare')
        alone.push(await roundOf(worker))
      }
      await Promise.all(workers.map(worker => answerTo(worker, 'prepare')))
      const together = await Promise.all(workers.map(roundOf))
      gains.push((2 * (together[0]! + together[1]!)) / (alone[0]! + alone[1]!))
    }
    gains.sort((a, b) => a - b)
    return [
      {
        name: workersName,
        value: gains[gains.length >> 1]!,
        unit: '×',
        reach: '>= 1.7',
        method: `two partitions of ${share} joined connections, each in a worker of its own; by the clock, both at once over the mean of each alone, median of ${workerRounds} turns of ${4 * share} records`,
        spread: [gains[0]!, gains.at(-1)!],
      },
    ]
  } finally {
    await Promise.all(workers.map(worker => worker.terminate()))
  }
}

export const measurements: readonly Measurement[] = [
  ...variants.map(variant => ({
    names: [variant.name],
    measure: async () => [await measureOne(variant)],
  })),
  { names: [workersName], measure: measureWorkers },
]
