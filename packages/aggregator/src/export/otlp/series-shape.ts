import { histogramScale } from '@skybraid/shared'
import { Counter, type CounterName, Histogram } from '../../topology/counters.ts'
import { AttributeField, type Attributes, attributeBytes } from './attribute-bytes.ts'

/** Sums of a series that are told as one metric. */
export interface SumMetric {
  readonly name: string
  readonly unit: string
  /** Which of the sums, and what sets it apart: fields of a point. */
  readonly parts: readonly { readonly at: number; readonly attributes: Uint8Array }[]
}

/** A histogram of a series. Its name may depend on the series. */
export interface HistogramShape {
  readonly name?: string
  /** How many of the unit that is counted in make a second. */
  readonly perSecond: number
  /** Which of the sums is the sum of its samples; undefined where there is none. */
  readonly sumAt?: number
}

export interface SeriesShape {
  /** Sets shapes apart. */
  readonly name: string
  readonly sumCount: number
  /** Which of the sums counts what happened: requests, or what was opened. */
  readonly eventsAt: number
  /** Those of the sums that are not only part of a histogram. */
  readonly metrics: readonly SumMetric[]
  readonly histograms: readonly HistogramShape[]
}

/** A sum of a series; without a name it is only part of a histogram. */
type Sum = readonly [name: string, unit: string, attributes: Attributes, ...unknown[]]

/** In the order of `saidSums`. */
const operationSums: readonly Sum[] = [
  ['skybraid.operations', '{operation}', []],
  ['skybraid.operation.request.size', 'By', []],
  ['skybraid.operation.response.size', 'By', []],
  ['', 'us', []],
  ['skybraid.operation.time', 'us', []],
]

export const operationShape: SeriesShape = {
  name: 'operation',
  sumCount: operationSums.length,
  eventsAt: 0,
  metrics: metricsOf(operationSums, ''),
  histograms: [{ perSecond: 1e6, sumAt: 3 }],
}

/** An amount of connections: shape, and the counter of either side. */
type Counted = readonly [
  name: string,
  unit: string,
  attributes: Attributes,
  client: CounterName | undefined,
  server: CounterName | undefined,
]

const [sent, received] = ['transmit', 'receive'].map(way => [['network.io.direction', way]] as const)
const failed = (why: string): Attributes => [['error.type', why]]

const traffic: readonly Counted[] = [
  ['io', 'By', sent, 'clientBytesSent', 'serverBytesSent'],
  ['io', 'By', received, 'clientBytesReceived', 'serverBytesReceived'],
  ['packets', '{packet}', sent, 'clientSegmentsSent', 'serverSegmentsSent'],
  ['packets', '{packet}', received, 'clientSegmentsReceived', 'serverSegmentsReceived'],
]

const tcp: readonly Counted[] = [
  ...traffic,
  ['connections.opened', '{connection}', [], 'clientOpened', 'serverAccepted'],
  ['connections.closed', '{connection}', [], 'clientClosed', 'serverClosed'],
  ['connections.failed', '{connection}', failed('refused'), 'failedRefused', undefined],
  ['connections.failed', '{connection}', failed('timed_out'), 'failedTimedOut', undefined],
  ['connections.failed', '{connection}', failed('unreachable'), 'failedUnreachable', undefined],
  ['connections.failed', '{connection}', failed('reset'), 'failedReset', undefined],
  ['connections.failed', '{connection}', failed('abandoned'), 'failedAbandoned', undefined],
  ['connections.failed', '{connection}', failed('_OTHER'), 'failedOther', undefined],
  ['connections.half_open', '{connection}', [], undefined, 'serverHalfOpen'],
  ['connections.reset', '{connection}', sent, 'clientEndedRstSent', 'serverEndedRstSent'],
  ['connections.reset', '{connection}', received, 'clientEndedRstReceived', 'serverEndedRstReceived'],
  ['connections.timed_out', '{connection}', [], 'clientEndedTimeout', 'serverEndedTimeout'],
  ['retransmits', '{packet}', [], 'clientRetransmits', 'serverRetransmits'],
  ['lost', '{packet}', sent, 'clientToServerLost', 'serverToClientLost'],
  ['lost', '{packet}', received, 'serverToClientLost', 'clientToServerLost'],
  ['compared', '{packet}', sent, 'clientToServerCompared', 'serverToClientCompared'],
  ['compared', '{packet}', received, 'serverToClientCompared', 'clientToServerCompared'],
]

const udp: readonly Counted[] = [
  ...traffic,
  ['flows.opened', '{flow}', [], 'clientOpened', 'serverAccepted'],
  ['flows.closed', '{flow}', [], 'clientClosed', 'serverClosed'],
]

/** A shape of connections, and where its figures are in a row: by side, client's first. */
export interface TransportShape extends SeriesShape {
  readonly counters: readonly (readonly [client: number, server: number])[]
  readonly from: readonly (readonly [client: number, server: number])[]
}

const handshakeSum: Counted = ['', 'us', [], 'clientHandshakeUsSum', 'serverHandshakeUsSum']

export const tcpShape = transportShape(
  'tcp',
  [...tcp, handshakeSum],
  [
    { name: 'skybraid.tcp.handshake.duration', perSecond: 1e6, sumAt: tcp.length },
    { name: 'skybraid.tcp.rtt', perSecond: 1e6 },
    { name: 'skybraid.tcp.connection.duration', perSecond: 1e3 },
  ],
  [
    [Histogram.clientHandshakeUs, Histogram.serverHandshakeUs],
    [Histogram.clientRttUs, Histogram.serverRttUs],
    [Histogram.clientDurationMs, Histogram.serverDurationMs],
  ],
)
export const udpShape = transportShape('udp', udp, [], [])

function transportShape(
  protocol: string,
  counted: readonly Counted[],
  histograms: readonly HistogramShape[],
  from: TransportShape['from'],
): TransportShape {
  const indexOf = (name: CounterName | undefined) => (name === undefined ? -1 : Counter[name])
  return {
    name: protocol,
    sumCount: counted.length,
    eventsAt: counted.findIndex(([what]) => what.endsWith('.opened')),
    metrics: metricsOf(counted, `skybraid.${protocol}.`),
    counters: counted.map(([, , , client, server]) => [indexOf(client), indexOf(server)] as const),
    histograms,
    from,
  }
}

function metricsOf(sums: readonly Sum[], prefix: string): SumMetric[] {
  const named = Array.from(sums, ([name, unit, attributes], at) => ({ name, unit, at, attributes }))
  const byName = Map.groupBy(
    named.filter(({ name }) => name !== ''),
    ({ name }) => name,
  )
  return Array.from(byName, ([name, parts]) => ({
    name: prefix + name,
    unit: parts[0].unit,
    parts: parts.map(({ at, attributes }) => ({
      at,
      attributes: attributeBytes(AttributeField.sum, attributes),
    })),
  }))
}

/**
 * How many places a bucket moves when its values become seconds. A second is no power of 2^(1/8) of a smaller unit, so
 * a bucket becomes the one that its middle lies in: nothing is split, and bounds are off by half a bucket at most.
 */
export function secondsShift(perSecond: number): number {
  return Math.floor(0.5 - 2 ** histogramScale * Math.log2(perSecond))
}
