import { type EncodeCounts, encodeInterval, noCounts, type OapInterval } from './interval/access-log.ts'
import { messagesOf } from './interval/framed-messages.ts'
import { figuresInWords } from './interval/oap-metrics.ts'
import type { Announcement } from './interval/pod-book.ts'
import { readAccessLog, readAnnouncement } from './oap-protocol.ts'

export interface DryRunOptions {
  /** As OAP would get them from this machine. */
  readonly node: string
  readonly cluster: string
  readonly nowMs: () => number
  /** Takes a line with its end. */
  readonly write: (line: string) => void
}

/** What would be sent, in words, as lines of JSON: `oap`, `oapMetrics`, `oapKeepAlive` and `oapProperties`. */
export interface DryRun {
  interval(interval: OapInterval): void
  announce(due: readonly Announcement[]): void
  /** What was written of intervals, and what OAP could not have borne. */
  readonly counts: Readonly<EncodeCounts>
}

export function createDryRun({ node, cluster, nowMs, write }: DryRunOptions): DryRun {
  const counts = noCounts()
  const line = (content: object) => write(`${JSON.stringify(content)}\n`)

  return {
    counts,
    interval(interval) {
      const options = { node, cluster, nowMs: nowMs() }
      for (const message of messagesOf(encodeInterval(interval, options, counts)))
        line({ oap: readAccessLog(message) })
      for (const metrics of figuresInWords(interval, options.nowMs, counts)) line({ oapMetrics: metrics })
    },
    announce(due) {
      for (const { keepAlive, properties, done } of due) {
        line({ oapKeepAlive: readAnnouncement('InstancePingPkg', keepAlive) })
        if (properties !== undefined)
          line({ oapProperties: readAnnouncement('InstanceProperties', properties) })
        done(nowMs())
      }
    },
  }
}
