import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab/lab.ts'
import { startNginx } from '../lab/nginx.ts'
import { namespaceCounters } from '../lab/truth/namespace-counters.ts'
import type { Measurement } from './figure.ts'
import { cpuNs } from './process-cost.ts'
import { startProduct } from './product.ts'
import { median, spread } from './statistics.ts'

const pairs = 6
const windowMs = 2_500
const cpuName = 'CPU time per nginx short connection, on − off'
const throughputName = 'throughput of nginx short connections, on : off'

interface Load {
  readonly cpuUsPerConnection: number
  readonly connectionsPerSecond: number
}

/** CPU time of nginx, wrk and (while it runs) the product over the connections of a window in the middle of a run. */
async function load(lab: Lab, productPid: number | undefined): Promise<Load> {
  const url = `http://${lab.addresses('a1').v4}:8080/1k`
  const wrk = await lab.spawn('a2', ['wrk', '-t1', '-c32', '-d4s', '-H', 'Connection: close', url])
  await sleep(750) // part of the load: the first connections warm caches up
  const pids = [...(await lab.processes('a1')), wrk.pid, ...(productPid === undefined ? [] : [productPid])]
  const read = async () => ({
    cpu: pids.map(cpuNs).reduce((a, b) => a + b),
    connections: (await namespaceCounters(lab, 'a2')).TcpActiveOpens!,
    at: performance.now(),
  })
  const before = await read()
  await sleep(windowMs)
  const after = await read()
  const connections = after.connections - before.connections
  await wrk.ended
  return {
    cpuUsPerConnection: (after.cpu - before.cpu) / 1000 / connections,
    connectionsPerSecond: (connections / (after.at - before.at)) * 1000,
  }
}

async function measure() {
  const lab = await Lab.up({ nodes: 1, pods: 2 })
  const extraUs: number[] = []
  const ratios: number[] = []
  try {
    await startNginx(lab, 'a1', { port: 8080 })
    await load(lab, undefined)
    for (let pair = 0; pair < pairs; pair++) {
      const off = await load(lab, undefined)
      const product = await startProduct({ a: await lab.nodeCgroup('a') })
      const on = await load(lab, product.pid).finally(() => product.stop())
      extraUs.push(on.cpuUsPerConnection - off.cpuUsPerConnection)
      ratios.push(on.connectionsPerSecond / off.connectionsPerSecond)
    }
  } finally {
    await lab.down()
  }
  const method = `wrk -c32 to nginx (one worker), Connection: close, ${pairs} interleaved pairs of ${windowMs} ms, median`
  return [
    {
      name: cpuName,
      value: median(extraUs),
      unit: 'µs',
      reach: '<= 8',
      spread: spread(extraUs),
      method: `${method}; on-CPU time of nginx, wrk and the whole product (collector and aggregator)`,
    },
    { name: throughputName, value: median(ratios), unit: '', reach: '', spread: spread(ratios), method },
  ]
}

export const measurements: readonly Measurement[] = [
  { names: [cpuName, throughputName], kernel: true, measure },
]
