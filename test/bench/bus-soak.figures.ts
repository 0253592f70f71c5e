import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { IngestStatus } from '../../packages/aggregator/src/topology/answer.ts'
import { until } from '../lab/until.ts'
import { programFile } from './bench-program.ts'
import { type BusProduct, startBusProduct } from './bus-product.ts'
import type { Figure, Measurement } from './figure.ts'
import { memoryMib } from './process-cost.ts'
import type { LoadReport } from './programs/bus-load.ts'

const perSecond = Number(process.env.BENCH_RECORDS_PER_SECOND ?? 200_000)
const seconds = Number(process.env.BENCH_SECONDS ?? 600)
const connections = 10 * (perSecond / 2)
const everySeconds = 5

const title = '200,000 records/s over the bus for 10 minutes'
const slopeName = `${title}: memory of the aggregator, slope of the second half`
const lostName = `${title}: records lost`
const delayName = `${title}: event loop delay, p99`
const cpuName = `${title}: processor time of the aggregator, cores`

interface Status {
  readonly ingest: IngestStatus
  readonly process: { readonly cpuSeconds: number; readonly eventLoopDelayP99Ms: number }
}

interface Sample {
  readonly atSeconds: number
  readonly rssMib: number
  readonly delayMs: number
  readonly cpuSeconds: number
}

async function ask(load: ChildProcess, order: 'report' | 'stop'): Promise<LoadReport> {
  const answer = once(load, 'message', { signal: AbortSignal.timeout(120_000) })
  load.send(order)
  return (await answer)[0] as LoadReport
}

async function sampled(product: BusProduct): Promise<Sample[]> {
  const samples: Sample[] = []
  const begun = performance.now()
  while (performance.now() - begun < seconds * 1_000) {
    await sleep(everySeconds * 1_000)
    const { process: own } = await product.get<Status>('/status')
    samples.push({
      atSeconds: (performance.now() - begun) / 1_000,
      rssMib: memoryMib(product.aggregatorPid).rss,
      delayMs: own.eventLoopDelayP99Ms,
      cpuSeconds: own.cpuSeconds,
    })
  }
  return samples
}

/** Least squares, MiB a minute. */
function slope(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, each) => sum + of(each), 0) / samples.length
  const [meanAt, meanRss] = [mean(({ atSeconds }) => atSeconds), mean(({ rssMib }) => rssMib)]
  let [both, square] = [0, 0]
  for (const { atSeconds, rssMib } of samples) {
    both += (atSeconds - meanAt) * (rssMib - meanRss)
    square += (atSeconds - meanAt) ** 2
  }
  return (both / square) * 60
}

/** Records that did not arrive, or arrived and were not counted. */
async function lost(product: BusProduct, published: number): Promise<number> {
  const ingest = async () => (await product.get<Status>('/status')).ingest
  await until('everything is read', async () => (await ingest()).identity.received >= published, {
    timeoutMs: 300_000,
    everyMs: 500,
  })
  const { identity, nodes } = await ingest()
  const sum = (by: Readonly<Record<string, number>>) => Object.values(by).reduce((a, b) => a + b, 0)
  return sum(identity.lost) + nodes.reduce((all, { identity: { records } }) => all + sum(records.lost), 0)
}

async function measure(): Promise<Figure[]> {
  const flags = ['--flow-max-bytes', '1GiB', '--retention', '10m', '--join-capacity', '2097152']
  const product = await startBusProduct({}, flags)
  let load: ChildProcess | undefined
  try {
    load = fork(programFile('bus-load.ts'), [product.server.url, 'local', perSecond, connections].map(String))
    await ask(load, 'report')
    // until every connection is open, and has been read once
    await sleep(20_000)
    const first = await ask(load, 'report')
    const begun = performance.now()
    const samples = await sampled(product)
    const last = await ask(load, 'report')
    const rate = (last.published - first.published) / ((performance.now() - begun) / 1_000)
    const { published } = await ask(load, 'stop')
    const missing = await lost(product, published)
    const half = samples.slice(samples.length >> 1)
    const [a, b] = [samples[0]!, samples.at(-1)!]
    const method = `${Math.round(rate)} records/s of ${connections} live connections for ${seconds} s from one process that makes, compresses and publishes them, 4 partitions, JetStream, zstd; closed minutes kept for 10 minutes`
    return [
      { name: slopeName, value: slope(half), unit: 'MiB/min', reach: '<= 1', method },
      { name: lostName, value: missing, unit: '', reach: '<= 0', method: `${method}; of ${published}` },
      {
        name: delayName,
        value: Math.max(...samples.map(({ delayMs }) => delayMs)),
        unit: 'ms',
        reach: '<= 25',
        method: `${method}; the worst of one reading every ${everySeconds} s`,
      },
      {
        name: cpuName,
        value: (b.cpuSeconds - a.cpuSeconds) / (b.atSeconds - a.atSeconds),
        unit: '',
        reach: '',
        method,
      },
    ]
  } finally {
    load?.kill()
    await product.stop()
  }
}

export const measurements: readonly Measurement[] = [
  { names: [slopeName, lostName, delayName, cpuName], measure },
]
