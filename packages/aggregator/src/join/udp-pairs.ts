import { Kind } from '@skybraid/shared'
import { type ConnectionStore, unixMsOf } from './connection-store.ts'
import type { EdgeBooking } from './edge-booking.ts'
import { HashIndex, indexedValue, sameTag } from './hash-index.ts'
import { mix } from './key-hash.ts'
import type { MissingBytes } from './missing-bytes.ts'
import { setJointRate } from './sampling-rate.ts'
import {
  Cold,
  coldSideAt,
  Head,
  openedMsAt,
  Side,
  SideFlag,
  SlotClass,
  SlotFlag,
  sideAt,
  sideStretches,
} from './slot-layout.ts'
import { coldStart, slotStart } from './slot-pool.ts'

const crowd = 64
/** Clocks of two nodes, and a first datagram that was lost. */
const slackMs = 3_000

/** The two kinds of lists that a flow is in: where its links are. */
type Links = (flow: number) => number
const byInitiator: Links = flow => coldStart(flow >>> 1) + coldSideAt(flow & 1) + Cold.initiatorNext
const byPair: Links = flow => slotStart(flow >>> 1) + sideAt(flow & 1) + Side.pairNext

/**
 * Which two UDP flows are one conversation. Both ends know the initiator's endpoint; the responder's too, where
 * nothing rewrote it. Flows with both endpoints in common meet first; what is left of one initiator meets only where
 * it is unique both ways. The answer depends on the set of flows, not on the order in which they came: pairs are
 * parted again when a later flow makes them ambiguous.
 */
export class UdpPairs {
  /** Grows whenever flows changed their numbers. */
  moves = 0
  readonly #store: ConnectionStore
  readonly #booking: EdgeBooking
  readonly #missing: MissingBytes
  readonly #initiators: HashIndex
  readonly #pairs: HashIndex

  constructor(store: ConnectionStore, booking: EdgeBooking, missing: MissingBytes) {
    this.#store = store
    this.#booking = booking
    this.#missing = missing
    this.#initiators = new HashIndex(flow => this.#hash(flow, byInitiator), 64)
    this.#pairs = new HashIndex(flow => this.#hash(flow, byPair), 64)
  }

  link(flow: number): void {
    this.#insert(this.#initiators, flow, byInitiator)
    this.#insert(this.#pairs, flow, byPair)
  }

  unlink(flow: number): void {
    this.#remove(this.#initiators, flow, byInitiator)
    this.#remove(this.#pairs, flow, byPair)
  }

  /** The same flow as another boot of its collector reports it: same node and endpoints, not over before; -1 if none. */
  predecessor(flow: number, nowMs: number): number {
    const session = this.#word(flow, Side.session)
    for (let other = this.#head(this.#pairs, flow, byPair); other >= 0; other = this.#next(other, byPair)) {
      if (other === flow || (other & 1) !== (flow & 1)) continue
      const theirs = this.#word(other, Side.session)
      if (theirs === session || theirs >>> 8 !== session >>> 8) continue
      if (this.#endedMs(other, nowMs) >= this.#opened(flow)) return other
    }
    return -1
  }

  /** Pairs and parts the flows around this one. Returns where the flow is now. */
  regroup(flow: number, nowMs: number): number {
    let members = this.#members(this.#initiators, flow, byInitiator)
    const crowded = members.length > crowd
    if (crowded) members = this.#members(this.#pairs, flow, byPair).slice(0, crowd)
    const clients = this.#ordered(members, 0)
    const servers = this.#ordered(members, 1)
    const partner = new Map<number, number>()
    this.#meetExactly(clients, servers, partner, nowMs)
    if (!crowded) this.#meetUniquely(clients, servers, partner, nowMs)
    return this.#rearrange(clients, servers, partner, flow, nowMs)
  }

  #meetExactly(clients: number[], servers: number[], partner: Map<number, number>, nowMs: number): void {
    for (const server of servers) {
      for (const client of clients) {
        if (partner.has(client)) continue
        if (!this.#sameKey(client, server, byPair) || !this.#meetInTime(client, server, nowMs)) continue
        partner.set(client, server)
        partner.set(server, client)
        break
      }
    }
  }

  #meetUniquely(clients: number[], servers: number[], partner: Map<number, number>, nowMs: number): void {
    const freeClients = clients.filter(flow => !partner.has(flow))
    const freeServers = servers.filter(flow => !partner.has(flow))
    for (const client of freeClients) {
      const candidates = freeServers.filter(server => this.#meetInTime(client, server, nowMs))
      if (candidates.length !== 1) continue
      const [server] = candidates
      if (freeClients.filter(other => this.#meetInTime(other, server, nowMs)).length !== 1) continue
      partner.set(client, server)
      partner.set(server, client)
    }
  }

  #rearrange(
    clients: number[],
    servers: number[],
    partner: Map<number, number>,
    watched: number,
    nowMs: number,
  ): number {
    let now = watched
    const movedTo = new Map<number, number>()
    for (const server of servers) {
      const slot = server >>> 1
      if (!this.#store.isJoined(slot) || partner.get(server) === slot * 2) continue
      movedTo.set(server, this.#part(slot, nowMs))
    }
    for (const client of clients) {
      if (this.#store.isJoined(client >>> 1) && !partner.has(client)) this.#part(client >>> 1, nowMs)
      const wanted = partner.get(client)
      if (wanted === undefined) continue
      const server = movedTo.get(wanted) ?? wanted
      if (server >>> 1 === client >>> 1 || this.#store.isJoined(client >>> 1)) continue
      if (this.#store.isJoined(server >>> 1)) continue
      this.#pair(client >>> 1, server >>> 1, nowMs)
      movedTo.set(wanted, client | 1)
    }
    now = movedTo.get(watched) ?? watched
    return now
  }

  /** Moves the server's flow to a slot of its own. Stays as it is when the table is full. */
  #part(slot: number, nowMs: number): number {
    const store = this.#store
    const target = store.slots.take()
    if (target < 0) return slot * 2 + 1
    this.#booking.withdraw(slot, nowMs)
    const from = store.words(slot)
    const to = store.words(target)
    const a = slotStart(slot)
    const b = slotStart(target)
    to[b + Head.keyA] = from[a + Head.keyA]
    to[b + Head.keyB] = from[a + Head.keyB]
    to[b + Head.heard] = from[a + Head.heard]
    to[b + Head.flags] = SlotClass.udp | (from[a + Head.flags] & SlotFlag.expired)
    this.#moveServer(slot, target)
    setJointRate(from, a)
    setJointRate(to, b)
    this.#booking.enter(slot, nowMs)
    this.#booking.enter(target, nowMs)
    return target * 2 + 1
  }

  #pair(clientSlot: number, serverSlot: number, nowMs: number): void {
    const store = this.#store
    this.#booking.withdraw(clientSlot, nowMs)
    this.#booking.withdraw(serverSlot, nowMs)
    this.#moveServer(serverSlot, clientSlot)
    const client = store.words(clientSlot)
    const heard = slotStart(clientSlot) + Head.heard
    client[heard] = Math.max(client[heard], store.words(serverSlot)[slotStart(serverSlot) + Head.heard])
    store.slots.release(serverSlot)
    setJointRate(client, slotStart(clientSlot))
    this.#booking.enter(clientSlot, nowMs)
  }

  #moveServer(from: number, to: number): void {
    const store = this.#store
    const flow = from * 2 + 1
    this.unlink(flow)
    store.index.remove(store.hashOfFlow(flow), flow)
    const source = store.words(from)
    const target = store.words(to)
    const a = slotStart(from)
    const b = slotStart(to)
    const there = sideStretches(target, b, coldStart(to), 1)
    sideStretches(source, a, coldStart(from), 1).forEach((stretch, i) => {
      there[i].set(stretch)
      stretch.fill(0)
    })
    const bits = (SlotFlag.present | SlotFlag.complete | SlotFlag.quiet) << 1
    target[b + Head.flags] |= source[a + Head.flags] & bits
    source[a + Head.flags] &= ~bits
    store.index.add(store.hashOfFlow(to * 2 + 1), to * 2 + 1)
    this.#missing.move(flow, to * 2 + 1)
    store.wideSums.move(flow, to * 2 + 1)
    store.said.move(flow, to * 2 + 1)
    this.link(to * 2 + 1)
    this.moves++
  }

  #meetInTime(client: number, server: number, nowMs: number): boolean {
    const clientOpened = this.#opened(client)
    const serverOpened = this.#opened(server)
    const both = this.#word(client, Side.flags) & this.#word(server, Side.flags) & SideFlag.sawOpen
    if (both !== 0 && serverOpened < clientOpened - slackMs) return false
    return (
      serverOpened <= this.#endedMs(client, nowMs) + slackMs &&
      clientOpened <= this.#endedMs(server, nowMs) + slackMs
    )
  }

  #endedMs(flow: number, nowMs: number): number {
    const ended = (this.#word(flow, Side.flags) & SideFlag.ended) !== 0
    return ended ? unixMsOf(this.#word(flow, Side.lastAt), nowMs) : Number.POSITIVE_INFINITY
  }

  #opened(flow: number): number {
    const slot = flow >>> 1
    return openedMsAt(this.#store.words(slot), slotStart(slot) + sideAt(flow & 1))
  }

  #ordered(members: number[], side: number): number[] {
    return members
      .filter(flow => (flow & 1) === side)
      .sort(
        (a, b) =>
          this.#opened(a) - this.#opened(b) ||
          this.#word(a, Side.session) - this.#word(b, Side.session) ||
          this.#word(a, Side.flowHigh) - this.#word(b, Side.flowHigh) ||
          this.#word(a, Side.flowLow) - this.#word(b, Side.flowLow),
      )
  }

  #members(index: HashIndex, flow: number, links: Links): number[] {
    const members: number[] = []
    for (
      let at = this.#head(index, flow, links);
      at >= 0 && members.length <= crowd;
      at = this.#next(at, links)
    ) {
      members.push(at)
    }
    if (!members.includes(flow)) members.push(flow)
    return members
  }

  #insert(index: HashIndex, flow: number, links: Links): void {
    const head = this.#head(index, flow, links)
    const hash = this.#hash(flow, links)
    this.#setLink(flow, links, head + 1)
    this.#setLink(flow, links, 0, 1)
    if (head >= 0) {
      this.#setLink(head, links, flow + 1, 1)
      index.remove(hash, head)
    }
    index.add(hash, flow)
  }

  #remove(index: HashIndex, flow: number, links: Links): void {
    const next = this.#next(flow, links)
    const previous = this.#link(flow, links, 1) - 1
    if (next >= 0) this.#setLink(next, links, previous + 1, 1)
    if (previous >= 0) {
      this.#setLink(previous, links, next + 1)
      return
    }
    const hash = this.#hash(flow, links)
    index.remove(hash, flow)
    if (next >= 0) index.add(hash, next)
  }

  #head(index: HashIndex, flow: number, links: Links): number {
    const hash = this.#hash(flow, links)
    const { entries, mask } = index
    for (let at = hash & mask; entries[at] !== 0; at = (at + 1) & mask) {
      if (sameTag(entries[at], hash) && this.#sameKey(indexedValue(entries[at]), flow, links))
        return indexedValue(entries[at])
    }
    return -1
  }

  #next(flow: number, links: Links): number {
    return this.#link(flow, links) - 1
  }

  #hash(flow: number, links: Links): number {
    const initiator = mix(this.#store.seed, this.#key(flow, Head.keyA), this.#key(flow, Head.keyB))
    if (links === byInitiator) return initiator
    const address = this.#responderAddress(flow)
    const isV6 = (this.#word(flow, Side.flags) & Kind.v6) !== 0
    return mix(initiator, isV6 ? this.#store.addresses.hash(address) : address, this.#responderPort(flow))
  }

  #sameKey(a: number, b: number, links: Links): boolean {
    if (this.#key(a, Head.keyA) !== this.#key(b, Head.keyA)) return false
    if (this.#key(a, Head.keyB) !== this.#key(b, Head.keyB)) return false
    // the family is part of the key
    const isV6 = (this.#word(a, Side.flags) & Kind.v6) !== 0
    if (isV6 && !this.#store.addresses.same(this.#initiatorAddress(a), this.#initiatorAddress(b)))
      return false
    if (links === byInitiator) return true
    if (this.#responderPort(a) !== this.#responderPort(b)) return false
    const one = this.#responderAddress(a)
    const two = this.#responderAddress(b)
    return isV6 ? this.#store.addresses.same(one, two) : one === two
  }

  #initiatorAddress(flow: number): number {
    return this.#cold(flow, (flow & 1) === 0 ? Cold.local : Cold.remote)
  }

  #responderAddress(flow: number): number {
    return this.#cold(flow, (flow & 1) === 0 ? Cold.remote : Cold.local)
  }

  /** Port and family. */
  #responderPort(flow: number): number {
    const ports = this.#cold(flow, Cold.ports)
    const family = this.#word(flow, Side.flags) & Kind.v6
    return ((flow & 1) === 0 ? ports & 0xffff : ports >>> 16) | (family << 16)
  }

  #key(flow: number, word: number): number {
    return this.#store.words(flow >>> 1)[slotStart(flow >>> 1) + word]
  }

  #word(flow: number, word: number): number {
    return this.#store.words(flow >>> 1)[slotStart(flow >>> 1) + sideAt(flow & 1) + word]
  }

  #cold(flow: number, word: number): number {
    return this.#store.words(flow >>> 1)[coldStart(flow >>> 1) + coldSideAt(flow & 1) + word]
  }

  /** The number + 1 of the next flow of a list, or of the previous one, which is one word further. */
  #link(flow: number, links: Links, further = 0): number {
    return this.#store.words(flow >>> 1)[links(flow) + further]
  }

  #setLink(flow: number, links: Links, value: number, further = 0): void {
    this.#store.words(flow >>> 1)[links(flow) + further] = value
  }
}
