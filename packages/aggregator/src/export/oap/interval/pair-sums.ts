import type { EndName } from './end-name.ts'
import { type PackedPairs, PairPacker } from './packed-pairs.ts'
import { amountCount, type PodPair, Role } from './pod-pair.ts'

/** Of a place: what the client counted, then what the server did. */
const placeLength = 2 * amountCount
/** Of the amounts of a role, from the first of the place. */
export const roleOffset = { [Role.client]: 0, [Role.server]: amountCount } as const
/** Places that are kept beyond those in use: so many, and so many for each. */
const spare = { places: 1_000, perUsed: 4 } as const

/** Sums of one minute. */
export interface MinuteSums {
  /** Grows when a place is given: to be read after `placeOf`. */
  readonly amounts: Float64Array
  /** Index of the first of the amounts of a client and a server; -1 if no more pairs are taken. */
  placeOf(client: EndName, server: EndName): number
}

export interface MinutePairs {
  readonly unixMinute: number
  readonly pairs: PackedPairs
}

/**
 * What pairs of ends counted, added up by minute. A pair keeps its place from one time to the next, as most are used
 * again: then nothing is made anew for it.
 */
export interface PairSums {
  ofMinute(unixMinute: number): MinuteSums
  /**
   * What was added since the last time, the older minutes first. `settle` may change the amounts of what has the same
   * role and local end before; it is called only where it says that it wants to.
   */
  drain(settle?: Settle): MinutePairs[]
}

export interface Settle {
  wants(unixMinute: number): boolean
  settle(unixMinute: number, pairs: readonly PodPair[]): void
}

interface Places {
  readonly byClient: Map<EndName, Map<EndName, number>>
  readonly ends: EndName[]
  readonly endOf: Map<EndName, number>
  /** Numbers of ends, by place. */
  readonly clients: number[]
  readonly servers: number[]
}

interface Minute extends MinuteSums {
  amounts: Float64Array
  /** Numbers of places, in the order of their first use. */
  readonly used: number[]
  isUsed: Uint8Array
}

/** At most so many pairs are taken between two drains, whichever their minutes. */
export function createPairSums(maxPairs: number): PairSums {
  const packer = new PairPacker()
  let places = noPlaces()
  let minutes = new Map<number, Minute>()
  let held = 0

  function use(minute: Minute, place: number): number {
    if (place >= minute.isUsed.length) grow(minute, 2 * (place + 1))
    if (minute.isUsed[place] === 0) {
      if (held >= maxPairs) return -1
      held++
      minute.isUsed[place] = 1
      minute.used.push(place)
    }
    return place * placeLength
  }

  function startMinute(unixMinute: number): Minute {
    const capacity = Math.max(16, places.clients.length)
    const minute: Minute = {
      amounts: new Float64Array(capacity * placeLength),
      isUsed: new Uint8Array(capacity),
      used: [],
      placeOf: (client, server) => {
        const known = places.byClient.get(client)?.get(server)
        if (known !== undefined) return use(minute, known)
        return held >= maxPairs ? -1 : use(minute, newPlace(places, client, server))
      },
    }
    minutes.set(unixMinute, minute)
    return minute
  }

  function pack({ used, amounts }: Minute): PackedPairs {
    const ends: EndName[] = []
    const numbers = new Int32Array(places.ends.length)
    const numberOf = (end: number) => {
      if (numbers[end] === 0) numbers[end] = ends.push(places.ends[end])
      return numbers[end] - 1
    }
    for (const place of used) {
      const [client, server] = [places.clients[place], places.servers[place]]
      const first = place * placeLength
      if (hasAmount(amounts, first))
        packer.add(Role.client, numberOf(client), numberOf(server), amounts, first)
      const ofServer = first + roleOffset[Role.server]
      if (hasAmount(amounts, ofServer))
        packer.add(Role.server, numberOf(server), numberOf(client), amounts, ofServer)
    }
    return packer.finish(ends)
  }

  /** The minute that is used last goes on most likely. */
  function forgetOld(): void {
    const newest = Math.max(...minutes.keys())
    for (const [unixMinute, minute] of minutes)
      if (unixMinute === newest) empty(minute)
      else minutes.delete(unixMinute)
    if (places.clients.length > spare.places + spare.perUsed * held) {
      places = noPlaces()
      minutes = new Map()
    }
    held = 0
  }

  return {
    ofMinute: unixMinute => minutes.get(unixMinute) ?? startMinute(unixMinute),
    drain(settle) {
      const drained: MinutePairs[] = []
      for (const [unixMinute, minute] of [...minutes].sort(([a], [b]) => a - b)) {
        if (minute.used.length === 0) continue
        if (settle?.wants(unixMinute))
          for (const pairs of byLocalEnd(minute, places)) settle.settle(unixMinute, pairs)
        const pairs = pack(minute)
        if (pairs.count > 0) drained.push({ unixMinute, pairs })
      }
      forgetOld()
      return drained
    },
  }
}

function noPlaces(): Places {
  return { byClient: new Map(), ends: [], endOf: new Map(), clients: [], servers: [] }
}

function newPlace(
  { byClient, ends, endOf, clients, servers }: Places,
  client: EndName,
  server: EndName,
): number {
  const numberOf = (end: EndName) => {
    const number = endOf.get(end) ?? ends.push(end) - 1
    endOf.set(end, number)
    return number
  }
  const place = clients.push(numberOf(client)) - 1
  servers.push(numberOf(server))
  const ofClient = byClient.get(client) ?? new Map<EndName, number>()
  byClient.set(client, ofClient)
  ofClient.set(server, place)
  return place
}

function grow(minute: Minute, capacity: number): void {
  const { amounts, isUsed } = minute
  minute.amounts = new Float64Array(capacity * placeLength)
  minute.amounts.set(amounts)
  minute.isUsed = new Uint8Array(capacity)
  minute.isUsed.set(isUsed)
}

function empty({ used, amounts, isUsed }: Minute): void {
  for (const place of used) {
    amounts.fill(0, place * placeLength, (place + 1) * placeLength)
    isUsed[place] = 0
  }
  used.length = 0
}

function hasAmount(amounts: Float64Array, first: number): boolean {
  for (let i = first; i < first + amountCount; i++) if (amounts[i] > 0) return true
  return false
}

/** Pairs with the same role and local end; their amounts are those of the minute. */
function byLocalEnd({ used, amounts }: Minute, { ends, clients, servers }: Places): Iterable<PodPair[]> {
  const groups = new Map<number, PodPair[]>()
  const add = (role: Role, local: number, remote: number, place: number) => {
    const first = place * placeLength + roleOffset[role]
    const pair = {
      role,
      local: ends[local],
      remote: ends[remote],
      amounts: amounts.subarray(first, first + amountCount),
    }
    const group = groups.get(2 * local + role)
    if (group === undefined) groups.set(2 * local + role, [pair])
    else group.push(pair)
  }
  for (const place of used) {
    add(Role.client, clients[place], servers[place], place)
    add(Role.server, servers[place], clients[place], place)
  }
  return groups.values()
}
