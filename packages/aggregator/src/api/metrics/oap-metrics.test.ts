import { expect, it } from 'vitest'
import type { OapStatus } from '../../export/oap/oap-status.ts'
import { oapFigures } from '../oap-figures.ts'
import { MetricSet } from './metric-set.ts'
import { writeOapMetrics } from './oap-metrics.ts'

// every figure is another one, so that each can be found again
const status: OapStatus = {
  addresses: ['oap-0:11800', 'oap-1:11800'],
  isDryRun: false,
  connectedTo: 'oap-1:11800',
  lastError: 'UNAVAILABLE: the connection was refused',
  failures: 1009,
  sent: {
    intervals: 1013,
    messages: 1019,
    logs: 1021,
    unknownIntervals: 1031,
    unknownLogs: 1033,
    metricPoints: 1039,
    unknownMetricPoints: 1049,
    droppedMetricPoints: 1223,
    announced: 1051,
    announceFailures: 1061,
    refused: { bad_amount: 1063, too_many_events: 1069 },
  },
  queue: { intervals: 1087, bytes: 1091, droppedIntervals: 1093, droppedPairs: 1097 },
  oldestQueuedMs: 1_103_000,
  http: { seen: 1109, sent: 1117, factor: 1123 },
  leftOut: {
    sameService: 1129,
    udp: 1151,
    unnamed: 1153,
    tooManyPairs: 1163,
    movedLate: 1171,
    overstated: 1181,
    foldedEndpoints: 1229,
  },
  foldedNames: 1187,
  pods: 1193,
  podsTurnedAway: 1213,
  notes: {
    unknownBefore: 1201,
    unknownRequestsBefore: 0,
    unnoted: 1217,
    without: [7, 8, 9],
    lastError: 'no bucket',
  },
}

const numbersIn = (value: unknown): number[] =>
  typeof value === 'number'
    ? [value]
    : typeof value === 'object' && value !== null
      ? Object.values(value).flatMap(numbersIn)
      : []

it('has every figure that /status has of OAP, once', () => {
  const out = new MetricSet()
  writeOapMetrics(out, status)
  const lines = out.toString().split('\n')
  const { notes, ...figures } = oapFigures(status)
  const missing = [...numbersIn(figures), notes!.unknownBefore, notes!.unnoted, notes!.without.length].filter(
    figure => lines.filter(line => line.endsWith(` ${figure}`)).length !== 1,
  )
  expect(missing).toEqual([])
  expect(lines).toContain('skybraid_oap_connected{address="oap-0:11800"} 0')
  expect(lines).toContain('skybraid_oap_connected{address="oap-1:11800"} 1')
})

it('is told beside to whom it goes and what went wrong', () => {
  const said = oapFigures(status)
  expect(said).toMatchObject({
    connected: true,
    connectedTo: 'oap-1:11800',
    lastError: 'UNAVAILABLE: the connection was refused',
    failedOpenings: 1009,
    queue: { oldestSeconds: 1103 },
  })
  expect(numbersIn(said).length).toBeGreaterThan(25)
})
