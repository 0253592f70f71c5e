import type { FastifyBaseLogger } from 'fastify'
import type { ExportSink } from '../take-exports.ts'
import { createDryRun } from './dry-run.ts'
import type { OapInterval } from './interval/access-log.ts'
import type { MinuteTake } from './interval/export-book.ts'
import { type HttpRequests, sampleRequests } from './interval/http-requests.ts'
import { createIntervalQueue } from './interval/interval-queue.ts'
import type { PairCounts } from './interval/pair-book.ts'
import { createPodBook } from './interval/pod-book.ts'
import { createRequestBudget, keptSeconds } from './interval/request-budget.ts'
import { startOapSender } from './oap-sender.ts'
import type { OapStatus } from './oap-status.ts'
import type { OapConfig } from './options.ts'

/** What the pairs say about themselves. */
export interface ExportFigures {
  leftOut(): Readonly<PairCounts>
  foldedNames(): number
}

export interface ExporterDeps {
  readonly config: OapConfig
  readonly node: string
  readonly figures: ExportFigures
  readonly log: FastifyBaseLogger
  readonly nowMs: () => number
  readonly random: () => number
  /** Where a dry run writes. */
  readonly write: (line: string) => void
}

/** Feeds OAP until `close`; whether OAP is there concerns nobody else. */
export interface OapExporter extends ExportSink {
  status(): OapStatus
}

const closeMs = 5_000
const queueLimits = { maxAgeMs: 15 * 60_000, maxBytes: 128 * 1024 * 1024 }
const announcementsPerInterval = 500

export function startOapExporter(deps: ExporterDeps): OapExporter {
  const { config, figures, log, nowMs } = deps
  const queue = createIntervalQueue(queueLimits)
  const pods = createPodBook()
  const http = { seen: 0, sent: 0, lastSeen: 0, lastSent: 0, lastMs: 0 }
  const budget = createRequestBudget(config.oapHttpLogsPerSecond, nowMs())
  const announcements = () => pods.due(nowMs(), announcementsPerInterval)
  const sender = config.oap.length === 0 ? undefined : startOapSender({ ...deps, queue, announcements })
  const dryRun = sender === undefined ? createDryRun({ ...deps, cluster: config.oapCluster }) : undefined

  function accept(minutes: readonly MinuteTake[], allSettled: () => void): void {
    const atMs = nowMs()
    const sampled = sampledRequests(minutes, atMs)
    let unsettled = minutes.length
    const settled = () => {
      if (--unsettled === 0) allSettled()
    }
    for (const { unixMinute, pairs, figures } of minutes) {
      const http = sampled.get(unixMinute) ?? []
      if (pairs.count + http.length + figures.length === 0) {
        settled()
        continue
      }
      const interval: OapInterval = { unixMinute, pairs, http, figures }
      pods.see(interval.pairs.ends, atMs)
      if (dryRun === undefined) {
        queue.push({ ...interval, takenMs: atMs, settled })
        continue
      }
      dryRun.interval(interval)
      settled()
    }
    dryRun?.announce(announcements())
    sender?.wake()
  }

  /** Which requests get a log, by minute; of what is taken at once everything in the same share. */
  function sampledRequests(minutes: readonly MinuteTake[], atMs: number): Map<number, HttpRequests[]> {
    const all = minutes.flatMap(({ unixMinute, requests }) => requests.map(one => ({ ...one, unixMinute })))
    if (all.length === 0) return new Map()
    const { requests: kept, seen, sent } = sampleRequests(all, budget.left(atMs))
    budget.spend(sent)
    Object.assign(http, {
      seen: http.seen + seen,
      sent: http.sent + sent,
      lastSeen: seen,
      lastSent: sent,
      lastMs: atMs,
    })
    return Map.groupBy(kept as typeof all, ({ unixMinute }) => unixMinute)
  }

  /** Requests seen for each one sent, lately: ends outside bring theirs once a minute. */
  function samplingFactor(): number {
    const { lastSeen, lastSent, lastMs } = http
    if (lastSeen === lastSent || nowMs() - lastMs > keptSeconds * 1000) return 1
    return lastSeen / Math.max(1, lastSent)
  }

  async function finish(): Promise<void> {
    await sender?.close(closeMs)
    if (dryRun !== undefined) {
      const { messages, logs, refused } = dryRun.counts
      log.info({ messages, logs, refused, leftOut: figures.leftOut() }, 'the dry run for OAP is over')
    }
    const { intervals } = queue.counts()
    if (intervals > 0) log.warn({ intervals }, 'ended before OAP had taken all intervals')
  }

  let closing: Promise<void> | undefined
  return {
    accept,
    status() {
      const oldestMs = queue.oldestMs()
      return {
        addresses: config.oap,
        isDryRun: config.oapDryRun,
        ...(sender?.state() ?? { connectedTo: undefined, lastError: undefined, failures: 0 }),
        sent: sender?.counts,
        queue: queue.counts(),
        oldestQueuedMs: oldestMs === undefined ? undefined : nowMs() - oldestMs,
        http: { seen: http.seen, sent: http.sent, factor: samplingFactor() },
        leftOut: figures.leftOut(),
        foldedNames: figures.foldedNames(),
        pods: pods.size,
        podsTurnedAway: pods.turnedAway,
      }
    },
    close() {
      closing ??= finish()
      return closing
    },
  }
}
