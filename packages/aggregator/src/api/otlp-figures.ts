import type { Static } from 'typebox'
import type { OtlpStatus } from '../export/otlp-push/otlp-status.ts'
import { notesFigures } from './oap-figures.ts'
import type { otlpStatusSchema } from './schema/otlp-status-schema.ts'

/** The export to OpenTelemetry as `/status` shows it. */
export function otlpFigures(status: OtlpStatus): Static<typeof otlpStatusSchema> {
  const { address, isConnected, lastError, points, queued, oldestQueuedMs, series } = status
  return {
    address,
    connected: isConnected,
    ...(lastError !== undefined && { lastError }),
    points: { ...points },
    queue: { ...queued, ...(oldestQueuedMs !== undefined && { oldestSeconds: oldestQueuedMs / 1000 }) },
    series: { known: series.series, limit: series.limit, folded: series.folded },
    leftOut: { unnamed: status.unnamed, overstated: { ...status.overstated }, owed: { ...status.owed } },
    ...(status.notes && { notes: notesFigures(status.notes) }),
  }
}
