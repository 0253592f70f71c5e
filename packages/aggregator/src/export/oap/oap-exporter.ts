import type { FastifyBaseLogger } from 'fastify'
import { encodeInterval, noCounts, type OapInterval } from './interval/access-log.ts'
import type { MinuteTake } from './interval/export-book.ts'
import { messagesOf } from './interval/framed-messages.ts'
import { type HttpRequests, sampleRequests } from './interval/http-requests.ts'
import { createIntervalQueue } from './interval/interval-queue.ts'
import { figuresInWords } from './interval/oap-metrics.ts'
import type { PairCounts } from './interval/pair-book.ts'
import { createPodBook } from './interval/pod-book.ts'
import { createRequestBudget } from './interval/request-budget.ts'
import { readAccessLog } from './oap-protocol.ts'
import { startOapSender } from './oap-sender.ts'
import type { OapStatus } from './oap-status.ts'
import type { OapConfig } from './options.ts'

/** What the exporter sees of the core. */
export interface ExportSource {
  /** What is there now of edges with an end that nobody reported may be given by the next `take`. */
  mark(): void
  /** What there is since the last time, of all partitions or one of them. */
  take(only?: number): Promise<Taken>
  /** Waits until what was settled is noted. */
  flush(): Promise<void>
}

export interface Taken {
  readonly minutes: readonly MinuteTake[]
  /** To be called once it is known what became of all of it. */
  settled(): void
}

/** What the pairs say about themselves. */
export interface ExportFigures {
  leftOut(): Readonly<PairCounts>
  foldedNames(): number
}

export interface ExporterDeps {
  readonly config: OapConfig
  readonly node: string
  readonly source: ExportSource
  readonly figures: ExportFigures
  readonly log: FastifyBaseLogger
  readonly nowMs: () => number
  readonly random: () => number
  /** Where a dry run writes. */
  readonly write: (line: string) => void
}

/** Feeds OAP every ten seconds until `close`; whether OAP is there concerns nobody else. */
export interface OapExporter {
  /** Takes what one partition has right now, beside the intervals. */
  takeNow(partition: number): Promise<void>
  status(): OapStatus
  /** Sends what there is, if OAP is there and takes it within some seconds. Idempotent. */
  close(): Promise<void>
}

export const intervalMs = 10_000
/** How long the other half of a connection is waited for. */
const otherHalfMs = 2_000
const closeMs = 5_000
const queueLimits = { maxAgeMs: 15 * 60_000, maxBytes: 128 * 1024 * 1024 }
const announcementsPerInterval = 500

export function startOapExporter(deps: ExporterDeps): OapExporter {
  const { config, source, figures, log, nowMs } = deps
  const queue = createIntervalQueue(queueLimits)
  const pods = createPodBook()
  const http = { seen: 0, sent: 0, lastSeen: 0, lastSent: 0 }
  const budget = createRequestBudget(config.oapHttpLogsPerSecond, nowMs())
  const sender =
    config.oap.length === 0
      ? undefined
      : startOapSender({ ...deps, queue, announcements: () => pods.due(nowMs(), announcementsPerInterval) })
  const stopTimer = everyInterval(
    nowMs,
    () => source.mark(),
    () => void take(),
    error => log.error({ err: error }, 'an interval for OAP could not be taken'),
  )

  let taking: Promise<void> = Promise.resolve()

  /** Makes intervals of what was gathered and hands them on, one time after the other. */
  function take(only?: number): Promise<void> {
    taking = taking
      .then(async () => handOn(await source.take(only)))
      .catch((error: unknown) => log.error({ err: error }, 'an interval for OAP could not be taken'))
    return taking
  }

  function handOn(taken: Taken): void {
    const atMs = nowMs()
    const sampled = sampledRequests(taken.minutes, atMs)
    let unsettled = taken.minutes.length
    const settled = () => {
      if (--unsettled === 0) taken.settled()
    }
    for (const { unixMinute, pairs, figures } of taken.minutes) {
      const http = sampled.get(unixMinute) ?? []
      const interval: OapInterval = { unixMinute, pairs, http, figures }
      if (sender === undefined) {
        dryRun(interval)
        settled()
        continue
      }
      pods.see(interval.pairs.ends, atMs)
      queue.push({ ...interval, takenMs: atMs, settled })
    }
    sender?.wake()
  }

  /** What of all requests is told one by one, by minute; of what is taken at once everything in the same share. */
  function sampledRequests(minutes: readonly MinuteTake[], atMs: number): Map<number, HttpRequests[]> {
    const all = minutes.flatMap(({ unixMinute, requests }) => requests.map(one => ({ ...one, unixMinute })))
    if (all.length === 0) return new Map()
    const { requests: kept, seen, sent } = sampleRequests(all, budget.left(atMs))
    budget.spend(sent)
    Object.assign(http, { seen: http.seen + seen, sent: http.sent + sent, lastSeen: seen, lastSent: sent })
    return Map.groupBy(kept as typeof all, ({ unixMinute }) => unixMinute)
  }

  function dryRun(interval: OapInterval): void {
    const options = { node: deps.node, cluster: config.oapCluster, nowMs: nowMs() }
    for (const message of messagesOf(encodeInterval(interval, options, noCounts())))
      deps.write(`${JSON.stringify({ oap: readAccessLog(message) })}\n`)
    for (const metrics of figuresInWords(interval.unixMinute, interval.figures ?? []))
      deps.write(`${JSON.stringify({ oapMetrics: metrics })}\n`)
  }

  async function finish(): Promise<void> {
    await take()
    await sender?.close(closeMs)
    await source.flush()
    const { intervals } = queue.counts()
    if (intervals > 0) log.warn({ intervals }, 'ended before OAP had taken all intervals')
  }

  let closing: Promise<void> | undefined
  return {
    takeNow: take,
    status() {
      const oldestMs = queue.oldestMs()
      const { lastSeen, lastSent, seen, sent } = http
      return {
        addresses: config.oap,
        isDryRun: config.oapDryRun,
        ...(sender?.state() ?? { connectedTo: undefined, lastError: undefined, failures: 0 }),
        sent: sender?.counts,
        queue: queue.counts(),
        oldestQueuedMs: oldestMs === undefined ? undefined : nowMs() - oldestMs,
        http: { seen, sent, factor: lastSeen === lastSent ? 1 : lastSeen / Math.max(1, lastSent) },
        leftOut: figures.leftOut(),
        foldedNames: figures.foldedNames(),
        pods: pods.size,
      }
    },
    close() {
      if (closing === undefined) {
        stopTimer()
        closing = finish()
      }
      return closing
    },
  }
}

/** Calls `mark` at every full interval of the clock, and `take` as much later as the other halves need. */
function everyInterval(
  nowMs: () => number,
  mark: () => void,
  take: () => void,
  onError: (error: unknown) => void,
): () => void {
  let timer: ReturnType<typeof setTimeout>
  const guarded = (work: () => void, next: () => void) => () => {
    try {
      work()
    } catch (error) {
      onError(error)
    }
    next()
  }
  const waitForMark = () => {
    timer = setTimeout(guarded(mark, waitForTake), intervalMs - (nowMs() % intervalMs))
  }
  const waitForTake = () => {
    timer = setTimeout(guarded(take, waitForMark), otherHalfMs)
  }
  waitForMark()
  return () => clearTimeout(timer)
}
