import { Kind, Protocol } from '@skybraid/shared'
import { AddressPool } from './address-pool.ts'
import { HashIndex, indexedValue, sameTag } from './hash-index.ts'
import { mix, pairHash } from './key-hash.ts'
import { LedgerPool } from './ledger.ts'
import { SaidLedger } from './said-ledger.ts'
import {
  Cold,
  coldSideAt,
  Head,
  HeadSide,
  headSideAt,
  Side,
  SideFlag,
  SlotClass,
  SlotFlag,
  sideAt,
} from './slot-layout.ts'
import { chunkOf, coldStart, type SlotAllowance, SlotPool, slotStart } from './slot-pool.ts'
import { WideSums } from './wide-sums.ts'

/**
 * The memory of one partition's join: slots, how to find them, what they own. A flow is one side of a slot; its number
 * is slot * 2 + side. TCP is found by its sequence numbers, UDP by the flow's own identity.
 */
export class ConnectionStore {
  readonly slots: SlotPool
  readonly ledger = new LedgerPool()
  readonly said = new SaidLedger()
  readonly wideSums = new WideSums()
  readonly addresses: AddressPool
  readonly index: HashIndex
  readonly seed: number

  constructor(allowance: SlotAllowance, seed: number) {
    this.seed = seed
    this.slots = new SlotPool(allowance)
    this.addresses = new AddressPool(seed)
    this.index = new HashIndex(flow => this.hashOfFlow(flow))
  }

  words(slot: number): Uint32Array {
    return this.slots.words[chunkOf(slot)]
  }

  flags(slot: number): number {
    return this.words(slot)[slotStart(slot) + Head.flags]
  }

  isPresent(slot: number, side: number): boolean {
    return (this.flags(slot) & (SlotFlag.present << side)) !== 0
  }

  isJoined(slot: number): boolean {
    const both = SlotFlag.present * 3
    return (this.flags(slot) & both) === both
  }

  /** One-sided connections may still be joined; UDP pairs may still be parted: until then there is a ledger. */
  isMovable(slot: number): boolean {
    return !this.isJoined(slot) || this.slotClass(slot) === SlotClass.udp
  }

  slotClass(slot: number): number {
    return this.flags(slot) & SlotFlag.classMask
  }

  protocol(slot: number): number {
    return this.slotClass(slot) === SlotClass.udp ? Protocol.udp : Protocol.tcp
  }

  setFlag(slot: number, flag: number): void {
    this.words(slot)[slotStart(slot) + Head.flags] |= flag
  }

  clearFlag(slot: number, flag: number): void {
    this.words(slot)[slotStart(slot) + Head.flags] &= ~flag
  }

  sideFlags(slot: number, side: number): number {
    return this.words(slot)[slotStart(slot) + sideAt(side) + Side.flags]
  }

  hasEnded(slot: number, side: number): boolean {
    return (this.sideFlags(slot, side) & SideFlag.ended) !== 0
  }

  hashOfFlow(flow: number): number {
    const slot = flow >>> 1
    const words = this.words(slot)
    const at = slotStart(slot)
    const slotClass = words[at + Head.flags] & SlotFlag.classMask
    if (slotClass !== SlotClass.udp) {
      return pairHash(this.seed, words[at + Head.keyA], words[at + Head.keyB], slotClass)
    }
    const s = at + sideAt(flow & 1)
    return this.identityHash(words[s + Side.session], words[s + Side.flowLow], words[s + Side.flowHigh])
  }

  identityHash(session: number, flowLow: number, flowHigh: number): number {
    return mix(mix(this.seed, session, flowHigh), flowLow, SlotClass.udp)
  }

  /** The slot of an established connection, either way round; -1 if none. */
  findTcp(hash: number, dialler: number, acceptor: number): number {
    const { entries, mask } = this.index
    for (let at = hash & mask; entries[at] !== 0; at = (at + 1) & mask) {
      if (!sameTag(entries[at], hash)) continue
      const slot = indexedValue(entries[at]) >>> 1
      const words = this.slots.words[chunkOf(slot)]
      const s = slotStart(slot)
      if ((words[s + Head.flags] & SlotFlag.classMask) !== SlotClass.tcp) continue
      const a = words[s + Head.keyA]
      const b = words[s + Head.keyB]
      if ((a === dialler && b === acceptor) || (a === acceptor && b === dialler)) return slot
    }
    return -1
  }

  /** The UDP flow with this identity; -1 if none. */
  findUdp(hash: number, session: number, flowLow: number, flowHigh: number): number {
    const { entries, mask } = this.index
    for (let at = hash & mask; entries[at] !== 0; at = (at + 1) & mask) {
      if (!sameTag(entries[at], hash)) continue
      const flow = indexedValue(entries[at])
      const words = this.slots.words[chunkOf(flow >>> 1)]
      const start = slotStart(flow >>> 1)
      if ((words[start + Head.flags] & SlotFlag.classMask) !== SlotClass.udp) continue
      const s = start + sideAt(flow & 1)
      if (
        words[s + Side.flowLow] === flowLow &&
        words[s + Side.flowHigh] === flowHigh &&
        words[s + Side.session] === session
      ) {
        return flow
      }
    }
    return -1
  }

  /** Forgets a side's addresses and ledger. Its place in the index is the caller's business. */
  releaseSide(slot: number, side: number): void {
    const words = this.words(slot)
    const at = slotStart(slot)
    if ((words[at + Head.flags] & (SlotFlag.present << side)) === 0) return
    if ((words[at + sideAt(side) + Side.flags] & Kind.v6) !== 0) {
      const c = coldStart(slot) + coldSideAt(side)
      this.addresses.release(words[c + Cold.local])
      this.addresses.release(words[c + Cold.remote])
    }
    this.wideSums.forget(slot * 2 + side)
    if (this.isMovable(slot)) this.releaseLedger(slot, side)
  }

  releaseLedger(slot: number, side: number): void {
    this.said.forget(slot * 2 + side)
    const words = this.words(slot)
    const at = slotStart(slot) + headSideAt(side) + HeadSide.ledger
    if (words[at] === 0) return
    this.ledger.release(words[at])
    words[at] = 0
  }

  bytes(): number {
    return this.slots.bytes() + this.index.entries.byteLength + this.ledger.bytes() + this.addresses.bytes()
  }
}

/** Unix milliseconds of a time kept modulo 2^32 that is within 24 days of `nowMs`. */
export function unixMsOf(word: number, nowMs: number): number {
  return nowMs - (((nowMs >>> 0) - word) | 0)
}

export function minuteOf(unixMs: number): number {
  return Math.floor(unixMs / 60_000)
}
