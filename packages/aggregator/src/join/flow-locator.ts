import { Kind } from '@skybraid/shared'
import { v4MappedWord } from '../resolve/entity-source.ts'
import type { ConnectionStore } from './connection-store.ts'
import { indexedValue, sameTag } from './hash-index.ts'
import { pairHash, wordAt } from './key-hash.ts'
import type { RecordBatch } from './record-batch.ts'
import { Cold, coldSideAt, Head, openedMsAt, Side, SlotClass, SlotFlag, sideAt } from './slot-layout.ts'
import { chunkOf, coldStart, slotStart } from './slot-pool.ts'

/** A third view of a connection that has both ends already. */
export const conflict = -2
export const absent = -1

/** How far apart the two ends of a failed dial may be: the kernel gives up sending SYNs after about two minutes. */
const dialSpanMs = 180_000

/** Finds the flow of a record, or the slot that its other end opened. Allocates nothing, changes nothing. */
export class FlowLocator {
  readonly #store: ConnectionStore

  constructor(store: ConnectionStore) {
    this.#store = store
  }

  hash(batch: RecordBatch, i: number): number {
    const { columns } = batch
    const slotClass = batch.slotClass(i)
    if (slotClass === SlotClass.udp) {
      const { flowId } = columns.u64
      return this.#store.identityHash(batch.session, flowId[2 * i], flowId[2 * i + 1])
    }
    const acceptor = slotClass === SlotClass.tcp ? columns.u32.acceptorIsn[i] : 0
    return pairHash(this.#store.seed, columns.u32.diallerIsn[i], acceptor, slotClass)
  }

  /** The flow (slot * 2 + side) that the record continues, or -1. */
  find(batch: RecordBatch, i: number, hash: number): number {
    const slotClass = batch.slotClass(i)
    const { diallerIsn, acceptorIsn } = batch.columns.u32
    if (slotClass === SlotClass.tcp) {
      const slot = this.#store.findTcp(hash, diallerIsn[i], acceptorIsn[i])
      if (slot < 0) return absent
      const side = this.sideOfFlow(slot, batch, i)
      return side < 0 ? absent : slot * 2 + side
    }
    if (slotClass === SlotClass.udp) {
      const { flowId } = batch.columns.u64
      return this.#store.findUdp(hash, batch.session, flowId[2 * i], flowId[2 * i + 1])
    }
    return this.#findDial(batch, i, hash, true)
  }

  /** The slot that the record's other end opened; -1 if none. Not for UDP, whose pairs are found afterwards. */
  findOther(batch: RecordBatch, i: number, hash: number): number {
    const slotClass = batch.slotClass(i)
    if (slotClass === SlotClass.udp) return absent
    if (slotClass === SlotClass.failedDial) return this.#findDial(batch, i, hash, false)
    const { diallerIsn, acceptorIsn } = batch.columns.u32
    return this.#store.findTcp(hash, diallerIsn[i], acceptorIsn[i])
  }

  /** Which side of a slot is the record's own flow; -1 if neither. */
  sideOfFlow(slot: number, batch: RecordBatch, i: number): number {
    const words = this.#store.slots.words[chunkOf(slot)]
    const start = slotStart(slot)
    const { flowId } = batch.columns.u64
    const first = batch.side(i)
    for (let turn = 0; turn < 2; turn++) {
      const side = first ^ turn
      if ((words[start + Head.flags] & (SlotFlag.present << side)) === 0) continue
      const s = start + sideAt(side)
      if (
        words[s + Side.flowLow] === flowId[2 * i] &&
        words[s + Side.flowHigh] === flowId[2 * i + 1] &&
        words[s + Side.session] >>> 8 === batch.node
      ) {
        return side
      }
    }
    return -1
  }

  /**
   * Which side a record takes in a slot that the other end opened: `conflict` if both are taken. When both ends claim
   * one role, the answer depends on the two views alone; the other view then has to change sides.
   */
  sideToTake(slot: number, batch: RecordBatch, i: number): number {
    const store = this.#store
    if (store.isJoined(slot)) return conflict
    const taken = store.isPresent(slot, 0) ? 0 : 1
    const wanted = batch.side(i)
    const words = store.words(slot)
    const start = slotStart(slot)
    const { diallerIsn, acceptorIsn, kind, ports } = batch.columns.u32
    if (store.slotClass(slot) !== SlotClass.tcp) return 1 - taken
    if (words[start + Head.keyA] !== diallerIsn[i]) {
      // each end calls itself the dialler, or the acceptor: the smaller number is the dialler's
      const own = wanted === 0 ? diallerIsn[i] : acceptorIsn[i]
      const peer = wanted === 0 ? acceptorIsn[i] : diallerIsn[i]
      return own <= peer ? 0 : 1
    }
    if (wanted !== taken) return wanted
    const theirs = words[start + sideAt(taken) + Side.flags]
    const mineGuessed = (kind[i] & Kind.roleGuessed) !== 0
    const theirsGuessed = (theirs & Kind.roleGuessed) !== 0
    if (mineGuessed !== theirsGuessed) return mineGuessed ? 1 - wanted : wanted
    const port = ports[i] >>> 16
    const theirPort = words[coldStart(slot) + coldSideAt(taken) + Cold.ports] >>> 16
    if (port !== theirPort) return port > theirPort ? 0 : 1
    return this.#comesFirst(batch, i, words, start + sideAt(taken)) ? 0 : 1
  }

  #comesFirst(batch: RecordBatch, i: number, words: Uint32Array, s: number): boolean {
    const { flowId } = batch.columns.u64
    const node = words[s + Side.session] >>> 8
    if (node !== batch.node) return batch.node < node
    if (flowId[2 * i + 1] !== words[s + Side.flowHigh]) return flowId[2 * i + 1] < words[s + Side.flowHigh]
    return flowId[2 * i] < words[s + Side.flowLow]
  }

  /** A failed dial or a half-open record: the flow itself (`own`), or the slot of its other end. */
  #findDial(batch: RecordBatch, i: number, hash: number, own: boolean): number {
    const store = this.#store
    const isn = batch.columns.u32.diallerIsn[i]
    const { entries, mask } = store.index
    for (let at = hash & mask; entries[at] !== 0; at = (at + 1) & mask) {
      if (!sameTag(entries[at], hash)) continue
      const slot = indexedValue(entries[at]) >>> 1
      const words = store.words(slot)
      const start = slotStart(slot)
      if ((words[start + Head.flags] & SlotFlag.classMask) !== SlotClass.failedDial) continue
      if (words[start + Head.keyA] !== isn) continue
      if (own) {
        const side = this.sideOfFlow(slot, batch, i)
        if (side === batch.side(i)) return slot * 2 + side
      } else if (!store.isPresent(slot, batch.side(i)) && this.#sameDial(slot, batch, i)) {
        return slot
      }
    }
    return absent
  }

  /** Same time, and same port of the dialler unless something rewrote its address. */
  #sameDial(slot: number, batch: RecordBatch, i: number): boolean {
    const store = this.#store
    const side = batch.side(i)
    const words = store.words(slot)
    const s = slotStart(slot) + sideAt(1 - side)
    const other = openedMsAt(words, s)
    if (Math.abs(other - batch.openedMs(i)) > dialSpanMs) return false
    const { ports, localAddress, remoteAddress } = batch.columns.u32
    const mine = side === 0 ? ports[i] >>> 16 : ports[i] & 0xffff
    const c = coldStart(slot) + coldSideAt(1 - side)
    const theirs = side === 0 ? words[c + Cold.ports] & 0xffff : words[c + Cold.ports] >>> 16
    if (mine === theirs) return true
    const address = side === 0 ? localAddress[i] : remoteAddress[i]
    return !this.#isAddress(
      words[c + (side === 0 ? Cold.remote : Cold.local)],
      words[s + Side.flags],
      batch,
      i,
      address,
    )
  }

  #isAddress(kept: number, flags: number, batch: RecordBatch, i: number, address: number): boolean {
    const v6 = batch.isV6(i)
    if (v6 !== ((flags & Kind.v6) !== 0)) return false
    if (!v6) return kept === address
    const bytes = batch.columns.v6Addresses
    const pool = this.#store.addresses
    for (let word = 0; word < 4; word++) {
      if (wordAt(bytes, 16 * address + 4 * word) !== pool.word(kept, word)) return false
    }
    return true
  }
}

/** The second word of a UDP key: port, family, and the node where the initiator's address is a loopback one. */
export function endpointKey(port: number, v6: boolean, loopback: boolean, node: number): number {
  return (port | (v6 ? 1 << 16 : 0) | (loopback ? (node + 1) << 17 : 0)) >>> 0
}

export function isLoopback(w0: number, w1: number, w2: number, w3: number): boolean {
  if (w0 !== 0 || w1 !== 0) return false
  return w2 === v4MappedWord ? (w3 & 0xff) === 127 : w2 === 0 && w3 === 0x01000000
}
