import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import {
  encodeInterval,
  noCounts,
  type OapInterval,
} from '../../packages/aggregator/src/export/oap/interval/access-log.ts'
import { createEndNames } from '../../packages/aggregator/src/export/oap/interval/end-names.ts'
import { messagesOf } from '../../packages/aggregator/src/export/oap/interval/framed-messages.ts'
import type { HttpRequests } from '../../packages/aggregator/src/export/oap/interval/http-requests.ts'
import { createIntervalQueue } from '../../packages/aggregator/src/export/oap/interval/interval-queue.ts'
import { packPairs } from '../../packages/aggregator/src/export/oap/interval/packed-pairs.testing.ts'
import { createPairBook, type PairBook } from '../../packages/aggregator/src/export/oap/interval/pair-book.ts'
import { createOapConnection, OapCode } from '../../packages/aggregator/src/export/oap/oap-connection.ts'
import { type OapConfig, oapConfigSchema } from '../../packages/aggregator/src/export/oap/options.ts'
import { createEntityIndex } from '../../packages/aggregator/src/resolve/entity-index.ts'
import { Counter } from '../../packages/aggregator/src/topology/counters.ts'
import { createTopology } from '../../packages/aggregator/src/topology/topology.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import type { Figure, Measurement } from './figure.ts'

const edges = 20_000
const services = 2_000
const intervalsPerMinute = 6
const minute = Math.floor(Date.now() / 60_000)

const cpuName = 'OAP: processor time of the export per 1,000 edges and minute, used in every interval'
const rateName = 'OAP: messages to one that takes everything'
const packName = 'OAP: connections in one message'
const memoryName = 'OAP: memory while it is away for 15 min, 20,000 edges'
const memoryWithName = `${memoryName}, and as many requests as the budget allows`
/** What the default budget leaves of an interval, all of them different. */
const requestsPerInterval = 20_000

function optionsOf(args: readonly string[]): OapConfig {
  const loaded = loadConfig(oapConfigSchema, { args, env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  return loaded.config as OapConfig
}

/** Every edge is used in every interval, by both ends. */
function createWorld() {
  const index = createEntityIndex()
  const pairs: PairBook = createPairBook({ names: createEndNames({ index, cluster: '' }) })
  const topology = createTopology({ index, startMs: minute * 60_000, onDelta: pairs.add })
  const book = topology.book(0)
  const nodes = ['north', 'south'].map(name => index.node(name))
  const programs = Array.from({ length: services }, (_, i) =>
    index.ofOwner(nodes[i & 1]!, {
      process: `program-${i}`,
      unit: `unit-${i}.service`,
      containerId: '',
      podUid: '',
      cgroup: '',
      pid: i,
    }),
  )
  const ids = Array.from({ length: edges }, (_, e) =>
    // ten callees for every caller, all different
    book.edge(
      programs[e % services]!,
      programs[(e + 1 + Math.floor(e / services)) % services]!,
      1,
      80,
      -1,
      0,
    ),
  )
  return {
    topology,
    pairs,
    traffic() {
      for (const edge of ids) {
        const row = book.row(edge, minute)
        const { counters } = book
        counters[row + Counter.clientOpened] += 1
        counters[row + Counter.clientHandshakeUsSum] += 150
        counters[row + Counter.clientClosed] += 1
        counters[row + Counter.serverAccepted] += 1
        counters[row + Counter.serverClosed] += 1
        for (const side of ['client', 'server'] as const) {
          counters[row + Counter[`${side}BytesSent`]] += 12_345
          counters[row + Counter[`${side}BytesReceived`]] += 54_321
          counters[row + Counter[`${side}SegmentsSent`]] += 40
          counters[row + Counter[`${side}SegmentsReceived`]] += 60
        }
      }
    },
    /** What the exporter does at the end of an interval. */
    take(): OapInterval[] {
      topology.markDeltas()
      topology.takeDeltas()
      return pairs.drain(minute * 60_000).map(each => ({ ...each, http: [] }))
    },
  }
}

async function withFake<T>(work: (address: string) => Promise<T>): Promise<T> {
  const worker = new Worker(new URL('programs/fake-oap.ts', import.meta.url), {
    execArgv: ['--conditions=source'],
  })
  try {
    const address = await new Promise<string>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    return await work(address)
  } finally {
    await worker.terminate()
  }
}

async function measureExport(): Promise<Figure[]> {
  const world = createWorld()
  return withFake(async address => {
    const connection = createOapConnection(address, optionsOf([]))
    const cpuMs: number[] = []
    let rates: number[] = []
    for (let round = 0; round < 8; round++) {
      let cpu = 0
      for (let interval = 0; interval < intervalsPerMinute; interval++) {
        world.traffic()
        const before = process.threadCpuUsage()
        for (const each of world.take()) {
          const begun = performance.now()
          const counts = noCounts()
          const options = { node: 'node', cluster: '', nowMs: minute * 60_000 }
          const answer = await connection.send(encodeInterval(each, options, counts))
          if (answer.code !== OapCode.ok) throw new Error(`${answer.code} ${answer.details}`)
          rates.push(counts.messages / ((performance.now() - begun) / 1000))
        }
        const used = process.threadCpuUsage(before)
        cpu += (used.user + used.system) / 1000
      }
      cpuMs.push(cpu / (edges / 1_000))
    }
    connection.close()
    const steady = cpuMs.slice(2).sort((a, b) => a - b)
    rates = rates.slice(2 * intervalsPerMinute).sort((a, b) => a - b)
    const what = `${edges} edges used by both ends in each of ${intervalsPerMinute} intervals`
    return [
      {
        name: cpuName,
        value: steady[steady.length >> 1]!,
        unit: 'ms',
        reach: '<= 50',
        method: `${what}: differences, names, encoding and gRPC, processor time of the thread; median of ${steady.length} minutes`,
        spread: [steady[0]!, steady.at(-1)!],
      },
      {
        name: rateName,
        value: rates[rates.length >> 1]!,
        unit: 'messages/s',
        reach: '>= 50000',
        method: `streams of ${2 * edges} messages over loopback to a fake OAP on a thread of its own; median of ${rates.length} streams`,
        spread: [rates[0]!, rates.at(-1)!],
      },
    ]
  })
}

function measurePacking(): Figure[] {
  const end = (service: string) => ({ service, pod: 'pod-0', properties: [] })
  const amounts = Float64Array.of(10_000, 1_500_000, 10_000, 0, 0, 0, 0, 0, 0)
  const pairs = packPairs([{ role: 0, local: end('web'), remote: end('api'), amounts }])
  const counts = noCounts()
  const options = { node: 'node', cluster: '', nowMs: minute * 60_000 }
  const messages = [...messagesOf(encodeInterval({ unixMinute: minute, pairs, http: [] }, options, counts))]
  return [
    {
      name: packName,
      value: counts.logs / messages.length,
      unit: 'logs',
      reach: '>= 500',
      method: `10,000 connections that opened and closed between two pods, in ${messages.length} messages`,
    },
  ]
}

/** Requests of the services to each other, each with a path of its own. */
function requestsOf(interval: number): HttpRequests[] {
  return Array.from({ length: requestsPerInterval }, (_, i) => ({
    role: 1,
    local: ends[i % services]!,
    remote: ends[(i + 1 + Math.floor(i / services)) % services]!,
    method: 'GET',
    path: `/items/${i % 500}`,
    status: 200,
    version: 1,
    latencies: [[12_345 + interval + i, 1]],
    requestHeaderBytes: 0,
    requestBodyBytes: 345,
    responseHeaderBytes: 0,
    responseBodyBytes: 12_345,
  }))
}

const ends = Array.from({ length: services }, (_, i) => ({
  service: `program-${i}.unit-${i}.service`,
  pod: i % 2 === 0 ? 'north' : 'south',
  properties: [],
}))

function measureMemory(name: string, hasRequests: boolean): Figure[] {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = () => {
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const world = createWorld()
  const queue = createIntervalQueue({ maxAgeMs: 15 * 60_000, maxBytes: 128 * 1024 * 1024 })
  world.traffic()
  world.take()
  const before = used()
  const intervals = 15 * intervalsPerMinute
  for (let i = 0; i < intervals; i++) {
    world.traffic()
    const http = hasRequests ? requestsOf(i) : []
    for (const each of world.take()) queue.push({ ...each, http, takenMs: i * 10_000 })
  }
  const after = used()
  if (queue.counts().intervals !== intervals)
    throw new Error(`${queue.counts().intervals} intervals are kept`)
  return [
    {
      name,
      value: (after - before) / 2 ** 20,
      unit: 'MiB',
      reach: '<= 150',
      method: `heap and buffers after ${intervals} intervals in which every edge was used by both ends${hasRequests ? `, with ${requestsPerInterval} requests in each` : ''}, less before`,
    },
  ]
}

export const measurements: readonly Measurement[] = [
  { names: [cpuName, rateName], measure: measureExport },
  { names: [packName], measure: measurePacking },
  { names: [memoryName], measure: () => measureMemory(memoryName, false) },
  { names: [memoryWithName], measure: () => measureMemory(memoryWithName, true) },
]
