import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { startAggregator } from '../../packages/aggregator/src/aggregator.ts'
import { aggregatorConfigSchema } from '../../packages/aggregator/src/config.ts'
import { flowBatch, record, type TestRecord } from '../../packages/aggregator/src/join/flow-batch.testing.ts'
import { createConsole } from '../../packages/cli/src/console.ts'
import {
  createInProcessBus,
  EndReason,
  encodeFlowBatch,
  formatHostPort,
  type InProcessBus,
  Kind,
  loadConfig,
  Role,
  State,
} from '../../packages/shared/src/index.ts'
import { CutLink } from '../oap/cut-link.ts'
import type { Figure, Measurement } from './figure.ts'
import { median, percentile, spread } from './statistics.ts'

const name = 'GET /topology while OAP is full, p99 over that while it takes everything'
const rounds = 4
/** Long enough that an interval is sent in it. */
const phaseMs = 14_000
const askEveryMs = 20
const batchEveryMs = 500
const [clients, servers] = [50, 40]
/** What is read of an OAP that is full: less than there is to send. */
const fullBytesPerSecond = 20_000

/** Both ends of one short connection on each of 2,000 edges, half a second after half a second. */
function feed(bus: InProcessBus): () => void {
  const sent = { north: 0, south: 0 }
  let sequence = 0
  let flows = 0
  const timer = setInterval(() => {
    const atMs = Date.now()
    const records: Record<keyof typeof sent, TestRecord[]> = { north: [], south: [] }
    for (let i = 0; i < clients * servers; i++) {
      const flowId = ++flows
      const from = `10.0.${i % clients}.1:${10_000 + (flowId % 50_000)}`
      const to = `10.1.0.${Math.floor(i / clients)}:80`
      const common = {
        state: State.closed,
        reason: EndReason.fin,
        flags: Kind.first,
        flowId,
        atMs,
        openedMs: atMs,
      }
      const ends = { dialler: flowId, acceptor: 0x4000_0000 + flowId, bytesSent: 100, bytesSentTotal: 100 }
      const shared = { ...common, ...ends }
      const client = { ...shared, role: Role.client, local: from, remote: to, owner: `client-${i % clients}` }
      const server = {
        role: Role.server,
        local: to,
        remote: from,
        owner: `server-${Math.floor(i / clients)}`,
      }
      records.north.push(record(client))
      records.south.push(record({ ...shared, ...server }))
    }
    sequence++
    for (const node of ['north', 'south'] as const) {
      const own = records[node]
      const head = {
        node,
        bootId: (node === 'north' ? '1' : '2').repeat(16),
        schemaVersion: 1,
        cluster: 'local',
      }
      const counted = { sequence, firstRecord: sent[node], recordsEncoded: sent[node] + own.length }
      sent[node] += own.length
      const columns = flowBatch({ ...head, ...counted, sentUnixMs: atMs }, own)
      void bus.publish({ node, partition: 0, data: encodeFlowBatch(columns) })
    }
  }, batchEveryMs)
  return () => clearInterval(timer)
}

/** How long answers take, in ms, over one phase. */
async function answers(url: string): Promise<number[]> {
  const times: number[] = []
  const end = performance.now() + phaseMs
  while (performance.now() < end) {
    const begun = performance.now()
    const answer = await fetch(`${url}/topology?groupBy=process&limit=100`)
    await answer.arrayBuffer()
    if (!answer.ok) throw new Error(`/topology: ${answer.status}`)
    times.push(performance.now() - begun)
    await sleep(askEveryMs)
  }
  return times
}

async function measure(): Promise<readonly Figure[]> {
  const worker = new Worker(new URL('programs/fake-oap.ts', import.meta.url), {
    execArgv: ['--conditions=source'],
  })
  const address = await new Promise<string>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  const link = await CutLink.to(Number(address.split(':')[1]))
  const args = ['--listen', '127.0.0.1:0', '--request-rate', '0', '--oap', link.address]
  const loaded = loadConfig(aggregatorConfigSchema, { args, env: {} })
  if (!loaded.ok) throw new Error(loaded.errors.join(' '))
  const bus = createInProcessBus()
  const { log } = createConsole({ write: () => undefined }, 'silent')
  const aggregator = await startAggregator({ config: loaded.config, bus, log, version: 'bench' })
  const stop = feed(bus)
  const url = `http://${formatHostPort(aggregator.address)}`
  try {
    await answers(url)
    const ratios: number[] = []
    const p99: { free: number[]; full: number[] } = { free: [], full: [] }
    for (let round = 0; round < rounds; round++) {
      link.limit(Number.POSITIVE_INFINITY)
      const free = percentile(await answers(url), 99)
      link.limit(fullBytesPerSecond)
      const full = percentile(await answers(url), 99)
      p99.free.push(free)
      p99.full.push(full)
      ratios.push(full / free)
    }
    const ms = (of: readonly number[]) => `${median(of).toFixed(1)} ms`
    return [
      {
        name,
        value: median(ratios),
        unit: 'times',
        reach: '<= 1.1',
        method: `one process that reads 8,000 records/s on 2,000 edges, feeds an OAP behind a link of ${fullBytesPerSecond / 1000} kB/s or of none, and answers over HTTP; ${rounds} pairs of ${phaseMs / 1000} s in alternation, p99 ${ms(p99.free)} and ${ms(p99.full)}`,
        spread: spread(ratios),
      },
    ]
  } finally {
    stop()
    link.close()
    await aggregator.close()
    await worker.terminate()
  }
}

export const measurements: readonly Measurement[] = [{ names: [name], measure }]
