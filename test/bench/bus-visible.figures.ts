import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab/lab.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { until } from '../lab/until.ts'
import { compiled, programFile } from './bench-program.ts'
import { type BusProduct, startBusProduct } from './bus-product.ts'
import type { Measurement } from './figure.ts'
import { percentile, spread } from './statistics.ts'

const trials = 100
const perSecond = 1_000
const [trialPort, churnPort] = [9000, 9100]
/** For all trials, generously; it is ended with them. */
const churnSeconds = 300
const name = 'close in the kernel → visible in /topology over the bus, 1,000 connections/s, p99'

interface Answer {
  readonly edges?: readonly {
    readonly port: number
    readonly tcp?: { readonly client?: { readonly closed: number } }
  }[]
}

async function closedSeen(product: BusProduct): Promise<number> {
  const { edges } = await product.get<Answer>('/topology?window=60m&include=detail&groupBy=process')
  return (edges ?? [])
    .filter(({ port }) => port === trialPort)
    .reduce((sum, { tcp }) => sum + (tcp?.client?.closed ?? 0), 0)
}

async function startServers(lab: Lab, connections: string): Promise<void> {
  for (const port of [trialPort, churnPort]) {
    const server = await lab.spawn('b1', [connections, 'server', String(port)])
    await lab.listening(server, port)
  }
}

/** One connection; answers how long after its end it is seen, ms. */
async function trial(n: number, client: LabProcess, product: BusProduct): Promise<number> {
  // spread over the phases of the flush interval
  await sleep((n * 137) % 600)
  client.write('\n')
  await until('the client closed', () => client.stdout.split('\n').length - 1 >= n, { everyMs: 1 })
  const closedAtMs = Number(client.stdout.trim().split('\n').at(-1))
  await until('it is visible', async () => (await closedSeen(product)) >= n, { everyMs: 5 })
  return Date.now() - closedAtMs
}

async function measure() {
  const lab = await Lab.up({ nodes: 2, pods: 2 })
  const latenciesMs: number[] = []
  let product: BusProduct | undefined
  try {
    product = await startBusProduct({ a: await lab.nodeCgroup('a'), b: await lab.nodeCgroup('b') })
    const connections = await compiled('connections')
    await startServers(lab, connections)
    const host = lab.addresses('b1').v4
    const load = [host, churnPort, perSecond, churnSeconds].map(String)
    const churn = await lab.spawn('a2', [connections, 'churn', ...load])
    await sleep(5_000)
    const client = await lab.spawn('a1', ['python3', programFile('close-at.py'), host, String(trialPort)])
    for (let n = 1; n <= trials; n++) latenciesMs.push(await trial(n, client, product))
    if (!churn.running) throw new Error(`the load ended: ${churn.stderr}`)
  } finally {
    await product?.stop()
    await lab.down()
  }
  const method = `${trials} connections one after the other between two nodes beside ${perSecond} others a second, collectors, server and aggregator in processes of their own, default settings, /topology polled every 5 ms; wall clock of one machine`
  return [
    {
      name,
      value: percentile(latenciesMs, 99),
      unit: 'ms',
      reach: '<= 1000',
      spread: spread(latenciesMs),
      method,
    },
  ]
}

export const measurements: readonly Measurement[] = [{ names: [name], kernel: true, measure }]
