import { Counter, type CounterName, Histogram } from '../../../topology/counters.ts'
import {
  bucketsPerHistogram,
  bucketValue,
  clearHistogram,
  createLatencySums,
} from '../../../topology/latency-entries.ts'
import type { FinalRow } from '../../../topology/partition-deltas.ts'
import type { BookedOperation } from './booked-operation.ts'
import type { EndName } from './end-name.ts'
import { LatencyBuckets } from './latency-buckets.ts'
import { Role } from './pod-pair.ts'

/** Amounts of one side that the access log has no place for: metric, attributes, and the counter of either side. */
export const sideFigures = [
  ['failed_dials', ['kind', 'refused'], 'failedRefused', undefined],
  ['failed_dials', ['kind', 'timed_out'], 'failedTimedOut', undefined],
  ['failed_dials', ['kind', 'unreachable'], 'failedUnreachable', undefined],
  ['failed_dials', ['kind', 'reset'], 'failedReset', undefined],
  ['failed_dials', ['kind', 'abandoned'], 'failedAbandoned', undefined],
  ['failed_dials', ['kind', 'other'], 'failedOther', undefined],
  ['half_open_connections', undefined, undefined, 'serverHalfOpen'],
  ['reset_connections', ['reset', 'sent'], 'clientEndedRstSent', 'serverEndedRstSent'],
  ['reset_connections', ['reset', 'received'], 'clientEndedRstReceived', 'serverEndedRstReceived'],
  ['timed_out_connections', undefined, 'clientEndedTimeout', 'serverEndedTimeout'],
  ['lost_segments', ['direction', 'sent'], 'clientToServerLost', 'serverToClientLost'],
  ['lost_segments', ['direction', 'received'], 'serverToClientLost', 'clientToServerLost'],
  ['compared_segments', ['direction', 'sent'], 'clientToServerCompared', 'serverToClientCompared'],
  ['compared_segments', ['direction', 'received'], 'serverToClientCompared', 'clientToServerCompared'],
] as const satisfies readonly (readonly [
  name: string,
  attribute: readonly [string, string] | undefined,
  client: CounterName | undefined,
  server: CounterName | undefined,
])[]

/** Requests of one protocol and outcome. */
export interface RequestFigures {
  readonly protocol: string
  readonly outcome: string
  count: number
  readonly latencies: LatencyBuckets
}

/** What one service saw of all it did with another in a minute, in one role. */
export interface EndFigures {
  readonly role: Role
  readonly service: string
  /** Empty for all those together that were too many to tell apart. */
  readonly peer: string
  /** In the order of `sideFigures`. */
  readonly amounts: Float64Array
  readonly roundTrips: LatencyBuckets
  readonly requests: Map<string, RequestFigures>
}

/** Folds rows of closed minutes, and operations, into figures of pairs of services. */
export interface FigureBook {
  addRow(client: EndName, server: EndName, unixMinute: number, row: FinalRow): void
  addOperation(local: EndName, remote: EndName, unixMinute: number, operation: BookedOperation): void
  drain(): Map<number, readonly EndFigures[]>
}

/** The histograms of round trips and those before them. */
const roundTripKeys = (1 + Math.max(Histogram.clientRttUs, Histogram.serverRttUs)) * bucketsPerHistogram
/** Pairs of a minute; the others are told without a peer. */
const mostPairs = 2_000

export function createFigureBook(maxPairs = mostPairs): FigureBook {
  let minutes = new Map<number, Map<string, EndFigures>>()
  const sums = createLatencySums()

  function figuresOf(role: Role, service: string, peer: string, minute: number): EndFigures {
    const all = minutes.get(minute) ?? new Map<string, EndFigures>()
    minutes.set(minute, all)
    const key = `${role} ${service}\n${peer}`
    const known = all.get(key)
    if (known !== undefined) return known
    if (peer !== '' && all.size >= maxPairs) return figuresOf(role, service, '', minute)
    const fresh: EndFigures = {
      role,
      service,
      peer,
      amounts: new Float64Array(sideFigures.length),
      roundTrips: new LatencyBuckets(),
      requests: new Map(),
    }
    all.set(key, fresh)
    return fresh
  }

  function addSide(role: Role, own: EndName, peer: EndName, minute: number, row: FinalRow): void {
    const side = role === Role.client ? 2 : 3
    let figures: EndFigures | undefined
    for (const [i, figure] of sideFigures.entries()) {
      const counter = figure[side]
      const amount = counter === undefined ? 0 : row.counters[row.offset + Counter[counter]]
      if (amount === 0) continue
      figures ??= figuresOf(role, own.service, peer.service, minute)
      figures.amounts[i] += amount
    }
    const histogram = role === Role.client ? Histogram.clientRttUs : Histogram.serverRttUs
    const [low, high] = [sums.low[histogram], sums.high[histogram]]
    for (let key = low; key <= high; key++) {
      if (sums.counts[key] === 0) continue
      figures ??= figuresOf(role, own.service, peer.service, minute)
      figures.roundTrips.add(bucketValue(key % bucketsPerHistogram), sums.counts[key])
    }
  }

  return {
    addRow(client, server, minute, row) {
      for (let histogram = 0; histogram * bucketsPerHistogram < roundTripKeys; histogram++)
        clearHistogram(sums, histogram)
      row.latencies.addTo(row.row, sums, roundTripKeys)
      addSide(Role.client, client, server, minute, row)
      addSide(Role.server, server, client, minute, row)
    },
    addOperation(local, remote, minute, { role, protocol, status, isError, count, latencies }) {
      const outcome = outcomeOf(protocol, status, isError)
      const { requests } = figuresOf(role, local.service, remote.service, minute)
      const key = `${protocol} ${outcome}`
      const figures = requests.get(key) ?? { protocol, outcome, count: 0, latencies: new LatencyBuckets() }
      requests.set(key, figures)
      figures.count += count
      for (const [microseconds, number] of latencies) figures.latencies.add(microseconds, number)
    },
    drain() {
      const drained = new Map([...minutes].map(([minute, all]) => [minute, [...all.values()]]))
      minutes = new Map()
      return drained
    },
  }
}

function outcomeOf(protocol: string, status: number | undefined, isError: boolean): string {
  if (status === undefined) return 'unanswered'
  if (protocol.startsWith('http')) return `${Math.floor(status / 100)}xx`
  return isError ? 'error' : 'ok'
}
