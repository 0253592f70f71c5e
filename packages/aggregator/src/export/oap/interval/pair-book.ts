import { deltaLength, failedDelta } from '../../../topology/delta-book.ts'
import type { DeltaEdge } from '../../../topology/partition-deltas.ts'
import type { EndName } from './end-name.ts'
import type { EndNames } from './end-names.ts'
import { createPairSums, type MinutePairs, roleOffset } from './pair-sums.ts'
import { Amount, Role } from './pod-pair.ts'
import { RetractedAmounts } from './retracted-amounts.ts'

/** What is in no interval, by reason, in connections, requests and other events that were counted. */
export interface PairCounts {
  /** OAP drops conversations of a service with itself. */
  sameService: number
  /** The protocol has no place for UDP. */
  udp: number
  /** An entity that nobody knows any more. */
  unnamed: number
  /** More pairs in an interval than the limit. */
  tooManyPairs: number
  /** Amounts sent under a name that later proved wrong; the right pair got less by as much. */
  movedLate: number
  /** Amounts sent that were taken back, without a pair that they could be taken from. */
  overstated: number
  /** Requests told without their path, because their service has too many endpoints. */
  foldedEndpoints: number
}

export interface PairBookOptions {
  readonly names: EndNames
  /** Where it is counted what is in no interval; books may share one. */
  readonly counts?: PairCounts
  /** Pairs of a client and a server per interval, at most. */
  readonly maxPairs?: number
}

/** Folds deltas of edges into pairs of pods, as OAP knows them. */
export interface PairBook {
  /** What an edge grew by in a minute; see `deltaCounters`. */
  add(edge: DeltaEdge, unixMinute: number, delta: Float64Array): void
  /** Whether so many requests of a pair may be told beside what is added; counted if not. */
  takes(client: EndName, server: EndName, unixMinute: number, requests: number): boolean
  /** What was added since the last time, one entry per minute, the older first. */
  drain(nowMs: number): MinutePairs[]
  readonly counts: PairCounts
}

const tcp = 1
const sideAmounts = (deltaLength - 1) / 2
/** Longer than a minute can be corrected. */
const settleMinutes = 20

export function noPairCounts(): PairCounts {
  return {
    sameService: 0,
    udp: 0,
    unnamed: 0,
    tooManyPairs: 0,
    movedLate: 0,
    overstated: 0,
    foldedEndpoints: 0,
  }
}

export function createPairBook(options: PairBookOptions): PairBook {
  const { names, maxPairs = 40_000, counts = noPairCounts() } = options
  const retracted = new RetractedAmounts(counts)
  const sums = createPairSums(maxPairs)
  /** Something was taken back since the last time. */
  let hasNegative = false

  function addTo(amounts: Float64Array, client: number, delta: Float64Array): void {
    const server = client + roleOffset[Role.server] - sideAmounts
    for (let i = 0; i < sideAmounts; i++) amounts[client + i] += delta[i]
    for (let i = sideAmounts; i < 2 * sideAmounts; i++) amounts[server + i] += delta[i]
    amounts[client + Amount.failed] += delta[failedDelta]
    for (let i = 0; i < deltaLength; i++) hasNegative ||= delta[i] < 0
  }

  /** Where the amounts of a pair are, or why nowhere. */
  function placeOf(client: EndName, server: EndName, unixMinute: number) {
    if (client.service === server.service) return 'sameService'
    const place = sums.ofMinute(unixMinute).placeOf(client, server)
    return place < 0 ? 'tooManyPairs' : place
  }

  return {
    counts,
    add(edge, minute, delta) {
      if (edge.protocol !== tcp) {
        counts.udp += eventsOf(delta)
        return
      }
      // as of the end of the minute: what was learnt during it counts
      const atMs = minute * 60_000 + 59_999
      const client = names.nameOf(edge.client, atMs)
      const server = names.nameOfDialled(edge.server, edge.dialled, edge.dialledPort, atMs)
      if (client === undefined || server === undefined) {
        counts.unnamed += eventsOf(delta)
        return
      }
      const place = placeOf(client, server, minute)
      if (typeof place === 'string') counts[place] += eventsOf(delta)
      else addTo(sums.ofMinute(minute).amounts, place, delta)
    },
    takes(client, server, unixMinute, requests) {
      const place = placeOf(client, server, unixMinute)
      if (typeof place === 'string') counts[place] += requests
      return typeof place === 'number'
    },
    drain(nowMs) {
      const drained = sums.drain({
        wants: unixMinute => hasNegative || retracted.owesIn(unixMinute),
        settle: (unixMinute, pairs) => retracted.settle(unixMinute, pairs),
      })
      hasNegative = false
      retracted.forget(Math.floor(nowMs / 60_000) - settleMinutes)
      return drained
    },
  }
}

function hasSide(role: Role, delta: Float64Array): boolean {
  const first = role * sideAmounts
  for (let i = first; i < first + sideAmounts; i++) if (delta[i] !== 0) return true
  return role === Role.client && delta[failedDelta] !== 0
}

/** Openings, ends and failures that both sides counted; 1 for a side of which only traffic is counted. */
function eventsOf(delta: Float64Array): number {
  return eventsOfSide(Role.client, delta) + eventsOfSide(Role.server, delta)
}

function eventsOfSide(role: Role, delta: Float64Array): number {
  if (!hasSide(role, delta)) return 0
  const first = role * sideAmounts
  const failed = role === Role.client ? delta[failedDelta] : 0
  return Math.max(1, delta[first + Amount.opened] + delta[first + Amount.closed] + failed)
}
