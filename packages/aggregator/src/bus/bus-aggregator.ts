import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { type HostPort, SkybraidError } from '@skybraid/shared'
import { connectNats, ensureStreams, type NatsLink, type StreamReport } from '@skybraid/shared/nats'
import type { FastifyBaseLogger } from 'fastify'
import { checkListenAddress, listenOn } from '../api/listen.ts'
import { buildServer } from '../api/server.ts'
import { apiOptions, kubeAccessOf, readinessOf, tokenOf } from '../api-settings.ts'
import type { ServingConfig } from '../config.ts'
import { createPartitionedCore } from '../core.ts'
import { booksForExports, type ExportConfig } from '../export/export-books.ts'
import { type Exports, openExports } from '../export/open-exports.ts'
import type { ExportSource } from '../export/take-exports.ts'
import { openKubernetes, outsideRangesOf } from '../kube/open-kubernetes.ts'
import { openNativeJoin } from '../native/open-native-join.ts'
import { type AggregatorBusConfig, ordinalOf } from './bus-config.ts'
import { type BusPartitions, followPartitions } from './bus-partitions.ts'
import type { BusStatus } from './bus-status.ts'
import { createExportNotes } from './export-notes.ts'
import { settleLayout } from './layout-keeper.ts'
import { createPartitionExports, type ExportsStatus, type PartitionExports } from './partition-exports.ts'
import { untilAnswered } from './until-answered.ts'

export interface BusAggregatorOptions {
  readonly config: ServingConfig & ExportConfig & AggregatorBusConfig
  readonly log: FastifyBaseLogger
  /** Shown in `/status` and `/openapi.json`. */
  readonly version: string
  /** Ends the waiting for the bus. */
  readonly signal: AbortSignal
}

export interface BusAggregator {
  /** Where the API listens. */
  readonly address: HostPort
  /** Rejects with what makes it impossible to go on; never resolves. */
  readonly failed: Promise<never>
  /** Stops reading, appends what is ready, and closes. What is open stays in the stream of batches. Idempotent. */
  close(): Promise<void>
}

const tickMs = 200
/** There are few aggregators and many collectors: these need not spread their attempts so far. */
const spreadMs = 2_000

/**
 * Books partitions of the bus and serves what all of them say. The API listens at once, and is ready when what the bus
 * kept is loaded. Rejects with SB_CONFIG or SB_LISTEN and one plain sentence.
 */
export async function startBusAggregator(options: BusAggregatorOptions): Promise<BusAggregator> {
  const { config, log } = options
  checkListenAddress(config)
  const token = tokenOf(config, log)
  const replica = config.replicaOrdinal ?? ordinalOf(hostname())
  if (replica >= config.replicas) {
    throw new SkybraidError(
      'SB_CONFIG',
      `This is replica ${replica}, but with --replicas ${config.replicas} the last one is ${config.replicas - 1}; set --replica-ordinal.`,
    )
  }
  const owner = `${hostname().slice(0, 63)}/${replica}/${randomBytes(6).toString('hex')}`
  const bus: {
    link?: NatsLink
    partitions?: BusPartitions
    exports?: PartitionExports
    streams: readonly StreamReport[]
    closing: boolean
  } = {
    streams: [],
    closing: false,
  }
  const outside = outsideRangesOf(config)
  const kubernetes = await openKubernetes(config, log)
  const access = { ...token, ...kubeAccessOf(config, kubernetes, log) }
  const books = booksForExports(config, true)
  const core = createPartitionedCore({
    ...(kubernetes && { source: kubernetes.names }),
    ...(outside && { outside }),
    startMs: Date.now(),
    joinCapacity: config.joinCapacity,
    maxEdges: config.maxEdges,
    retentionMs: config.retention,
    openNative: openNativeJoin(),
    ...(books && { onDelta: books.onDelta, onFinal: books.onFinal, onSaid: books.onSaid }),
    // what was accounted for in partitions of earlier epochs goes with them
    readsAll: () => bus.partitions?.openElsewhere().length === 0 && bus.partitions.layout().length === 1,
    partitions: () => ({
      count: bus.partitions?.count() ?? config.partitions,
      missing: bus.partitions?.missing() ?? [],
      openElsewhere: bus.partitions?.openElsewhere() ?? [],
    }),
  })
  const exported = openExports(config, books, () => lateSource(() => bus.exports?.source), {
    log,
    version: options.version,
    ...(kubernetes && { hasNames: () => kubernetes.status().synced }),
    nowMs: Date.now,
  })
  const reasons = () => {
    if (!bus.link || !bus.partitions) return ['the bus has not been reached yet']
    if (!bus.link.state().connected) return ['the connection to the bus is gone']
    return bus.partitions.reasons()
  }
  const app = await buildServer({
    reader: core.reader,
    now: Date.now,
    log,
    version: options.version,
    readiness: () => readinessOf(bus.closing, reasons()),
    collectors: () => [],
    ...exportStatuses(exported, () => bus.exports?.status()),
    bus: () => statusOf(bus.link, bus.streams, bus.partitions, owner, replica, config.replicas),
    ...(kubernetes && { kubernetes: kubernetes.status }),
    ...access,
    options: { ...apiOptions(config), ...(kubernetes && { defaultGroupBy: 'workload' as const }) },
  })
  let address: HostPort
  try {
    address = await listenOn(app, config.listen)
  } catch (error) {
    await app.close()
    await kubernetes?.close()
    await exported?.close()
    throw error
  }

  const streamsFor = (link: NatsLink) => ensureStreams(link.jsm, config.cluster, config)

  function tellOf({ stream, outcome, differences }: StreamReport): void {
    log.info({ stream, outcome }, 'a stream of the bus')
    if (differences.length > 0)
      log.warn({ stream, differences }, 'a stream has other settings than configured; they stay')
  }

  function remakeStreams(link: NatsLink): void {
    streamsFor(link).then(
      reports => {
        for (const report of reports) if (report.outcome === 'created') tellOf(report)
      },
      (error: unknown) => log.warn({ reason: String(error) }, 'the streams could not be looked at again'),
    )
  }

  const ending = new AbortController()
  const stop = AbortSignal.any([options.signal, ending.signal])

  async function join(): Promise<void> {
    const name = `skybraid-aggregator ${owner}`
    bus.link = await connectNats({ config, name, log, spreadMs, signal: stop })
    const { link } = bus
    bus.streams = await untilAnswered(() => streamsFor(link), log, stop)
    for (const report of bus.streams) tellOf(report)
    // a server that was killed may have lost what it kept in memory, the streams themselves too
    bus.link.onState(({ connected }) => {
      if (connected && bus.link) remakeStreams(bus.link)
    })
    const layout = await untilAnswered(() => settleLayout(link, config, Date.now(), log), log, stop)
    if (bus.closing) return
    if (books && exported)
      bus.exports = createPartitionExports({
        topology: core.topology,
        notes: createExportNotes(bus.link, config.cluster, config, owner),
        bookOf: books.renew,
        overstated: books.otlpOverstated,
        nowMs: Date.now,
        takeNow: exported.takeNow,
      })
    bus.partitions = followPartitions({
      link: bus.link,
      cluster: config.cluster,
      layout,
      replica,
      replicas: config.replicas,
      owner,
      core,
      log,
      retentionMs: config.retention,
      readAgainMs: config.readAgain,
      silentMs: config.takeOver,
      ...(bus.exports && { exports: bus.exports }),
    })
  }

  const { promise: failed, reject: fail } = Promise.withResolvers<never>()
  failed.catch(() => undefined)
  const joined = join().catch((error: unknown) => {
    if (!bus.closing && !options.signal.aborted) fail(error)
  })
  const timer = setInterval(() => {
    try {
      bus.partitions?.tick()
    } catch (error) {
      log.error({ err: error }, 'time could not be let pass')
    }
  }, tickMs)
  let closing: Promise<void> | undefined
  return {
    address,
    failed,
    close() {
      bus.closing = true
      ending.abort()
      closing ??= (async () => {
        await joined
        clearInterval(timer)
        await bus.partitions?.close()
        await exported?.close()
        await app.close()
        await bus.link?.close()
        await kubernetes?.close()
      })()
      return closing
    },
  }
}

/** What `/status` says of exports; how far partitions were exported is the same for all of them. */
function exportStatuses(exported: Exports | undefined, notes: () => ExportsStatus | undefined) {
  const { oapStatus, otlpStatus } = exported ?? {}
  return {
    ...(oapStatus && { oap: () => ({ ...oapStatus(), notes: notes() }) }),
    ...(otlpStatus && { otlp: () => ({ ...otlpStatus(), notes: notes() }) }),
  }
}

/** The bus is reached later than the exporter is made. */
function lateSource(source: () => ExportSource | undefined): ExportSource {
  return {
    mark: () => source()?.mark(),
    take: async only => (await source()?.take(only)) ?? { minutes: [], settled: () => undefined },
    flush: async () => source()?.flush(),
  }
}

function statusOf(
  link: NatsLink | undefined,
  streams: readonly StreamReport[],
  partitions: BusPartitions | undefined,
  owner: string,
  replica: number,
  replicas: number,
): BusStatus {
  const state = link?.state()
  return {
    connected: state?.connected ?? false,
    ...(state?.server !== undefined && { server: state.server }),
    ...(state?.lastError !== undefined && { lastError: state.lastError }),
    disconnects: state?.disconnects ?? 0,
    owner,
    replica,
    replicas,
    streams,
    layout: partitions?.layout() ?? [],
    strays: partitions?.strays() ?? [],
    partitions: partitions?.status() ?? [],
  }
}
