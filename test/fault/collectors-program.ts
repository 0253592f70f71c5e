// Simulated collectors in a process of their own: everything of a real one but the kernel, each with its own connection
// to the bus. Told what to do over the channel to the process that started it; ends as a collector does on SIGTERM.
import { followLayout } from '../../packages/collector/src/bus/follow-layout.ts'
import {
  createJetStreamPublisher,
  type JetStreamPublisher,
} from '../../packages/collector/src/bus/jetstream-publisher.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { connectNats, type NatsLink, natsConfigSchema } from '../../packages/shared/src/nats/index.ts'
import type { CollectorOrder, CollectorsAnswer, CollectorsSettings } from './collectors.ts'
import { type Simulation, startSimulation } from './simulation.ts'
import { createWorld } from './world/world.ts'

const settings = JSON.parse(process.argv[2]!) as CollectorsSettings
const most = { flushesBehind: 20 }
const { flushMs } = settings.world
const startMs = Math.ceil((Date.now() + 200) / flushMs) * flushMs
const world = createWorld({ ...settings.world, startMs })
const loaded = loadConfig(natsConfigSchema, { args: [...settings.nats], env: {} })
if (!loaded.ok) throw new Error(loaded.errors.join(' '))
const natsConfig = loaded.config

const silent = { info() {}, warn() {}, error: console.error }
const buses: JetStreamPublisher[] = []
const links: NatsLink[] = []
const giveUp = new AbortController()

function connectNode(node: string): JetStreamPublisher {
  const bus = createJetStreamPublisher({
    cluster: settings.cluster,
    encoding: settings.encoding ?? 'zstd',
    log: silent,
    ...(settings.ackTimeoutMs === undefined ? {} : { ackTimeoutMs: settings.ackTimeoutMs }),
  })
  buses.push(bus)
  connectNats({ config: natsConfig, name: `collector ${node}`, log: silent, signal: giveUp.signal }).then(
    link => {
      links.push(link)
      bus.use(link)
      if (node !== settings.deafNode) void follow(node, link)
    },
    (error: unknown) => {
      if (!giveUp.signal.aborted) console.error(error)
    },
  )
  return bus
}

const following: (() => void)[] = []

async function follow(node: string, link: NatsLink): Promise<void> {
  const { collectors } = await started.promise
  const collector = collectors.find(each => each.node === node)!
  following.push(followLayout(link, settings.cluster, collector.setLayout, silent))
}

const started = Promise.withResolvers<Simulation>()
const simulation = await startSimulation({
  world,
  bus: connectNode,
  config: { cluster: settings.cluster, spool: settings.spoolBytes ?? 16 << 20 },
  log: silent,
  drainMs: settings.drainMs ?? 10_000,
})

started.resolve(simulation)
let largestRssBytes = 0
let stopped = false
let behindMs = 0

function beat(): void {
  if (stopped) return
  behindMs = Math.max(behindMs, Date.now() - world.atMs() - flushMs)
  for (let i = 0; i < most.flushesBehind && world.atMs() + flushMs <= Date.now(); i++) simulation.flush()
  largestRssBytes = Math.max(largestRssBytes, process.memoryUsage.rss())
  setTimeout(beat, Math.max(1, world.atMs() + flushMs - Date.now()))
}
beat()

function answer(): CollectorsAnswer {
  const states = simulation.collectors.map(collector => collector.status())
  const sum = (of: (index: number) => number) => states.reduce((all, _, index) => all + of(index), 0)
  const buses_ = buses.map(bus => bus.status())
  return {
    nodes: Object.fromEntries(world.map.nodes.map((node, n) => [node, world.records[n]])),
    encoded: sum(n => states[n].records.encoded),
    published: sum(n => states[n].records.published),
    merged: sum(n => states[n].records.merged),
    queued: sum(n => states[n].records.queued),
    lost: sum(n => states[n].records.lost.spool_full ?? 0),
    spoolBytes: Math.max(...states.map(state => state.spool.bytes)),
    holds: states.every(state => state.records.holds),
    connected: buses_.filter(bus => bus.connected).length,
    disconnects: buses_.reduce((all, bus) => all + bus.disconnects, 0),
    refusals: buses_.reduce<Record<string, number>>((all, bus) => {
      for (const [kind, count] of Object.entries(bus.refusals)) all[kind] = (all[kind] ?? 0) + count
      return all
    }, {}),
    acknowledged: buses_.reduce((all, bus) => all + bus.acknowledged, 0),
    batchBytes: buses_.reduce((all, bus) => all + bus.batchBytes, 0),
    payloadBytes: buses_.reduce((all, bus) => all + bus.payloadBytes, 0),
    largestRssBytes,
    behindMs,
    cpuMs: cpuMs(),
    live: world.live(),
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

async function stop(): Promise<number> {
  stopped = true
  world.calm()
  const reports = await Promise.all(simulation.collectors.map(collector => collector.close()))
  giveUp.abort()
  for (const stopFollowing of following) stopFollowing()
  await Promise.all(links.map(link => link.close()))
  return reports.reduce((all, report) => all + report.unacknowledged, 0)
}

async function obey(order: CollectorOrder): Promise<unknown> {
  switch (order.what) {
    case 'status':
      return answer()
    case 'calm':
      world.calm()
      return true
    case 'truth':
      return { truth: world.truth(), segments: world.segments(), oneSided: world.oneSided }
    case 'stop':
      return { unacknowledged: await stop(), ...answer() }
  }
}

process.on('message', (order: CollectorOrder) => {
  void obey(order).then(
    value => process.send?.({ id: order.id, value }),
    (error: unknown) => process.send?.({ id: order.id, error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.once('SIGTERM', () => {
  void stop().then(unacknowledged => process.send?.({ ended: true, value: { unacknowledged, ...answer() } }))
})
process.send?.({ ready: true })
