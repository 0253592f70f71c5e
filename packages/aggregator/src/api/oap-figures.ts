import type { Static } from 'typebox'
import type { OapStatus } from '../export/oap/oap-status.ts'
import type { oapStatusSchema } from './schema/oap-status-schema.ts'

/** The export to OAP as `/status` shows it. */
export function oapFigures(status: OapStatus): Static<typeof oapStatusSchema> {
  const { sent, queue, connectedTo, lastError, failures, oldestQueuedMs, notes } = status
  return {
    addresses: [...status.addresses],
    dryRun: status.isDryRun,
    connected: connectedTo !== undefined,
    ...(connectedTo !== undefined && { connectedTo }),
    ...(lastError !== undefined && { lastError }),
    failedOpenings: failures,
    sent: { intervals: sent?.intervals ?? 0, messages: sent?.messages ?? 0, logs: sent?.logs ?? 0 },
    unknown: { intervals: sent?.unknownIntervals ?? 0, logs: sent?.unknownLogs ?? 0 },
    refused: { ...sent?.refused },
    queue: {
      intervals: queue.intervals,
      bytes: queue.bytes,
      ...(oldestQueuedMs !== undefined && { oldestSeconds: oldestQueuedMs / 1000 }),
      droppedIntervals: queue.droppedIntervals,
      droppedPairs: queue.droppedPairs,
    },
    leftOut: leftOutByReason(status),
    http: status.http,
    metrics: {
      sent: sent?.metricPoints ?? 0,
      unknown: sent?.unknownMetricPoints ?? 0,
      dropped: sent?.droppedMetricPoints ?? 0,
    },
    ...(notes && { notes: notesFigures(notes) }),
    pods: {
      known: status.pods,
      announced: sent?.announced ?? 0,
      failures: sent?.announceFailures ?? 0,
      turnedAway: status.podsTurnedAway,
    },
  }
}

export function notesFigures(notes: NonNullable<OapStatus['notes']>) {
  const { without, lastError, ...counts } = notes
  return { ...counts, without: [...without], ...(lastError !== undefined && { lastError }) }
}

export function leftOutByReason({ leftOut, foldedNames }: OapStatus): Record<string, number> {
  return {
    same_service: leftOut.sameService,
    udp: leftOut.udp,
    unnamed: leftOut.unnamed,
    too_many_pairs: leftOut.tooManyPairs,
    moved_late: leftOut.movedLate,
    overstated: leftOut.overstated,
    folded_names: foldedNames,
    folded_endpoints: leftOut.foldedEndpoints,
  }
}
