import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab/lab.ts'
import { startNginx } from '../lab/nginx.ts'
import { namespaceCounters } from '../lab/truth/namespace-counters.ts'
import { until } from '../lab/until.ts'
import { programFile } from './bench-program.ts'
import type { Figure, Measurement } from './figure.ts'
import { startProduct } from './product.ts'
import { runTimesOf, spent, startAccounting } from './run-time.ts'
import { median, spread } from './statistics.ts'

const rounds = 5
/** For so long the product looks out for sockets older than itself at every packet; measured is what comes after. */
const settledMs = 11_000
const connectionsPerRound = 20_000
const transactionsPerRound = 40_000
const pingPong = programFile('ping-pong.py')

interface EmptyCost {
  /** ns per run of a program that does nothing. */
  readonly tracing: number
  readonly cgroup_skb: number
}

/** Runs traffic and answers how many units of it there were. */
type Traffic = () => Promise<number>

/** Kernel time of our programs per unit of traffic, without iterators (the collector's own time) and accounting. */
async function costPerUnit(pid: number, empty: EmptyCost, traffic: Traffic): Promise<number[]> {
  const values: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = runTimesOf(pid)
    const units = await traffic()
    const { tracing, cgroup_skb } = spent(before, runTimesOf(pid))
    const net = tracing.ns - tracing.runs * empty.tracing + cgroup_skb.ns - cgroup_skb.runs * empty.cgroup_skb
    values.push(net / units)
  }
  return values
}

async function emptyCost(lab: Lab, traffic: Traffic): Promise<EmptyCost> {
  const accounting = await startAccounting(await lab.nodeCgroup('a'))
  try {
    const before = runTimesOf(accounting.pid)
    await traffic()
    const { tracing, cgroup_skb } = spent(before, runTimesOf(accounting.pid))
    const packet = cgroup_skb.ns / cgroup_skb.runs
    // UDP traffic changes no TCP state; the few runs for other programs' sockets are taken to cost as much
    return { tracing: tracing.runs > 0 ? tracing.ns / tracing.runs : packet, cgroup_skb: packet }
  } finally {
    await accounting.stop()
  }
}

/** Short HTTP connections from one pod to another; counted by the client's own kernel. */
async function shortConnections(lab: Lab): Promise<Traffic> {
  await startNginx(lab, 'a1', { port: 8080 })
  const url = `http://${lab.addresses('a1').v4}:8080/1k`
  return async () => {
    const before = await namespaceCounters(lab, 'a2')
    const opened = async () => (await namespaceCounters(lab, 'a2')).TcpActiveOpens! - before.TcpActiveOpens!
    while ((await opened()) < connectionsPerRound) {
      await lab.exec('a2', ['wrk', '-t1', '-c16', '-d1s', '-H', 'Connection: close', url])
    }
    return opened()
  }
}

/** One client and one server of ping-pong.py; a transaction is one message each way. */
async function pingPongTraffic(lab: Lab, protocol: 'tcp' | 'udp'): Promise<Traffic> {
  const port = protocol === 'tcp' ? 9001 : 9002
  const server = await lab.spawn('a1', ['python3', pingPong, `${protocol}-server`, String(port)])
  await lab.listening(server, port, protocol)
  return async () => {
    const target = [lab.addresses('a1').v4, String(port), String(transactionsPerRound)]
    const client = await lab.spawn('a2', ['python3', pingPong, `${protocol}-client`, ...target])
    await until('client connected', () => client.stdout.includes('connected'))
    client.write('go\n')
    await until('client done', () => client.stdout.includes('done'), { timeoutMs: 120_000 })
    client.write('end\n')
    await client.ended
    return transactionsPerRound
  }
}

async function inLab<T>(run: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = await Lab.up({ nodes: 1, pods: 2 })
  try {
    return await run(lab)
  } finally {
    await lab.down()
  }
}

/** Measures with the product on the lab's only node, so that both ends of every connection pay. */
function measured(traffic: (lab: Lab) => Promise<Traffic>, flags: readonly string[]): Promise<number[]> {
  return inLab(async lab => {
    const run = await traffic(lab)
    const empty = await emptyCost(lab, run)
    const accounting = await startAccounting()
    const product = await startProduct({ a: await lab.nodeCgroup('a') }, flags)
    try {
      await sleep(settledMs)
      return await costPerUnit(product.pid, empty, run)
    } finally {
      await product.stop()
      await accounting.stop()
    }
  })
}

function figure(
  name: string,
  unit: string,
  reach: string,
  values: readonly number[],
  method: string,
): Figure {
  return { name, unit, reach, value: median(values), spread: spread(values), method }
}

const shortMethod = `wrk to nginx, Connection: close, two pods of one node, ${rounds} rounds of ${connectionsPerRound} or more connections from the ${settledMs / 1000}th second on, median`
const pairMethod = `python3 ping-pong of one byte, ${rounds} rounds of ${transactionsPerRound} transactions from the ${settledMs / 1000}th second on, median; a transaction is two messages, each seen by two ends`

export const measurements: readonly Measurement[] = [
  {
    names: ['kernel time per short connection, both ends, without the packet hook'],
    kernel: true,
    measure: async () => {
      const values = await measured(shortConnections, ['--no-udp'])
      const name = 'kernel time per short connection, both ends, without the packet hook'
      return [figure(name, 'ns', '<= 3000', values, shortMethod)]
    },
  },
  {
    names: ['kernel time per short connection, both ends, with the packet hook'],
    kernel: true,
    measure: async () => {
      const values = await measured(shortConnections, [])
      const name = 'kernel time per short connection, both ends, with the packet hook'
      return [figure(name, 'ns', '<= 4000', values, shortMethod)]
    },
  },
  {
    names: ['kernel time per send+recv of one end, with the packet hook'],
    kernel: true,
    measure: async () => {
      const perTransaction = await measured(lab => pingPongTraffic(lab, 'tcp'), [])
      const values = perTransaction.map(ns => ns / 2)
      const name = 'kernel time per send+recv of one end, with the packet hook'
      return [figure(name, 'ns', '<= 80', values, `${pairMethod}; per end`)]
    },
  },
  {
    names: ['kernel time per send+recv of one end, without the packet hook'],
    kernel: true,
    measure: async () => {
      const perTransaction = await measured(lab => pingPongTraffic(lab, 'tcp'), ['--no-udp'])
      const values = perTransaction.map(ns => ns / 2)
      const name = 'kernel time per send+recv of one end, without the packet hook'
      return [figure(name, 'ns', '<= 1', values, `${pairMethod}; per end`)]
    },
  },
  {
    names: ['kernel time per UDP datagram and end'],
    kernel: true,
    measure: async () => {
      const perTransaction = await measured(lab => pingPongTraffic(lab, 'udp'), [])
      const values = perTransaction.map(ns => ns / 4)
      const name = 'kernel time per UDP datagram and end'
      return [figure(name, 'ns', '<= 120', values, `${pairMethod}; per datagram and end`)]
    },
  },
]
