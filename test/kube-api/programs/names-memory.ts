// The aggregator over a cluster that is at rest. Argument: a kubeconfig. Prints one line of JSON: what it takes once
// everything is listed, and the longest time that its event loop was kept from turning meanwhile.
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { aggregatorConfigSchema, startAggregator } from '../../../packages/aggregator/src/index.ts'
import { createConsole } from '../../../packages/cli/src/console.ts'
import { createInProcessBus, loadConfig } from '../../../packages/shared/src/index.ts'

export interface NamesMemory {
  readonly pods: number
  /** After a collection, MiB. */
  readonly heap: number
  readonly rss: number
  /** Longest time that the event loop was kept from turning while it listed. */
  readonly blockMs: number
  /** Longest processor time of the loop's thread within a millisecond timer's turn, which others cannot lengthen. */
  readonly blockCpuMs: number
  readonly syncMs: number
  /** Lists and watches that were asked for since everything was listed. */
  readonly requestsAtRest: number
}

interface Status {
  readonly kubernetes: {
    readonly synced: boolean
    readonly pods: number
    readonly resources: readonly {
      readonly lists: number
      readonly watches: number
      readonly watching: boolean
    }[]
  }
}

/** The most processor time that this thread takes between two turns of its event loop. */
function watchTurns(): { stop(): number } {
  const cpuMs = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1e3
  }
  let before = cpuMs()
  let most = 0
  const look = () => {
    const now = cpuMs()
    most = Math.max(most, now - before)
    before = now
  }
  const timer = setInterval(look, 1)
  return {
    stop() {
      clearInterval(timer)
      look()
      return most
    },
  }
}

const { log } = createConsole(process.stderr, 'error')
const args = ['--listen', '127.0.0.1:0', '--kubernetes', 'kubeconfig', '--kubeconfig', process.argv[2]!]
const loaded = loadConfig(aggregatorConfigSchema, { args, env: {} })
if (!loaded.ok) throw new Error(loaded.errors.join(' '))
const aggregator = await startAggregator({
  config: loaded.config,
  bus: createInProcessBus(),
  log,
  version: '0',
})
const url = `http://127.0.0.1:${aggregator.address.port}/status`
const status = async () => ((await (await fetch(url)).json()) as Status).kubernetes
const asked = ({ resources }: Status['kubernetes']) => resources.reduce((n, r) => n + r.lists + r.watches, 0)

await status()
// what starting takes is another matter
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const turns = watchTurns()
const begun = performance.now()
let now = await status()
while (!now.synced || !now.resources.every(r => r.watching)) {
  if (performance.now() - begun > 120_000) throw new Error(`not listed: ${JSON.stringify(now)}`)
  await setTimeout(20)
  now = await status()
}
const syncMs = performance.now() - begun
delay.disable()
const blockMs = delay.max / 1e6
const blockCpuMs = turns.stop()
const before = asked(now)
await setTimeout(3000)
for (let i = 0; i < 3; i++) {
  globalThis.gc!()
  await setTimeout(200)
}
const rss = Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024
const requestsAtRest = asked(await status()) - before
const heap = process.memoryUsage().heapUsed / 2 ** 20
const result: NamesMemory = { pods: now.pods, heap, rss, blockMs, blockCpuMs, syncMs, requestsAtRest }
await aggregator.close()
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit())
