import type { EncodeCounts } from './interval/access-log.ts'
import type { QueueCounts } from './interval/interval-queue.ts'
import type { PairCounts } from './interval/pair-book.ts'

/** What the exporter says about itself. */
export interface OapStatus {
  readonly addresses: readonly string[]
  readonly isDryRun: boolean
  readonly connectedTo: string | undefined
  readonly lastError: string | undefined
  /** Streams that failed in a row, opened or not; 0 once one with messages was read. */
  readonly failures: number
  /** Undefined in a dry run. */
  readonly sent:
    | {
        readonly intervals: number
        readonly messages: number
        readonly logs: number
        readonly unknownIntervals: number
        readonly unknownLogs: number
        readonly metricPoints: number
        readonly unknownMetricPoints: number
        readonly droppedMetricPoints: number
        readonly announced: number
        readonly announceFailures: number
        readonly refused: EncodeCounts['refused']
      }
    | undefined
  readonly queue: QueueCounts
  readonly oldestQueuedMs: number | undefined
  /** Logs of requests, one for each end that saw it: seen and sent; `factor` of the latest interval with any, 1 where all were sent, or none lately. */
  readonly http: { readonly seen: number; readonly sent: number; readonly factor: number }
  readonly leftOut: Readonly<PairCounts>
  readonly foldedNames: number
  readonly pods: number
  /** How often an instance came up that is not told by name, because too many are. */
  readonly podsTurnedAway: number
  /** On the bus: how far partitions were exported, as it is noted there. */
  readonly notes?:
    | {
        readonly unknownBefore: number
        readonly unknownRequestsBefore: number
        readonly without: readonly number[]
        readonly unnoted: number
        readonly lastError: string | undefined
      }
    | undefined
}
