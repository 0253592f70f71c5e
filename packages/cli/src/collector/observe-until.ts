import { setTimeout as pause } from 'node:timers/promises'
import {
  type CaptureSource,
  type Collector,
  parseSampling,
  randomBootId,
  startCollector,
} from '@skybraid/collector'
import {
  collectorMetrics,
  createJetStreamPublisher,
  dropCapabilities,
  followLayout,
  type JetStreamPublisher,
  openFileStore,
  type Readiness,
  releaseStartupCode,
  startStatusServer,
} from '@skybraid/collector/program'
import { formatHostPort, type PartitionLayout } from '@skybraid/shared'
import { connectNats, type NatsLink, nodeToken, readLayout } from '@skybraid/shared/nats'
import { attachReport } from '../attach-report.ts'
import { type Console, createConsole } from '../console.ts'
import { ExitCode } from '../exit-code.ts'
import { changedOptions, reloadAt } from '../reload.ts'
import { complain, complainOf, type Surroundings } from '../surroundings.ts'
import { readVersion } from '../version.ts'
import type { CollectorProgramConfig } from './options.ts'

export type NodeConfig = CollectorProgramConfig & { readonly node: string }

const startupMs = 10_000
/** Capturing does not wait longer for the bus. */
const layoutMs = 1_000

/** Where the options come from, to read them again while the program runs. */
export interface Reload {
  readonly configPath: string | undefined
  /** Undefined if something is wrong with them now, which is then said. */
  readonly readAgain: () => Promise<CollectorProgramConfig | undefined>
}

/**
 * Captures at once, publishes as soon as the bus can be reached, and ends when told to or when it never can.
 * `source` stands in for the kernel.
 */
export async function observeUntil(
  stop: Promise<string>,
  config: NodeConfig,
  reload: Reload,
  around: Surroundings,
  source?: CaptureSource,
): Promise<number> {
  const console = createConsole(around.stdout, config.logLevel)
  const { log } = console
  console.say(`skybraid collector ${readVersion()}, node ${config.node}, cluster ${config.cluster}`)
  const encoding = config.compress === 'none' ? 'raw' : 'zstd'
  const bus = createJetStreamPublisher({ cluster: config.cluster, encoding, log })
  const connecting = connectInBackground(config, bus, console)
  const collector = await startWithStore(config, bus, console, await connecting.layout, source).catch(
    async (error: unknown) => {
      await connecting.close()
      throw error
    },
  )
  connecting.followLayout(collector)
  for (const line of attachReport([collector])) console.say(line)
  if (source === undefined) giveUpRights(console)
  const stopReloading = reloadAt(reload.configPath, () => void takeOver(config, reload, collector, console))
  // by then it is attached and, as a rule, connected: what still runs is little
  const starting = setTimeout(releaseStartupCode, startupMs)
  let isStopping = false
  try {
    const pages = await startStatusServer({
      listen: config.statusListen,
      readiness: () => readinessOf(bus, isStopping),
      status: () => ({ version: readVersion(), ...collector.status(), bus: bus.status() }),
      metrics: () => collectorMetrics(readVersion(), collector.status(), bus.status(), processFigures()),
    })
    console.say(`status: http://${formatHostPort(pages.address)}/status`)
    const reason = await Promise.race([stop, connecting.failed])
    clearTimeout(starting)
    isStopping = true
    const failure = typeof reason === 'string' ? undefined : complainOf(reason, around)
    stopReloading()
    connecting.hurry()
    const code = await end(collector, around, console)
    await connecting.close()
    await pages.close()
    return failure ?? code
  } catch (error) {
    clearTimeout(starting)
    await collector.close()
    await connecting.close()
    throw error
  }
}

async function startWithStore(
  config: NodeConfig,
  bus: JetStreamPublisher,
  { log }: Console,
  layout: PartitionLayout | undefined,
  source: CaptureSource | undefined,
): Promise<Collector> {
  const { cluster, node, spoolDir: directory, spoolDirSize: capacityBytes, drain: drainMs } = config
  const bootId = randomBootId()
  const store =
    directory === undefined
      ? {}
      : { store: openFileStore({ directory, capacityBytes, cluster, node, bootId, log }) }
  return startCollector({
    config,
    bus,
    log,
    bootId,
    drainMs,
    ...store,
    ...(source && { source }),
    ...(layout && { layout }),
  })
}

/** Options that can change while the collector runs. */
const reloadable = ['sampling', 'logLevel']

async function takeOver(
  config: NodeConfig,
  { readAgain }: Reload,
  collector: Collector,
  { log }: Console,
): Promise<void> {
  const again = await readAgain()
  if (again === undefined) {
    log.warn('the configuration was not read again: something is wrong with it')
    return
  }
  log.level = again.logLevel
  collector.setSampling(parseSampling(again.sampling) ?? 0)
  const waiting = changedOptions(
    config,
    { ...again, node: again.node ?? config.node, cgroup: again.cgroup ?? config.cgroup },
    reloadable,
  )
  if (waiting.length > 0) log.warn({ options: waiting }, 'these options take effect at the next start')
  log.info({ sampling: again.sampling, logLevel: again.logLevel }, 'read the configuration again')
}

/** Everything is attached, and nothing that follows needs more than an ordinary process may do. */
function giveUpRights({ log }: Console): void {
  const problem = dropCapabilities()
  if (problem === undefined) log.debug('all capabilities are given up')
  else log.warn({ reason: problem }, 'capabilities could not be given up; the collector keeps them')
}

interface Connecting {
  /** Resolves to the reason if the bus can never be used. */
  readonly failed: Promise<unknown>
  /** How records are split, if the bus says it soon: what is recorded before is split as configured. */
  readonly layout: Promise<PartitionLayout | undefined>
  followLayout(collector: Collector): void
  /** What is left has to go out now: no spreading of attempts any more. */
  hurry(): void
  close(): Promise<void>
}

function connectInBackground(config: NodeConfig, bus: JetStreamPublisher, { log }: Console): Connecting {
  const waiting = new AbortController()
  const hurried = new AbortController()
  const { promise: failed, resolve: fail } = Promise.withResolvers<unknown>()
  let link: NatsLink | undefined
  let stopFollowing: (() => void) | undefined
  const name = `skybraid-collector ${config.node}`
  const natsInboxPrefix = config.natsInboxPrefix.replace('{node}', nodeToken(config.node))
  const done = connectNats({
    config: { ...config, natsInboxPrefix },
    name,
    log,
    signal: waiting.signal,
    hurry: hurried.signal,
  }).then(
    connected => {
      link = connected
      bus.use(connected)
      log.info({ server: connected.state().server }, 'connected to the bus')
    },
    (error: unknown) => {
      if (!waiting.signal.aborted) fail(error)
    },
  )
  const layout = done.then(() => link && readLayout(link, config.cluster)).catch(() => undefined)
  return {
    failed,
    layout: Promise.race([layout, pause(layoutMs, undefined)]),
    followLayout(collector) {
      void done.then(() => {
        if (link && !waiting.signal.aborted)
          stopFollowing = followLayout(link, config.cluster, collector.setLayout, log)
      })
    },
    hurry: () => hurried.abort(),
    async close() {
      waiting.abort()
      stopFollowing?.()
      await done
      await link?.close()
    },
  }
}

function readinessOf(bus: JetStreamPublisher, isStopping: boolean): Readiness {
  const { connected, lastRefusal } = bus.status()
  const reasons: string[] = []
  if (isStopping) reasons.push('It is shutting down.')
  if (!connected) reasons.push('It is not connected to the bus; records wait in the spool.')
  else if (lastRefusal !== undefined) reasons.push(`The bus does not take batches: ${lastRefusal.message}`)
  return { ready: reasons.length === 0, reasons }
}

async function end(collector: Collector, around: Surroundings, console: Console): Promise<number> {
  const { unacknowledged, stored } = await collector.close()
  if (stored > 0)
    console.say(`${stored} records wait in the spool's folder for the next collector of this node.`)
  if (unacknowledged === 0) {
    console.say('Everything is detached.')
    return ExitCode.ok
  }
  const text = `${unacknowledged} records were left: the bus did not acknowledge them in time.`
  return complain(around, ExitCode.leftBehind, [text])
}

function processFigures() {
  const { rss: rssBytes, heapUsed: heapUsedBytes } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  return { rssBytes, heapUsedBytes, cpuSeconds: (user + system) / 1e6 }
}
