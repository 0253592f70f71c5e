import { type FlowColumns, isV6, Protocol, protocolOf, Role, roleOf, State, stateOf } from '@skybraid/shared'
import type { EntitySource } from '../resolve/entity-source.ts'
import { SlotClass } from './slot-layout.ts'

/** Where a batch comes from, as the ingest knows it. */
export interface BatchOrigin {
  /** The node's number in the entity source. */
  node: number
  /** Counts the node's boots, modulo 256. */
  boot: number
  /** Nothing of this boot and partition before this batch is outstanding. */
  contiguous: boolean
}

const maxRecords = 1000
const twoTo32 = 2 ** 32
const unresolved = -2
const wideStride = 8
const firstWideField = 46

/** The records of the batch that is being applied. One object per table, pointed at one batch after another. */
export class RecordBatch {
  columns!: FlowColumns
  count = 0
  baseMs = 0
  minute = 0
  node = 0
  session = 0
  contiguous = true
  nowMs = 0
  readonly #owners = new Int32Array(maxRecords)
  readonly #wide = new Float64Array(maxRecords * wideStride)
  readonly #isWide = new Uint8Array(maxRecords)
  #hasWide = false
  readonly #entities: EntitySource

  constructor(entities: EntitySource) {
    this.#entities = entities
  }

  begin(columns: FlowColumns, origin: BatchOrigin, nowMs: number): void {
    this.columns = columns
    this.count = columns.count
    this.baseMs = columns.header.baseUnixMs
    this.minute = Math.floor(this.baseMs / 60_000)
    this.node = origin.node
    this.session = ((origin.node << 8) | (origin.boot & 0xff)) >>> 0
    this.contiguous = origin.contiguous
    this.nowMs = nowMs
    this.#owners.fill(unresolved, 0, columns.header.owners.length)
    if (this.#hasWide) {
      this.#wide.fill(0)
      this.#isWide.fill(0)
    }
    this.#hasWide = columns.wideCount > 0
    const { wideAt, wideHigh } = columns.u32
    for (let i = 0; i < columns.wideCount; i++) {
      const field = (wideAt[i] & 0xff) - firstWideField
      this.#isWide[wideAt[i] >>> 8] = 1
      this.#wide[(wideAt[i] >>> 8) * wideStride + field] = wideHigh[i] * twoTo32
    }
  }

  kind(i: number): number {
    return this.columns.u32.kind[i]
  }

  slotClass(i: number): number {
    const kind = this.columns.u32.kind[i]
    if (protocolOf(kind) === Protocol.udp) return SlotClass.udp
    return stateOf(kind) >= State.failed ? SlotClass.failedDial : SlotClass.tcp
  }

  /** 0 client, 1 server. An end that does not know takes the higher port for the client's. */
  side(i: number): number {
    const kind = this.columns.u32.kind[i]
    const state = stateOf(kind)
    if (state === State.failed) return 0
    if (state === State.halfOpen) return 1
    const role = roleOf(kind)
    if (role !== Role.unknown) return role - 1
    const ports = this.columns.u32.ports[i]
    return ports >>> 16 >= (ports & 0xffff) ? 0 : 1
  }

  roleIsSure(i: number): boolean {
    return roleOf(this.columns.u32.kind[i]) !== Role.unknown
  }

  atMs(i: number): number {
    return this.baseMs + this.columns.u32.atMs[i]
  }

  openedMs(i: number): number {
    return this.baseMs + this.columns.u32.atMs[i] - this.columns.u32.ageMs[i]
  }

  owner(i: number): number {
    const index = this.columns.u32.owner[i]
    if (this.#owners[index] === unresolved) {
      this.#owners[index] = this.#entities.ofOwner(this.node, this.columns.header.owners[index])
    }
    return this.#owners[index]
  }

  sentTotal(i: number): number {
    const { bytesSentTotal } = this.columns.u64
    return bytesSentTotal[2 * i + 1] * twoTo32 + bytesSentTotal[2 * i]
  }

  receivedTotal(i: number): number {
    const { bytesReceivedTotal } = this.columns.u64
    return bytesReceivedTotal[2 * i + 1] * twoTo32 + bytesReceivedTotal[2 * i]
  }

  bytesSentDelta(i: number): number {
    const low = this.columns.u32.bytesSent[i]
    return this.#hasWide ? low + this.#wide[i * wideStride] : low
  }

  bytesReceivedDelta(i: number): number {
    const low = this.columns.u32.bytesReceived[i]
    return this.#hasWide ? low + this.#wide[i * wideStride + 1] : low
  }

  /** The record's eight deltas, in the order of their columns. */
  amounts(i: number, into: Float64Array): void {
    const { u32 } = this.columns
    into[0] = u32.bytesSent[i]
    into[1] = u32.bytesReceived[i]
    into[2] = u32.segmentsSent[i]
    into[3] = u32.segmentsReceived[i]
    into[4] = u32.dataSegmentsSent[i]
    into[5] = u32.dataSegmentsReceived[i]
    into[6] = u32.retransmittedSegments[i]
    into[7] = u32.outOfOrderSegments[i]
    if (!this.#hasWide) return
    for (let column = 0; column < wideStride; column++) into[column] += this.#wide[i * wideStride + column]
  }

  /** By record, whether `isWide`; undefined if none is. */
  get wide(): Uint8Array | undefined {
    return this.#hasWide ? this.#isWide : undefined
  }

  /** Some delta of the record exceeds 32 bits. */
  isWide(i: number): boolean {
    return this.#hasWide && this.#isWide[i] !== 0
  }

  isV6(i: number): boolean {
    return isV6(this.columns.u32.kind[i])
  }
}
