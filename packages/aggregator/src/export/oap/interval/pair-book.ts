import { deltaLength, failedDelta } from '../../../topology/delta-book.ts'
import type { DeltaEdge } from '../../../topology/partition-deltas.ts'
import type { EndName } from './end-name.ts'
import type { EndNames } from './end-names.ts'
import { Amount, amountCount, type PodPair, Role } from './pod-pair.ts'
import { RetractedAmounts } from './retracted-amounts.ts'

/** What of the deltas is in no interval, by reason, in connections and other events that were counted. */
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
}

export interface MinutePairs {
  readonly unixMinute: number
  readonly pairs: readonly PodPair[]
}

export interface PairBookOptions {
  readonly names: EndNames
  /** Where it is counted what is in no interval; books may share one. */
  readonly counts?: PairCounts
  /** Pairs per interval and role, at most. */
  readonly maxPairs?: number
}

/** Folds deltas of edges into pairs of pods, as OAP knows them. */
export interface PairBook {
  /** What an edge grew by in a minute; see `deltaCounters`. */
  add(edge: DeltaEdge, unixMinute: number, delta: Float64Array): void
  /** What was added since the last time, one entry per minute, the older first. */
  drain(nowMs: number): MinutePairs[]
  readonly counts: PairCounts
}

const tcp = 1
const sideAmounts = (deltaLength - 1) / 2
/** Longer than a minute can be corrected. */
const settleMinutes = 20

type MutablePair = PodPair & { readonly amounts: Float64Array }

export function noPairCounts(): PairCounts {
  return { sameService: 0, udp: 0, unnamed: 0, tooManyPairs: 0, movedLate: 0, overstated: 0 }
}

export function createPairBook(options: PairBookOptions): PairBook {
  const { names, maxPairs = 40_000, counts = noPairCounts() } = options
  const retracted = new RetractedAmounts(counts)
  let minutes = new Map<number, Map<EndName, Map<EndName, MutablePair>>[]>()
  let held = 0
  /** Something was taken back since the last time. */
  let hasNegative = false

  function pairOf(role: Role, local: EndName, remote: EndName, minute: number): MutablePair | undefined {
    const roles = minutes.get(minute) ?? [new Map(), new Map()]
    minutes.set(minute, roles)
    const remotes = roles[role].get(local) ?? new Map<EndName, MutablePair>()
    roles[role].set(local, remotes)
    const known = remotes.get(remote)
    if (known !== undefined) return known
    if (held >= maxPairs) return undefined
    held++
    const fresh = { role, local, remote, amounts: new Float64Array(amountCount) }
    remotes.set(remote, fresh)
    return fresh
  }

  function addSide(
    role: Role,
    local: EndName | undefined,
    remote: EndName | undefined,
    minute: number,
    delta: Float64Array,
  ): void {
    if (!hasSide(role, delta)) return
    const events = eventsOf(role, delta)
    if (local === undefined || remote === undefined) {
      counts.unnamed += events
      return
    }
    if (local.service === remote.service) {
      counts.sameService += events
      return
    }
    const pair = pairOf(role, local, remote, minute)
    if (pair === undefined) {
      counts.tooManyPairs += events
      return
    }
    const { amounts } = pair
    const first = role * sideAmounts
    for (let i = 0; i < sideAmounts; i++) {
      amounts[i] += delta[first + i]
      hasNegative ||= delta[first + i] < 0
    }
    if (role !== Role.client) return
    amounts[Amount.failed] += delta[failedDelta]
    hasNegative ||= delta[failedDelta] < 0
  }

  return {
    counts,
    add(edge, minute, delta) {
      if (edge.protocol !== tcp) {
        counts.udp += eventsOf(Role.client, delta) + eventsOf(Role.server, delta)
        return
      }
      // as of the end of the minute: what was learnt during it counts
      const atMs = minute * 60_000 + 59_999
      const client = names.nameOf(edge.client, atMs)
      const server = names.nameOfDialled(edge.server, edge.dialled, edge.dialledPort, atMs)
      addSide(Role.client, client, server, minute, delta)
      addSide(Role.server, server, client, minute, delta)
    },
    drain(nowMs) {
      const drained: MinutePairs[] = []
      for (const [unixMinute, roles] of [...minutes].sort(([a], [b]) => a - b)) {
        const pairs: PodPair[] = []
        for (const locals of roles)
          for (const remotes of locals.values()) {
            if (hasNegative || retracted.owesIn(unixMinute))
              retracted.settle(unixMinute, [...remotes.values()])
            for (const pair of remotes.values()) if (hasAmount(pair.amounts)) pairs.push(pair)
          }
        if (pairs.length > 0) drained.push({ unixMinute, pairs })
      }
      minutes = new Map()
      held = 0
      hasNegative = false
      retracted.forget(Math.floor(nowMs / 60_000) - settleMinutes)
      return drained
    },
  }
}

function hasAmount(amounts: Float64Array): boolean {
  for (let i = 0; i < amountCount; i++) if (amounts[i] > 0) return true
  return false
}

function hasSide(role: Role, delta: Float64Array): boolean {
  const first = role * sideAmounts
  for (let i = first; i < first + sideAmounts; i++) if (delta[i] !== 0) return true
  return role === Role.client && delta[failedDelta] !== 0
}

/** Openings, ends and failures, or 1 if only traffic is counted. */
function eventsOf(role: Role, delta: Float64Array): number {
  if (!hasSide(role, delta)) return 0
  const first = role * sideAmounts
  const failed = role === Role.client ? delta[failedDelta] : 0
  return Math.max(1, delta[first + Amount.opened] + delta[first + Amount.closed] + failed)
}
