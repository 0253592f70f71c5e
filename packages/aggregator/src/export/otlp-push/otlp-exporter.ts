import type { FastifyBaseLogger } from 'fastify'
import type { MinuteTake } from '../oap/interval/export-book.ts'
import type { MetricsRequest } from '../otlp/metrics-writer.ts'
import type { OtlpLeftOut } from '../otlp/otlp-book.ts'
import { encodeSeries } from '../otlp/otlp-requests.ts'
import { mergeAmounts, type Overstated } from '../otlp/series-ledger.ts'
import type { SeriesTable } from '../otlp/series-table.ts'
import type { ExportSink } from '../take-exports.ts'
import type { OtlpConfig } from './options.ts'
import { createOtlpConnection } from './otlp-connection.ts'
import { startOtlpSender } from './otlp-sender.ts'
import type { OtlpStatus } from './otlp-status.ts'

export interface OtlpExporterDeps {
  readonly config: OtlpConfig
  /** Who sends, in every resource. */
  readonly sender: string
  readonly version: string
  readonly series: SeriesTable
  readonly leftOut: Readonly<OtlpLeftOut>
  readonly overstated: Readonly<Overstated>
  readonly owed: () => Overstated
  readonly log: FastifyBaseLogger
  readonly nowMs: () => number
  readonly random: () => number
}

/** Feeds a receiver of OpenTelemetry; whether it is there concerns nobody else. */
export interface OtlpExporter extends ExportSink {
  status(): OtlpStatus
}

const limits = { maxAgeMs: 15 * 60_000, maxBytes: 64 * 1024 * 1024 }
const closeMs = 5_000

/** Throws SB_CONFIG where a file of the options cannot be read. */
export function startOtlpExporter(deps: OtlpExporterDeps): OtlpExporter {
  const { config, series, log, nowMs } = deps
  const connection = createOtlpConnection(config)
  const sender = startOtlpSender({ connection, limits, log, nowMs, random: deps.random })
  let startMs = nowMs()

  /** Spans of one sender follow each other: receivers take a span that goes back for a mistake. */
  function encode(minutes: readonly MinuteTake[]): MetricsRequest[] {
    const endMs = Math.max(startMs + 1, nowMs())
    const told = mergeAmounts(minutes.flatMap(({ otlp = [] }) => otlp))
    const span = { startMs, endMs, sender: deps.sender, version: deps.version }
    startMs = endMs
    series.forget(endMs)
    return [...encodeSeries(told, span)]
  }

  let closing: Promise<void> | undefined
  return {
    accept: (minutes, settled) => sender.push(encode(minutes), settled),
    status: () => ({
      address: connection.address,
      ...sender.state(),
      series: series.counts(),
      overstated: { ...deps.overstated },
      owed: deps.owed(),
      unnamed: deps.leftOut.unnamed,
    }),
    close() {
      closing ??= sender.close(closeMs).then(() => {
        const { points } = sender.state().queued
        if (points > 0)
          log.warn({ points }, 'ended before the receiver of OpenTelemetry had taken everything')
      })
      return closing
    },
  }
}
