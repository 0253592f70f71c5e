import { L7Cause } from '@skybraid/shared'
import type { SealCounters } from './batch/seal.ts'
import type { CaptureCounters, ProtocolCounters } from './source/open-capture.ts'

/**
 * Counters of both identities, as every batch carries them.
 * Ring: produced = consumed + ring_full, once the ring is empty.
 * Records: encoded = published + merged + sampled out + queued + spool_full. What is lost before there is a record
 * (ring_full, storage_refused, flow_table_full) is not part of encoded and is told beside it.
 */
export function collectorCounters(
  capture: CaptureCounters,
  recordsReceived: number,
  spool: { readonly lostRecords: number; readonly mergedRecords: number },
): SealCounters {
  return {
    // Not the capture's own figure: that one runs ahead by what is made and not handed over yet.
    recordsEncoded: recordsReceived + capture.recordsMerged + capture.recordsSampledOut,
    recordsMerged: capture.recordsMerged + spool.mergedRecords,
    recordsSampledOut: capture.recordsSampledOut,
    ringProduced: capture.ringProduced + capture.ringFull,
    ringConsumed: capture.ringConsumed,
    ...protocolCounts(capture.l7),
    lost: {
      ring_full: capture.ringFull,
      storage_refused: capture.storageRefused + capture.udpMapFull,
      flow_table_full: capture.flowTableFull,
      spool_full: spool.lostRecords,
    },
  }
}

/** What the header says of application protocols; nothing while none is read. */
function protocolCounts(l7: ProtocolCounters): Pick<SealCounters, 'l7Counts' | 'l7Verdicts'> {
  const causes = Object.entries(L7Cause) as [keyof typeof L7Cause, number][]
  return {
    l7Counts: causes.flatMap(([name, cause]) => (l7[name] > 0 ? [{ cause, count: l7[name] }] : [])),
    l7Verdicts: l7.verdicts.flatMap((connections, protocol) =>
      connections > 0 ? [{ protocol, connections }] : [],
    ),
  }
}

export const noCounters: CaptureCounters = {
  ringProduced: 0,
  ringConsumed: 0,
  ringFull: 0,
  storageRefused: 0,
  udpMapFull: 0,
  flowTableFull: 0,
  adopted: 0,
  keyUnsettled: 0,
  sockets: 0,
  openFlows: 0,
  recordsEncoded: 0,
  recordsMerged: 0,
  recordsSampledOut: 0,
  dnsMalformed: 0,
  dnsUnasked: 0,
  stateChangesMissed: 0,
  endsMadeUpFor: 0,
  dialsFull: 0,
  rowsAfterClose: 0,
  rowsRegressed: 0,
  l7: {
    pieces: 0,
    ringFull: 0,
    givenUp: 0,
    gap: 0,
    unpaired: 0,
    outOfStep: 0,
    operationsFull: 0,
    stateRefused: 0,
    rowsFull: 0,
    late: 0,
    malformed: 0,
    cut: 0,
    timesFull: 0,
    misplaced: 0,
    verdicts: [],
  },
}
