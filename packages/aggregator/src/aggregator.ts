import { type BusSubscriber, type HostPort, SkybraidError } from '@skybraid/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { CollectorSelfStatus } from './api/api-deps.ts'
import { checkListenAddress, listenOn } from './api/listen.ts'
import { buildServer } from './api/server.ts'
import { apiOptions, kubeAccessOf, readinessOf, tokenOf } from './api-settings.ts'
import type { AggregatorConfig } from './config.ts'
import { type Core, createCore } from './core.ts'
import { booksForExports, type ExportBooks } from './export/export-books.ts'
import { openExports, ownSource } from './export/open-exports.ts'
import type { Kubernetes } from './kube/kubernetes.ts'
import { openKubernetes, outsideRangesOf } from './kube/open-kubernetes.ts'
import { openNativeJoin } from './native/open-native-join.ts'
import { openSegmentStore, type SegmentStore } from './store/segment-store.ts'
import type { TopologyAnswer, TopologyReader } from './topology/answer.ts'

export interface AggregatorOptions {
  readonly config: AggregatorConfig
  readonly bus: BusSubscriber
  readonly log: FastifyBaseLogger
  /** Shown in `/status` and `/openapi.json`. */
  readonly version: string
  readonly clock?: { nowMs(): number }
  /** Sentences that every answer about the topology and `/status` carry. */
  readonly notes?: readonly string[]
  /** What collectors in this process say about themselves, for `/status`. */
  readonly collectors?: () => readonly CollectorSelfStatus[]
  /** Where a dry run of an export writes its lines. Default: stdout. */
  readonly writeLine?: (line: string) => void
}

export interface Aggregator {
  /** Where the API listens. */
  readonly address: HostPort
  readonly reader: TopologyReader
  /** The processes of the last five minutes, as `GET /topology` answers them. */
  recent(): TopologyAnswer
  /**
   * Ends live streams and the API, closes what is open into segments and writes them through. Idempotent. A message
   * that comes later is refused, so that its sender keeps it.
   */
  close(): Promise<void>
}

const tickMs = 200
const pruneMs = 60_000
const recentMs = 5 * 60_000
const killedBefore =
  'The process that used the data folder before was killed: what it had not yet closed into a minute is missing.'

/**
 * Reads flow batches from the bus and serves what they say until `close`. Rejects with SB_CONFIG or SB_LISTEN and one
 * plain sentence; nothing is left running then.
 */
export async function startAggregator(options: AggregatorOptions): Promise<Aggregator> {
  const { config, bus, log } = options
  const nowMs = options.clock?.nowMs ?? Date.now
  checkListenAddress(config)
  const token = tokenOf(config, log)
  const kubernetes = await openKubernetes(config, log)
  const access = { ...token, ...kubeAccessOf(config, kubernetes, log) }
  let store: SegmentStore | undefined
  try {
    store = config.dataDir === undefined ? undefined : openStore(config.dataDir, config.retention)
  } catch (error) {
    await kubernetes?.close()
    throw error
  }
  const notes = [...(options.notes ?? []), ...(store?.wasKilled ? [killedBefore] : [])]
  const books = booksForExports(config, false)
  const core = openCore(config, store, nowMs(), notes, kubernetes, books)
  if (store !== undefined) restore(core, store, log)
  const state = { closing: false }
  const exported = openExports(config, books, own => ownSource(own, core.topology, nowMs), {
    ...options,
    ...(kubernetes && { hasNames: () => kubernetes.status().synced }),
    nowMs,
  })
  const app = await buildServer({
    reader: core.reader,
    now: nowMs,
    log,
    version: options.version,
    readiness: () => readinessOf(state.closing),
    collectors: options.collectors ?? (() => []),
    ...(exported?.oapStatus && { oap: exported.oapStatus }),
    ...(exported?.otlpStatus && { otlp: exported.otlpStatus }),
    notes,
    ...(kubernetes && { kubernetes: kubernetes.status }),
    ...access,
    options: { ...apiOptions(config), ...(kubernetes && { defaultGroupBy: 'workload' as const }) },
  })
  let address: HostPort
  try {
    address = await listenOn(app, config.listen)
  } catch (error) {
    await app.close()
    await exported?.close()
    await kubernetes?.close()
    store?.close()
    throw error
  }
  bus.subscribe(message => {
    if (state.closing) throw new SkybraidError('SB_BUS_CLOSED', 'The aggregator is closed.')
    core.accept(message, nowMs())
  })
  const stopTimers = startTimers(core, store, nowMs, log)
  let closing: Promise<void> | undefined
  return {
    address,
    reader: core.reader,
    recent: () => recentAnswer(core, nowMs()),
    close() {
      state.closing = true
      closing ??= app.close().finally(async () => {
        stopTimers()
        core.topology.flush(nowMs())
        store?.close()
        await exported?.close()
        await kubernetes?.close()
      })
      return closing
    },
  }
}

function openStore(directory: string, retentionMs: number): SegmentStore {
  const keptMinutes = Math.ceil(retentionMs / 60_000)
  try {
    return openSegmentStore({
      directory,
      minutesKept: Math.min(120, keptMinutes),
      mergedMinutesKept: keptMinutes,
    })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new SkybraidError('SB_CONFIG', `The data folder ${directory} cannot be used: ${why}.`, error)
  }
}

function openCore(
  config: AggregatorConfig,
  store: SegmentStore | undefined,
  startMs: number,
  notes: readonly string[],
  kubernetes: Kubernetes | undefined,
  books: ExportBooks | undefined,
): Core {
  const outside = outsideRangesOf(config)
  return createCore({
    ...(kubernetes && { source: kubernetes.names }),
    ...(outside && { outside }),
    startMs,
    notes,
    joinCapacity: config.joinCapacity,
    maxEdges: config.maxEdges,
    retentionMs: config.retention,
    openNative: openNativeJoin(),
    ...(books && { onDelta: books.onDelta, onFinal: books.onFinal, onSaid: books.onSaid }),
    ...(store === undefined ? {} : { onSegment: store.append }),
  })
}

function restore(core: Core, store: SegmentStore, log: FastifyBaseLogger): void {
  const { loaded, refused } = store.loadAll(bytes => core.topology.load(bytes))
  const { tornTails, failures, lastFailure } = store.stats()
  if (loaded > 0) log.info({ segments: loaded }, 'took over closed windows from the data folder')
  if (refused > 0)
    log.warn({ refused, reasons: core.topology.stats().refusedSegments }, 'segments were not taken over')
  if (tornTails > 0) log.warn({ tornTails }, 'segment files ended in the middle; the ends were cut off')
  if (failures > 0) log.warn({ failures, lastFailure }, 'segment files could not be read')
}

function startTimers(
  core: Core,
  store: SegmentStore | undefined,
  nowMs: () => number,
  log: FastifyBaseLogger,
) {
  const guarded = (work: () => void, message: string) => () => {
    try {
      work()
    } catch (error) {
      log.error({ err: error }, message)
    }
  }
  const tick = setInterval(
    guarded(() => core.tick(nowMs()), 'time could not be let pass'),
    tickMs,
  )
  let failuresSeen = 0
  const prune = guarded(() => {
    store?.prune(nowMs())
    const { failures, lastFailure } = store?.stats() ?? { failures: 0, lastFailure: '' }
    if (failures > failuresSeen)
      log.warn({ failures, lastFailure }, 'closed windows could not be written to the data folder')
    failuresSeen = failures
  }, 'the data folder could not be tidied')
  const tidy = setInterval(prune, pruneMs)
  return () => {
    clearInterval(tick)
    clearInterval(tidy)
  }
}

function recentAnswer(core: Core, nowMs: number): TopologyAnswer {
  const toMs = Math.floor(nowMs / 60_000) * 60_000 + 60_000
  return core.reader.topology({ fromMs: toMs - recentMs, toMs, groupBy: 'process', limit: 500 }, nowMs)
}
