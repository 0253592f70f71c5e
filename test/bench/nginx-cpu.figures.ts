import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab/lab.ts'
import { startNginx } from '../lab/nginx.ts'
import { namespaceCounters } from '../lab/truth/namespace-counters.ts'
import { type CpuWindow, cpuWindow, wholeUs } from './cpu-window.ts'
import type { Figure, Measurement } from './figure.ts'
import { startProduct } from './product.ts'
import { median, spread } from './statistics.ts'

const pairs = 4
const windowMs = 4_000
/** Under load before it is measured: by then hot code is compiled, and older sockets have been looked for. */
const warmUpSeconds = 12
const cpuName = 'CPU time per nginx short connection, on − off'
const throughputName = 'throughput of nginx short connections, on : off'

function wrk(lab: Lab, seconds: number) {
  const url = `http://${lab.addresses('a1').v4}:8080/1k`
  return lab.spawn('a2', ['wrk', '-t1', '-c32', `-d${Math.ceil(seconds)}s`, '-H', 'Connection: close', url])
}

/** CPU time over the connections of a window in the middle of a run. */
async function load(lab: Lab, productPid: number | undefined): Promise<CpuWindow> {
  const client = await wrk(lab, windowMs / 1000 + 1.5)
  await sleep(750) // part of the load: the first connections warm caches up
  const pids = [...(await lab.processes('a1')), client.pid]
  const count = async () => (await namespaceCounters(lab, 'a2')).TcpActiveOpens!
  const window = await cpuWindow({ pids, productPid, count, windowMs })
  await client.ended
  return window
}

async function loadWithProduct(lab: Lab): Promise<CpuWindow> {
  const product = await startProduct({ a: await lab.nodeCgroup('a') }, ['--l7', 'off'])
  try {
    await (await wrk(lab, warmUpSeconds)).ended
    return await load(lab, product.pid)
  } finally {
    await product.stop()
  }
}

async function measure(): Promise<Figure[]> {
  const lab = await Lab.up({ nodes: 1, pods: 2 })
  const runs: { off: CpuWindow; on: CpuWindow }[] = []
  try {
    await startNginx(lab, 'a1', { port: 8080 })
    await load(lab, undefined)
    for (let pair = 0; pair < pairs; pair++) {
      runs.push({ off: await load(lab, undefined), on: await loadWithProduct(lab) })
    }
  } finally {
    await lab.down()
  }
  return figures(runs)
}

function figures(runs: readonly { readonly off: CpuWindow; readonly on: CpuWindow }[]): Figure[] {
  const method = `wrk -c32 to nginx (one worker), Connection: close, protocols not read, ${pairs} interleaved pairs of ${windowMs} ms, the product ${warmUpSeconds} s under load before, median`
  const part = (name: string, reach: string, values: readonly number[], of: string): Figure => ({
    name,
    unit: 'µs',
    reach,
    value: median(values),
    spread: spread(values),
    method: `${method}; on-CPU time ${of}`,
  })
  const extra = runs.map(({ off, on }) => on.traffic - off.traffic)
  const poll = runs.map(({ on }) => on.poll)
  const script = runs.map(({ on }) => on.script)
  const all = runs.map(({ off, on }) => wholeUs(on) - wholeUs(off))
  const ratios = runs.map(({ off, on }) => on.perSecond / off.perSecond)
  return [
    part(cpuName, '<= 8', all, 'of nginx, wrk and the whole product (collector and aggregator)'),
    part(`${cpuName}: nginx and wrk`, '', extra, 'of nginx and wrk, the kernel programs included'),
    part(`${cpuName}: ring to records`, '', poll, 'of the thread that empties the ring'),
    part(`${cpuName}: JavaScript`, '', script, 'of all other threads of collector and aggregator'),
    { name: throughputName, value: median(ratios), unit: '', reach: '', spread: spread(ratios), method },
  ]
}

export const measurements: readonly Measurement[] = [
  { names: [cpuName, throughputName], kernel: true, measure },
]
