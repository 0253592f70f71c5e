import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { build, Net, Stage, whyNot } from '../../../bpf/tests/stage.ts'
import { flowFilter, flowHead } from '../../../packages/shared/src/nats/index.ts'
import { until } from '../../lab/until.ts'
import { cluster } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { atMost, exactly, finding, type Scenario } from '../scenario.ts'

const kills = { short: 2, full: 10 }
const program = fileURLToPath(new URL('../../../scripts/skybraid.sh', import.meta.url))

/** Kernel programs that a process has open. */
function programsOf(pid: number): Set<number> {
  const ids = new Set<number>()
  for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
    try {
      const id = /^prog_id:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))
      if (id) ids.add(Number(id[1]))
    } catch {
      // closed in between
    }
  }
  return ids
}

function stillLoaded(ids: ReadonlySet<number>): number {
  const list = JSON.parse(execFileSync('bpftool', ['prog', 'list', '-j'], { encoding: 'utf8' }))
  return (list as { id: number }[]).filter(({ id }) => ids.has(id)).length
}

function startCollector(url: string, cgroup: string) {
  const args = ['collector', '--nats', url, '--cluster', cluster, '--node', 'real', '--cgroup', cgroup]
  return spawn('bash', [program, ...args, '--status-listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Resolves at the first batch with records of a boot that is not in `before`. */
async function firstRecords(connection: NatsConnection, before: Set<string>): Promise<void> {
  const subscription = connection.subscribe(flowFilter(cluster))
  const timer = setTimeout(() => subscription.unsubscribe(), 30_000)
  for await (const message of subscription) {
    const head = flowHead(name => message.headers?.get(name))
    if (head === undefined || head.recordCount === 0 || before.has(head.bootId)) continue
    before.add(head.bootId)
    clearTimeout(timer)
    return
  }
  throw new Error('no records came')
}

/** Short connections one after the other until told to stop. */
async function connectOn(stage: Stage, isOver: () => boolean): Promise<number> {
  const server = stage.peer('server')
  const client = stage.peer('client')
  await server.run('tcp l 4', `bind l ${Net.server} 7421`, 'listen l 128')
  let made = 0
  while (!isOver()) {
    const echoed = server.ask('echo l 50', 60_000)
    await client.ask(`burst ${Net.server} 7421 50 10`, 60_000)
    await echoed
    made += 50
  }
  return made
}

export const collectorKilled: Scenario = {
  name: 'collector killed under load',
  fault: size => `skybraid collector on the kernel killed ${kills[size]} times while connections come and go`,
  isShort: false,
  obstacle: () => whyNot() ?? noServer(),
  run: size =>
    onServer(async (server, stack) => {
      build()
      const stage = new Stage()
      stack.defer(() => stage.close())
      const connection = await connect({ servers: server.url, noAsyncTraces: true })
      stack.defer(() => connection.close())
      const boots = new Set<string>()
      let isOver = false
      const traffic = connectOn(stage, () => isOver)
      stack.defer(async () => {
        isOver = true
        await traffic.catch(() => {})
      })
      let slowestMs = 0
      let left = 0
      let held = 0
      let child = startCollector(server.url, stage.cgroup)
      stack.defer(() => void child.kill('SIGKILL'))
      await firstRecords(connection, boots)
      for (let kill = 0; kill < kills[size]; kill++) {
        await sleep(500 + Math.random() * 1_500)
        const programs = programsOf(child.pid!)
        held = Math.max(held, programs.size)
        const closed = once(child, 'close')
        child.kill('SIGKILL')
        await closed
        await until('its programs are gone', () => stillLoaded(programs) === 0, { timeoutMs: 5_000 }).catch(
          () => {},
        )
        left = Math.max(left, stillLoaded(programs))
        const begun = performance.now()
        child = startCollector(server.url, stage.cgroup)
        await firstRecords(connection, boots)
        slowestMs = Math.max(slowestMs, performance.now() - begun)
      }
      const closed = once(child, 'close')
      child.kill('SIGTERM')
      const [code] = (await closed) as [number | null]
      isOver = true
      const made = await traffic
      return [
        finding('connections while it ran', made, made > 0),
        finding('kernel programs of a collector', held, held > 0),
        exactly('kernel programs left by a killed one', left, 0),
        atMost('from its start to its first record', slowestMs / 1_000, 3, ' s'),
        exactly('exit code after SIGTERM', code ?? -1, 0),
      ]
    }),
}
