import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { ensureStreams, streamConfigSchema } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { AggregatorProcess, type AggregatorSettings } from './aggregators.ts'
import { type CollectorsSettings, type Ending, SimulatedCollectors, type Truth } from './collectors.ts'
import { compareBounded } from './judge/bounded.ts'
import type { DeliveredBook } from './judge/delivered-book.ts'
import { checkBalance, compareMinutes, type Difference, differenceTable, lossOf } from './judge/judge.ts'
import { apiWitness, coreWitness, type Witness } from './judge/witness.ts'
import { type Finding, finding, type Size, within } from './scenario.ts'
import { foldStream } from './stream-fold.ts'
import type { Told } from './world/truth-book.ts'
import type { WorldSettings } from './world/world.ts'

export const cluster = 'fault'

/** A cluster of twenty nodes with some of everything; about 3,000 records a second. */
export const usualWorld: Omit<WorldSettings, 'startMs'> = {
  nodes: 20,
  prefix: 'n',
  firstHost: 0,
  services: 24,
  callersPerService: 4,
  udpServices: 4,
  outsiders: 6,
  seed: 1,
  partitions: 4,
  flushMs: 500,
  reportMs: 10_000,
  announceMs: 300_000,
  longLived: 1_000,
  shortPerSecond: 600,
  udpPerSecond: 120,
  outsidePerSecond: 30,
  failedPerSecond: 20,
}

/** Makes the streams of the cluster on a server, as an aggregator does, with settings of its own. */
export async function makeStreams(url: string, args: readonly string[] = []): Promise<void> {
  const loaded = loadConfig(streamConfigSchema, { args: [...args], env: {} })
  if (!loaded.ok) throw new Error(loaded.errors.join(' '))
  const connection = await connect({ servers: url, noAsyncTraces: true })
  try {
    await ensureStreams(await jetstreamManager(connection), cluster, loaded.config)
  } finally {
    await connection.close()
  }
}

/** `skybraid aggregator` on the servers. */
export function startAggregator(
  nats: readonly string[],
  settings: Partial<AggregatorSettings> = {},
): Promise<AggregatorProcess> {
  return AggregatorProcess.start({ nats, cluster, ...settings })
}

export function startCollectors(
  nats: readonly string[],
  change: Partial<WorldSettings> = {},
  settings: Partial<CollectorsSettings> = {},
): Promise<SimulatedCollectors> {
  return SimulatedCollectors.start({
    world: { ...usualWorld, ...change },
    cluster,
    nats: nats.flatMap(url => ['--nats', url]),
    ...settings,
  })
}

export interface Return {
  /** Until the bus took something new from any collector, and until it took all that waited at every one; ms. */
  readonly firstMs: number
  readonly allMs: number
}

/** Waits for the end of a fault's effects. */
export async function aliveAgain(collectors: SimulatedCollectors, timeoutMs = 240_000): Promise<Return> {
  const begun = performance.now()
  const before = await collectors.status()
  const nodes = Object.keys(before.nodes).length
  let firstMs = 0
  await until(
    'every collector is connected and nothing waits',
    async () => {
      const { connected, queued, published } = await collectors.status()
      if (firstMs === 0 && published > before.published) firstMs = performance.now() - begun
      return connected === nodes && firstMs > 0 && queued < perFlush(before.nodes)
    },
    { timeoutMs, everyMs: 50, describe: async () => JSON.stringify(await collectors.status()) },
  )
  return { firstMs, allMs: performance.now() - begun }
}

/** 500 collectors must not come back all at once; so nobody knows whether he is the first or the last. */
export function backInTime({ firstMs, allMs }: Return, size: Size): Finding[] {
  return [
    within('records flow again after', size, firstMs / 1_000, 10),
    within('every collector is back and has caught up after', size, allMs / 1_000, 30),
  ]
}

/** Records of one flush of all nodes, generously. */
function perFlush(nodes: Readonly<Record<string, number>>): number {
  return 200 * Object.keys(nodes).length
}

export interface Verdict {
  /** Records lost by place; then counters must be what was delivered. Without it, what was invented. */
  readonly lost?: Readonly<Record<string, number>>
  /** Minute from which on nothing was lost any more. */
  readonly exactFrom?: number
}

/** A process of collectors that has ended in order. */
export interface Party {
  readonly collectors: SimulatedCollectors
  readonly ending: Ending
}

/** Ends all collectors of a process. */
export async function stopped(collectors: SimulatedCollectors): Promise<Party> {
  return { collectors, ending: await collectors.stop() }
}

/** What is in the stream against the truth. For after the end of all collectors. */
export async function judgeStream(
  url: string,
  parties: readonly Party[],
  verdict: Verdict = {},
): Promise<Finding[]> {
  const { truth } = await truthOf(parties)
  const startMs = Math.min(...Object.keys(truth).map(Number)) * 60_000
  const { core, delivered } = await foldStream(url, cluster, startMs)
  return judge(coreWitness(core, Date.now), parties, { ...verdict, delivered })
}

/** Waits until an aggregator has taken in everything that the parties made, or says what is missing. */
async function caughtUp(witness: Witness, parties: readonly Party[]): Promise<void> {
  const encoded = encodedBy(parties)
  await until(
    'the aggregator has caught up',
    async () => {
      const { nodes } = await witness.ingest().catch(() => ({ nodes: [] }))
      const known = new Map(nodes.map(({ node, identity }) => [node, identity.records]))
      return Object.entries(encoded).every(([node, records]) => {
        const seen = known.get(node)
        // what is under way is not told once partitions changed
        return seen?.encoded === records && (seen.inFlight ?? records - seen.received) === 0
      })
    },
    { timeoutMs: 180_000, everyMs: 200 },
  ).catch(() => {
    // the judge says what differs
  })
}

/** What an aggregator's API says against the truth. For after the end of all collectors. */
export async function judgeApi(
  { url }: { readonly url: string },
  parties: readonly Party[],
  verdict: Verdict = {},
): Promise<Finding[]> {
  const witness = apiWitness(url)
  await caughtUp(witness, parties)
  const findings = await judge(witness, parties, verdict)
  return findings.map(each => ({ ...each, what: `API: ${each.what}` }))
}

/**
 * What the APIs of several replicas say against the truth. Each has the closed minutes of all partitions, and has read
 * the records of its own ones; so they are asked once every minute is closed.
 */
export async function judgeReplicas(
  replicas: readonly AggregatorProcess[],
  parties: readonly Party[],
): Promise<Finding[]> {
  const { truth } = await truthOf(parties)
  const last = Math.max(...Object.keys(truth).map(Number))
  await until(
    'every replica has every closed minute',
    async () => {
      const all = await Promise.all(replicas.map(replica => replica.partitions()))
      return all.flat().every(({ closedThrough }) => closedThrough >= last)
    },
    {
      timeoutMs: 300_000,
      everyMs: 500,
      describe: async () => {
        const all = await Promise.all(replicas.map(replica => replica.partitions()))
        const of = (each: (typeof all)[number]) =>
          each.map(
            ({ partition, phase, closedThrough }) => `${partition} ${phase} ${last - closedThrough} short`,
          )
        return all.map((each, n) => `replica ${n}: ${of(each).join(', ')}`).join('; ')
      },
    },
  )
  const findings: Finding[] = []
  const received: Record<string, number> = {}
  for (const [n, { url }] of replicas.entries()) {
    const witness = apiWitness(url)
    const seen = await judgeEdges(witness, await truthOf(parties))
    findings.push(...seen.map(each => ({ ...each, what: `API of replica ${n}: ${each.what}` })))
    for (const { node, identity } of (await witness.ingest()).nodes)
      received[node] = (received[node] ?? 0) + identity.records.received
  }
  const made = Object.entries(encodedBy(parties))
  const wrong = made.filter(([node, records]) => received[node] !== records)
  const text = wrong.map(([node, records]) => `${node} ${received[node] ?? 0} of ${records}`).join(', ')
  findings.push(finding('records that the replicas took in together', text || 'all', wrong.length === 0))
  return findings
}

function encodedBy(parties: readonly Party[]): Record<string, number> {
  return Object.assign({}, ...parties.map(({ ending }) => ending.nodes))
}

/** What all parties invented together. */
async function truthOf(parties: readonly Party[]): Promise<Truth> {
  const all = await Promise.all(parties.map(({ collectors }) => collectors.truth()))
  const truth: Told = {}
  for (const { truth: one } of all) {
    for (const [minute, edges] of Object.entries(one)) truth[minute] = { ...truth[minute], ...edges }
  }
  return {
    truth,
    oneSided: all.flatMap(({ oneSided }) => oneSided),
    segments: {
      compared: all.reduce((sum, { segments }) => sum + segments.compared, 0),
      lost: all.reduce((sum, { segments }) => sum + segments.lost, 0),
    },
  }
}

async function judge(
  witness: Witness,
  parties: readonly Party[],
  verdict: Verdict & { readonly delivered?: DeliveredBook } = {},
): Promise<Finding[]> {
  const { lost, exactFrom, delivered } = verdict
  const truth = await truthOf(parties)
  const encoded = encodedBy(parties)
  const problems = checkBalance({ encoded, ...(lost && { lost }) }, await witness.ingest())
  const balance = finding('identities hold', problems.join('; ') || 'all', problems.length === 0)
  if (lost === undefined) return [...(await judgeEdges(witness, truth)), balance]
  if (delivered === undefined) throw new Error('what was delivered is in the stream alone')
  const bounds = { oneSided: truth.oneSided, delivered, ...(exactFrom !== undefined && { exactFrom }) }
  const differences = await compareBounded(truth.truth, witness, bounds)
  return [compared(`counters of ${sizeOf(truth)} as delivered`, differences), balance]
}

async function judgeEdges(witness: Witness, all: Truth): Promise<Finding[]> {
  const { truth, segments, oneSided } = all
  const differences = await compareMinutes(truth, witness, oneSided)
  const minutes = Object.keys(truth).map(Number)
  const range = [Math.min(...minutes) * 60_000, (Math.max(...minutes) + 1) * 60_000] as const
  const loss = lossOf(await witness.edges(...range))
  return [
    compared(`counters of ${sizeOf(all)} as invented`, differences),
    finding(
      `segments lost = ${segments.lost} of ${segments.compared}`,
      `${loss.lost} of ${loss.compared}`,
      loss.lost === segments.lost && loss.compared === segments.compared,
    ),
  ]
}

function sizeOf({ truth }: Truth): string {
  const edges = new Set(Object.values(truth).flatMap(Object.keys)).size
  return `${edges} edges in ${Object.keys(truth).length} minutes`
}

function compared(what: string, differences: readonly Difference[]): Finding {
  const isRight = differences.length === 0
  return finding(
    what,
    isRight ? 'all' : `${differences.length} differ`,
    isRight,
    differenceTable(differences),
  )
}
