import { histogramScale } from '@skybraid/shared'
import { Counter, type CounterName, Histogram } from '../../topology/counters.ts'
import type { Attributes } from './metrics-request.ts'

/** An amount of a series, and the metric that it is told as; without a name it is only part of a histogram. */
export interface SumShape {
  readonly name?: string
  readonly unit: string
  readonly attributes: Attributes
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
  readonly sums: readonly SumShape[]
  readonly histograms: readonly HistogramShape[]
}

/** In the order of `saidSums`. */
export const operationShape: SeriesShape = {
  sums: [
    { name: 'skybraid.operations', unit: '{operation}', attributes: [] },
    { name: 'skybraid.operation.request.size', unit: 'By', attributes: [] },
    { name: 'skybraid.operation.response.size', unit: 'By', attributes: [] },
    { unit: 'us', attributes: [] },
    { name: 'skybraid.operation.time', unit: 'us', attributes: [] },
  ],
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
    sums: counted.map(([name, unit, attributes]) =>
      name === '' ? { unit, attributes } : { name: `skybraid.${protocol}.${name}`, unit, attributes },
    ),
    counters: counted.map(([, , , client, server]) => [indexOf(client), indexOf(server)] as const),
    histograms,
    from,
  }
}

/**
 * How many places a bucket moves when its values become seconds. A second is no power of 2^(1/8) of a smaller unit, so
 * a bucket becomes the one that its middle lies in: nothing is split, and bounds are off by half a bucket at most.
 */
export function secondsShift(perSecond: number): number {
  return Math.floor(0.5 - 2 ** histogramScale * Math.log2(perSecond))
}
