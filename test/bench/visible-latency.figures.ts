import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab/lab.ts'
import { until } from '../lab/until.ts'
import { compiled, programFile } from './bench-program.ts'
import type { Measurement } from './figure.ts'
import { type Product, startProduct } from './product.ts'
import { percentile, spread } from './statistics.ts'

const trials = 200
const name = 'close in the kernel → visible in /topology, p99'

interface Answer {
  readonly edges?: readonly { readonly tcp?: { readonly client?: { readonly closed: number } } }[]
}

async function closedSeen(product: Product): Promise<number> {
  const { edges } = await product.get<Answer>('/topology?window=60m&include=detail')
  // an overloaded API refuses with a problem: nothing is visible then
  return (edges ?? []).reduce((sum, edge) => sum + (edge.tcp?.client?.closed ?? 0), 0)
}

async function measure() {
  const lab = await Lab.up({ nodes: 2, pods: 1 })
  const latenciesMs: number[] = []
  let product: Product | undefined
  try {
    const started = await startProduct({ a: await lab.nodeCgroup('a'), b: await lab.nodeCgroup('b') }, [
      '--request-rate',
      '0',
    ])
    product = started
    const server = await lab.spawn('b1', [await compiled('connections'), 'server', '9000'])
    await lab.listening(server, 9000)
    const client = await lab.spawn('a1', [
      'python3',
      programFile('close-at.py'),
      lab.addresses('b1').v4,
      '9000',
    ])
    let lines = 0
    for (let trial = 1; trial <= trials; trial++) {
      // spread over the phases of the flush interval
      await sleep((trial * 137) % 600)
      client.write('\n')
      await until('the client closed', () => client.stdout.split('\n').length - 1 > lines, { everyMs: 1 })
      lines += 1
      const closedAtMs = Number(client.stdout.trim().split('\n').at(-1))
      await until('visible', async () => (await closedSeen(started)) >= trial, { everyMs: 2 })
      latenciesMs.push(Date.now() - closedAtMs)
    }
  } finally {
    await product?.stop()
    await lab.down()
  }
  const method = `${trials} connections one after the other between two nodes, default settings, /topology polled every 2 ms; wall clock of one machine`
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
