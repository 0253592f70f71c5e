import type { Lab } from '../lab/lab.ts'
import { startNginx } from '../lab/nginx.ts'
import { namespaceCounters } from '../lab/truth/namespace-counters.ts'
import type { Figure, Measurement } from './figure.ts'
import { kernelTime, rounds, settledMs, type Traffic } from './kernel-time.ts'
import { pingPongTraffic, transactionsPerRound } from './ping-pong.ts'
import { median, spread } from './statistics.ts'

const connectionsPerRound = 20_000
/** What reading them costs has figures of its own. */
const withoutProtocols = ['--l7', 'off']

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

/** Kernel time, ns per unit, a value per round. */
async function measured(traffic: (lab: Lab) => Promise<Traffic>, flags: readonly string[]) {
  const [cost] = await kernelTime(traffic, flags)
  return cost!.kernel
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
      const values = await measured(shortConnections, withoutProtocols)
      const name = 'kernel time per short connection, both ends, with the packet hook'
      return [figure(name, 'ns', '<= 4000', values, shortMethod)]
    },
  },
  {
    names: ['kernel time per send+recv of one end, with the packet hook'],
    kernel: true,
    measure: async () => {
      const perTransaction = await measured(lab => pingPongTraffic(lab, 'tcp'), withoutProtocols)
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
      const perTransaction = await measured(lab => pingPongTraffic(lab, 'udp'), withoutProtocols)
      const values = perTransaction.map(ns => ns / 4)
      const name = 'kernel time per UDP datagram and end'
      return [figure(name, 'ns', '<= 120', values, `${pairMethod}; per datagram and end`)]
    },
  },
]
