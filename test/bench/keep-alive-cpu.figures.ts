import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab/lab.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { startNginx } from '../lab/nginx.ts'
import { type CpuWindow, cpuWindow, wholeUs } from './cpu-window.ts'
import type { Figure, Measurement, Skipped } from './figure.ts'
import { startProduct } from './product.ts'
import { median, spread } from './statistics.ts'

const rounds = 4
const windowMs = 4_000
const warmUpSeconds = 10
const serverPort = 8080
const sidecarPort = 8081
const clientSidecarPort = 15_001

const cpuName = 'CPU time per nginx keep-alive request, on − off, both ends'
const throughputName = 'throughput of nginx keep-alive requests, on : off'
const sidecarCpuName =
  'CPU time per keep-alive request through two sidecar proxies, added, over what the product adds'
const sidecarLatencyName = 'p99 of a keep-alive request, added by two sidecar proxies'
const ownLatencyName = 'p99 of a keep-alive request, added by the product'

interface Run extends CpuWindow {
  readonly p99Us: number
}
type Round = Readonly<Record<'plain' | 'product' | 'sidecar', Run>>

async function measure(): Promise<(Figure | Skipped)[]> {
  const lab = await Lab.up({ nodes: 1, pods: 2 })
  const found: Round[] = []
  try {
    const server = 'location = /served { stub_status; access_log off; }'
    await startNginx(lab, 'a1', { port: serverPort, server })
    const withSidecar = hasProxy() && (await startSidecars(lab))
    await run(lab, serverPort)
    for (let round = 0; round < rounds; round++) {
      const plain = await run(lab, serverPort)
      const product = await runWithProduct(lab)
      found.push({ plain, product, sidecar: withSidecar ? await run(lab, clientSidecarPort) : plain })
    }
    return figures(found, withSidecar)
  } finally {
    await lab.down()
  }
}

async function runWithProduct(lab: Lab): Promise<Run> {
  const product = await startProduct({ a: await lab.nodeCgroup('a') })
  try {
    await (await wrk(lab, serverPort, warmUpSeconds)).ended
    return await run(lab, serverPort, product.pid)
  } finally {
    await product.stop()
  }
}

/** One client program against the server, or against the proxy in its own pod. */
async function run(lab: Lab, port: number, productPid?: number): Promise<Run> {
  const client = await wrk(lab, port, windowMs / 1000 + 1.5)
  await sleep(750)
  const pids = [...(await lab.processes('a1')), ...(await lab.processes('a2'))]
  const window = await cpuWindow({ pids, productPid, windowMs, count: () => served(lab) })
  const { stdout } = await client.ended
  return { ...window, p99Us: p99Of(stdout) }
}

function wrk(lab: Lab, port: number, seconds: number): Promise<LabProcess> {
  const host = port === clientSidecarPort ? '127.0.0.1' : lab.addresses('a1').v4
  const url = `http://${host}:${port}/1k`
  return lab.spawn('a2', ['wrk', '-t1', '-c8', '--latency', `-d${Math.ceil(seconds)}s`, url])
}

/** Requests that nginx answered, by its own count. */
async function served(lab: Lab): Promise<number> {
  const { stdout } = await lab.inspect('a1', ['curl', '-s', `http://127.0.0.1:${serverPort}/served`])
  const [, , requests] = /^ *(\d+) (\d+) (\d+)/m.exec(stdout)?.slice(1) ?? []
  if (requests === undefined) throw new Error(`nginx says of itself: ${stdout}`)
  return Number(requests)
}

function p99Of(report: string): number {
  const [, amount, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(report) ?? []
  if (amount === undefined) throw new Error(`wrk reports no 99th percentile: ${report}`)
  return Number(amount) * (unit === 'us' ? 1 : unit === 'ms' ? 1e3 : 1e6)
}

function hasProxy(): boolean {
  try {
    execFileSync('haproxy', ['-v'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A proxy beside the client and one beside the server, both of which read HTTP, as a mesh has them. */
async function startSidecars(lab: Lab): Promise<boolean> {
  const server = lab.addresses('a1').v4
  const pairs = [
    { target: 'a1', bind: `${server}:${sidecarPort}`, to: `127.0.0.1:${serverPort}` },
    { target: 'a2', bind: `127.0.0.1:${clientSidecarPort}`, to: `${server}:${sidecarPort}` },
  ]
  for (const { target, bind, to } of pairs) {
    const file = `${lab.directory}/haproxy-${target}.cfg`
    await writeFile(file, proxyConfiguration(bind, to))
    const proxy = await lab.spawn(target, ['haproxy', '-db', '-f', file])
    await lab.listening(proxy, Number(bind.split(':')[1]))
  }
  return true
}

function proxyConfiguration(bind: string, to: string): string {
  return `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
listen sidecar
  bind ${bind}
  server next ${to}
`
}

function figures(found: readonly Round[], withSidecar: boolean): (Figure | Skipped)[] {
  const method = `wrk -c8 to nginx (one worker), keep-alive, ${rounds} rounds of ${windowMs} ms in turns, the product ${warmUpSeconds} s under load before, median`
  const figure = (
    name: string,
    unit: string,
    reach: string,
    of: (round: Round) => number,
    note = '',
  ): Figure => {
    const values = found.map(of)
    return { name, unit, reach, value: median(values), spread: spread(values), method: `${method}${note}` }
  }
  const added = (round: Round, by: 'product' | 'sidecar') => wholeUs(round[by]) - wholeUs(round.plain)
  const own = [
    figure(cpuName, 'µs', '<= 2.5', round => added(round, 'product'), '; nginx, wrk and the whole product'),
    figure(throughputName, '', '', ({ plain, product }) => product.perSecond / plain.perSecond),
    figure(ownLatencyName, 'µs', '', ({ plain, product }) => product.p99Us - plain.p99Us),
  ]
  if (!withSidecar)
    return [
      ...own,
      ...[sidecarCpuName, sidecarLatencyName].map(name => ({ name, skipped: 'haproxy is not installed' })),
    ]
  const proxies = '; haproxy, one thread each, beside the client and beside the server'
  return [
    ...own,
    figure(
      sidecarCpuName,
      '',
      '',
      round => added(round, 'sidecar') / Math.max(0.1, added(round, 'product')),
      proxies,
    ),
    figure(sidecarLatencyName, 'µs', '', ({ plain, sidecar }) => sidecar.p99Us - plain.p99Us, proxies),
  ]
}

export const measurements: readonly Measurement[] = [
  {
    names: [cpuName, throughputName, ownLatencyName, sidecarCpuName, sidecarLatencyName],
    kernel: true,
    measure,
  },
]
