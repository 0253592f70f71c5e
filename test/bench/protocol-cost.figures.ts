import type { Lab } from '../lab/lab.ts'
import { startNginx } from '../lab/nginx.ts'
import type { Figure, Measurement } from './figure.ts'
import { type Cost, kernelTime, rounds, type Traffic } from './kernel-time.ts'
import { pingPongTraffic } from './ping-pong.ts'
import { median } from './statistics.ts'

const host = (lab: Lab) => lab.addresses('a1').v4

/** The number that a program's report names. */
function reported(report: string, pattern: RegExp): number {
  const [, count] = pattern.exec(report) ?? []
  if (count === undefined) throw new Error(`the report has no count: ${report}`)
  return Number(count)
}

async function http1(lab: Lab): Promise<Traffic> {
  await startNginx(lab, 'a1', { port: 8080, server: 'access_log off;' })
  return async () => {
    const wrk = ['wrk', '-t1', '-c8', '-d3s', `http://${host(lab)}:8080/1k`]
    return reported((await lab.exec('a2', wrk)).stdout, /(\d+) requests in/)
  }
}

async function http2(lab: Lab): Promise<Traffic> {
  await startNginx(lab, 'a1', {
    port: 8080,
    server: 'listen 8082 http2; http2_max_concurrent_streams 128; access_log off;',
  })
  return async () => {
    const load = ['h2load', '-n40000', '-c1', '-m100', `http://${host(lab)}:8082/1k`]
    return reported((await lab.exec('a2', load)).stdout, /(\d+) succeeded/)
  }
}

async function redis(lab: Lab): Promise<Traffic> {
  const argv = [
    'redis-server',
    '--port',
    '6379',
    '--save',
    '',
    '--protected-mode',
    'no',
    '--dir',
    lab.directory,
  ]
  await lab.listening(await lab.spawn('a1', argv), 6379)
  const commands = 320_000
  const load = [
    'redis-benchmark',
    '-h',
    host(lab),
    '-P',
    '16',
    '-c',
    '8',
    '-n',
    String(commands),
    '-t',
    'set',
    '-q',
  ]
  return async () => {
    await lab.exec('a2', load)
    return commands
  }
}

async function bulk(lab: Lab): Promise<Traffic> {
  const megabytes = 64
  await startNginx(lab, 'a1', { port: 8080, files: { bulk: megabytes << 20 } })
  const url = `http://${host(lab)}:8080/bulk`
  const times = 8
  const load = Array.from({ length: times }, () => ['-o', '/dev/null', url]).flat()
  return async () => {
    await lab.exec('a2', ['curl', '-sS', ...load])
    return (times * megabytes) / 0.0625
  }
}

/** Medians of a cost with the protocols read, less those without, per unit. */
function added([off, on]: readonly Cost[]) {
  const of = (part: 'kernel' | 'poll') => median(on![part]) - median(off![part])
  return { kernel: of('kernel'), poll: of('poll') }
}

/** What reading costs for one message exchange, at one of its two ends: its kernel part, its user part and both. */
function perExchange(
  what: string,
  reach: string,
  traffic: (lab: Lab) => Promise<Traffic>,
  load: string,
): Measurement {
  const name = `time added per ${what} and observed end, kernel and user`
  const names = [name, `${name}: kernel`, `${name}: user`]
  return {
    names,
    kernel: true,
    measure: async () => {
      const { kernel, poll } = added(await kernelTime(traffic, ['--l7', 'off'], ['--l7', 'all']))
      const method = `${load}, two pods of one node; with --l7 all less with --l7 off, medians of ${rounds} rounds each; kernel: run time of the programs, user: the thread that empties the rings`
      const values = [kernel + poll, kernel, poll].map(ns => ns / 2)
      return names.map(
        (each, i): Figure => ({
          name: each,
          value: values[i]!,
          unit: 'ns',
          reach: i === 0 ? reach : '',
          method,
        }),
      )
    },
  }
}

/** Kernel time that reading adds, in ns over `parts` of a unit. */
function kernelAdded(
  name: string,
  reach: string,
  traffic: (lab: Lab) => Promise<Traffic>,
  parts: number,
  load: string,
): Measurement {
  return {
    names: [name],
    kernel: true,
    measure: async () => {
      const { kernel } = added(await kernelTime(traffic, ['--l7', 'off'], ['--l7', 'all']))
      const method = `${load}, two pods of one node; with --l7 all less with --l7 off, medians of ${rounds} rounds each`
      return [{ name, value: kernel / parts, unit: 'ns', reach, method }]
    },
  }
}

export const measurements: readonly Measurement[] = [
  perExchange('HTTP/1 request', '<= 1200', http1, 'wrk -c8 to nginx, keep-alive, 1 KiB answers'),
  perExchange('pipelined Redis command', '<= 400', redis, 'redis-benchmark -P 16 -c 8, SET'),
  perExchange('HTTP/2 request', '<= 2000', http2, 'h2load -c1 -m100 to nginx, 1 KiB answers'),
  kernelAdded(
    'kernel time added per 64 KiB of a bulk transfer, both ends',
    '<= 2000',
    bulk,
    1,
    'curl of 8 × 64 MiB from nginx on one connection',
  ),
  kernelAdded(
    'kernel time added per send+recv and end on a connection given up',
    '<= 80',
    lab => pingPongTraffic(lab, 'tcp'),
    2,
    'python3 ping-pong of one byte, which is no protocol',
  ),
]
