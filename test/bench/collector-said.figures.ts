import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab/lab.ts'
import { startNginx } from '../lab/nginx.ts'
import { startCollectorAlone } from './collector-alone.ts'
import type { Figure, Measurement } from './figure.ts'
import { costOver } from './process-cost.ts'

const connections = 500
const requestsPerSecond = 10_000
const seconds = 30

const what = 'collector at 10,000 HTTP/1 requests/s on 500 connections'
const cpuName = `${what}: CPU`
const anonymousName = `${what}: anonymous memory`
const rssName = `${what}: resident memory`

async function measure(): Promise<Figure[]> {
  const lab = await Lab.up({ nodes: 2, pods: 2 })
  try {
    // the server's node is observed
    await startNginx(lab, 'a1', { port: 8080, server: 'access_log off;' })
    const collector = await startCollectorAlone(await lab.nodeCgroup('a'))
    const rate = `--rps=${requestsPerSecond / connections}`
    const url = `http://${lab.addresses('a1').v4}:8080/1k`
    const load = await lab.spawn('b1', ['h2load', '--h1', `-c${connections}`, rate, `-D${seconds + 10}`, url])
    await sleep(5_000)
    const { cpuPercent, most } = await costOver(collector.pid, seconds)
    const { stdout } = await load.ended
    const [, perSecond] = /, ([\d.]+) req\/s/.exec(stdout) ?? []
    if (perSecond === undefined) throw new Error(`h2load says: ${stdout}`)
    await collector.stop()
    const method = `a collector alone in its process on the server's node, ${seconds} s, h2load to nginx, ${perSecond} requests/s came about`
    const largest = `${method}; largest of one reading a second`
    return [
      { name: cpuName, value: cpuPercent, unit: '% of one core', reach: '<= 3', method },
      {
        name: anonymousName,
        value: most.anonymous,
        unit: 'MiB',
        reach: '<= 40',
        method: largest,
      },
      { name: rssName, value: most.rss, unit: 'MiB', reach: '<= 80', method: largest },
    ]
  } finally {
    await lab.down()
  }
}

export const measurements: readonly Measurement[] = [
  { names: [cpuName, anonymousName, rssName], kernel: true, measure },
]
