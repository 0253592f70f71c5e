import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab/lab.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { until } from '../lab/until.ts'
import { compiled } from './bench-program.ts'
import { startCollectorAlone } from './collector-alone.ts'
import type { Measurement } from './figure.ts'
import { costOver } from './process-cost.ts'

const heldConnections = 20_000
const newPerSecond = 2_000
const seconds = 30
// one process may open 20,000 files without CAP_SYS_RESOURCE, and holds only its own end of each connection
const servers = 4

const anonymousName = 'collector at 20,000 open connections and 2,000 new/s: anonymous memory'
const rssName = 'collector at 20,000 open connections and 2,000 new/s: resident memory'
const cpuName = 'collector at 20,000 open connections and 2,000 new/s: CPU'

async function holdFlows(lab: Lab, connections: string): Promise<void> {
  const holders: LabProcess[] = []
  for (let i = 0; i < servers; i++) {
    const port = 9100 + i
    const server = await lab.spawn('a1', [connections, 'server', String(port)])
    await lab.listening(server, port)
    const count = String(heldConnections / servers)
    const target = [lab.addresses('a1').v4, String(port), count]
    holders.push(await lab.spawn('b1', [connections, 'hold', ...target]))
  }
  await until('connections held', () => holders.every(holder => holder.stdout.includes('holding')), {
    timeoutMs: 60_000,
    describe: () => holders.map(holder => holder.stderr).join(''),
  })
}

async function measure() {
  // the servers' node is observed: 20,000 accepted connections and 2,000 new ones a second
  const connections = await compiled('connections')
  const lab = await Lab.up({ nodes: 2, pods: 2 })
  try {
    const collector = await startCollectorAlone(await lab.nodeCgroup('a'))
    await holdFlows(lab, connections)
    await until('all flows known', async () => (await collector.openFlows()) >= heldConnections, {
      timeoutMs: 30_000,
      everyMs: 200,
    })
    const target = [lab.addresses('a1').v4, '9100', String(newPerSecond), String(seconds + 5)]
    const churn = await lab.spawn('b2', [connections, 'churn', ...target])
    await sleep(5_000)
    const { cpuPercent, most } = await costOver(collector.pid, seconds)
    const churned = await churn.ended
    if (!churned.stdout.startsWith(`done ${newPerSecond * (seconds + 5)}`))
      throw new Error(`churn: ${churned.stdout}${churned.stderr}`)
    await collector.stop()
    const rate = Number(/in ([\d.]+)/.exec(churned.stdout)?.[1])
    const method = `a collector alone in its process, ${seconds} s, ${heldConnections} connections held and ${Math.round((newPerSecond * (seconds + 5)) / rate)} new ones a second, accepted on the observed node`
    return [
      {
        name: anonymousName,
        value: most.anonymous,
        unit: 'MiB',
        reach: '<= 40',
        method: `${method}; largest of one reading a second`,
      },
      {
        name: rssName,
        value: most.rss,
        unit: 'MiB',
        reach: '<= 80',
        method: `${method}; largest of one reading a second`,
      },
      { name: cpuName, value: cpuPercent, unit: '% of one core', reach: '<= 5', method },
    ]
  } finally {
    await lab.down()
  }
}

export const measurements: readonly Measurement[] = [
  { names: [anonymousName, rssName, cpuName], kernel: true, measure },
]
