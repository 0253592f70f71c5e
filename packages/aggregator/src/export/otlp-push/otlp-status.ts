import type { OapStatus } from '../oap/oap-status.ts'
import type { Overstated } from '../otlp/series-ledger.ts'
import type { SeriesCounts } from '../otlp/series-table.ts'
import type { OtlpSenderState } from './otlp-sender.ts'

/** What the export to OpenTelemetry says about itself. */
export interface OtlpStatus extends OtlpSenderState {
  readonly address: string
  readonly series: SeriesCounts
  /** Told and then taken back, without more to take it from. */
  readonly overstated: Readonly<Overstated>
  /** Told and then taken back; what comes next will be less by as much. */
  readonly owed: Readonly<Overstated>
  /** Figures of entities that nobody knows any more. */
  readonly unnamed: number
  /** On the bus: how far partitions were exported, as it is noted there. */
  readonly notes?: OapStatus['notes']
}
