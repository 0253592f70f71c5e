import {
  EndReason,
  type FlowColumns,
  Kind,
  Protocol,
  packKind,
  Role,
  State,
} from '../../../packages/shared/src/index.ts'
import { mix, tcpPartition, udpPartition } from './chance.ts'
import { type Connections, type Totals, totalsAt } from './connections.ts'
import { type FrameWriter, recordsPerFrame } from './frame-writer.ts'
import { addressWord, EdgeKind, type MapEdge, type WorldMap } from './map.ts'
import { At, sideStride, type TruthBook, truthCount, udpStride } from './truth-book.ts'
import type { WorldSettings } from './world.ts'

/** Why an end gets a record. */
export const What = { open: 0, read: 1, close: 2, openAndClose: 3, fail: 4, halfOpen: 5, count: 8 } as const

const failures = [
  EndReason.refused,
  EndReason.timedOut,
  EndReason.unreachable,
  EndReason.resetInHandshake,
  EndReason.abandoned,
]
const nothing: Totals = {
  steps: 0,
  clientBytes: 0,
  serverBytes: 0,
  clientSegments: 0,
  serverSegments: 0,
  lost: 0,
}

/** Writes records into columns and what they mean into the book. */
export class RecordScribe {
  /** From then on nothing moves. */
  calmMs = Number.POSITIVE_INFINITY
  /** Of connections that both ends saw to their end: data segments that the client sent, and those that got lost. */
  readonly segments = { compared: 0, lost: 0 }
  readonly #settings: WorldSettings
  readonly #map: WorldMap
  readonly #pool: Connections
  readonly #book: TruthBook
  readonly #writer: FrameWriter
  readonly #before: Totals = { ...nothing }
  readonly #now: Totals = { ...nothing }
  #rows: Float64Array = new Float64Array(0)

  constructor(
    settings: WorldSettings,
    map: WorldMap,
    pool: Connections,
    book: TruthBook,
    writer: FrameWriter,
  ) {
    this.#settings = settings
    this.#map = map
    this.#pool = pool
    this.#book = book
    this.#writer = writer
  }

  /** One node's records of one flush; answers how many there were. `readMs` is when open connections are looked at. */
  write(list: readonly number[], baseMs: number, readMs: number): number {
    if (list.length === 0) return 0
    this.#rows = this.#book.rows(baseMs / 60_000)
    let written = 0
    for (const code of list) {
      const end = Math.floor(code / What.count)
      written += this.#record(end >>> 1, end & 1, code % What.count, baseMs, readMs)
    }
    return written
  }

  #record(slot: number, side: number, what: number, baseMs: number, readMs: number): 0 | 1 {
    const pool = this.#pool
    const edge = this.#map.edges[pool.edge[slot]]
    const isEnd = what !== What.open && what !== What.read
    const atMs = isEnd ? pool.closeMs[slot] : readMs
    const isFailure = what === What.fail || what === What.halfOpen
    const isFirst = what !== What.read && what !== What.close
    const end = 2 * slot + side
    if (isFailure) this.#setTotals(undefined, undefined, edge, slot)
    else this.#setTotals(isFirst ? undefined : pool.readMs[end], atMs, edge, slot)
    const announces = what === What.read && this.#now.clientBytes === this.#before.clientBytes
    if (announces && readMs - pool.toldMs[end] < this.#settings.announceMs) return 0
    pool.readMs[end] = atMs
    pool.toldMs[end] = atMs
    const { row, columns } = this.#place(edge, slot)
    const kind = this.#kindOf(edge, slot, side, what) | (announces ? Kind.announcedAgain : 0)
    this.#identity(columns, row, edge, slot, side, isFailure)
    const { u32 } = columns
    u32.kind[row] = kind
    u32.atMs[row] = atMs - baseMs
    u32.ageMs[row] = atMs - pool.openedMs[slot]
    const isTcp = edge.kind !== EdgeKind.udp
    const jitter = mix(pool.serial[slot], atMs)
    u32.handshakeUs[row] = isTcp && isFirst && !isFailure ? 80 + (jitter & 255) : 0
    u32.srttUs[row] = isTcp && !isFailure && what !== What.open ? 50 + (jitter & 1023) : 0
    u32.minRttUs[row] = isTcp && isEnd && !isFailure ? 40 + (jitter & 31) : 0
    this.#amounts(columns, row, side)
    this.#bookRecord(columns, row, edge, pool.edge[slot], side, what, kind)
    columns.count = row + 1
    if (columns.count === recordsPerFrame) this.#writer.put(this.#partitionOf(edge, slot))
    return 1
  }

  #setTotals(fromMs: number | undefined, toMs: number | undefined, edge: MapEdge, slot: number): void {
    const { openedMs, serial } = this.#pool
    const elapsed = (ms: number) => Math.max(0, Math.min(ms, this.calmMs) - openedMs[slot])
    if (toMs === undefined) {
      Object.assign(this.#now, nothing)
      Object.assign(this.#before, nothing)
      return
    }
    totalsAt(edge, serial[slot], this.#settings.seed, elapsed(toMs), this.#now)
    if (fromMs === undefined) Object.assign(this.#before, nothing)
    else totalsAt(edge, serial[slot], this.#settings.seed, elapsed(fromMs), this.#before)
  }

  #partitionOf(edge: MapEdge, slot: number): number {
    const { partitions } = this.#writer
    if (edge.kind !== EdgeKind.udp) return tcpPartition(this.#pool.diallerIsn[slot], partitions)
    const serial = this.#pool.serial[slot]
    return udpPartition(clientAddress(edge, serial), clientPort(serial), partitions)
  }

  #place(edge: MapEdge, slot: number): { row: number; columns: FlowColumns } {
    const columns = this.#writer.columns[this.#partitionOf(edge, slot)]
    return { row: columns.count, columns }
  }

  #kindOf(edge: MapEdge, slot: number, side: number, what: number): number {
    const protocol = edge.kind === EdgeKind.udp ? Protocol.udp : Protocol.tcp
    const role = side === 0 ? Role.client : Role.server
    const first = what === What.read || what === What.close ? 0 : Kind.first
    const serial = this.#pool.serial[slot]
    if (what === What.open || what === What.read) return packKind(protocol, role, State.open, 0, first)
    if (what === What.halfOpen) return packKind(protocol, role, State.halfOpen, 0, first)
    if (what === What.fail) {
      const reason = failures[mix(serial, 5) % failures.length]
      return packKind(protocol, role, State.failed, reason, first)
    }
    const reason = protocol === Protocol.udp ? EndReason.idle : endReason(mix(serial, 11) % 12, side)
    return packKind(protocol, role, State.closed, reason, first | Kind.quiet)
  }

  #identity(
    { u32, u64 }: FlowColumns,
    row: number,
    edge: MapEdge,
    slot: number,
    side: number,
    isFailure: boolean,
  ): void {
    const pool = this.#pool
    const serial = pool.serial[slot]
    const isTcp = edge.kind !== EdgeKind.udp
    const client = clientAddress(edge, serial)
    const port = clientPort(serial)
    u32.diallerIsn[row] = isTcp ? pool.diallerIsn[slot] : 0
    u32.acceptorIsn[row] = isTcp && !isFailure ? pool.acceptorIsn[slot] : 0
    const flow = 2 * serial + side
    u64.flowId[2 * row] = flow % 2 ** 32
    u64.flowId[2 * row + 1] = Math.floor(flow / 2 ** 32)
    u32.networkNamespace[row] = 4_026_531_840
    const own = serverAddress(edge)
    if (side === 0) {
      u32.localAddress[row] = client
      u32.remoteAddress[row] = edge.dialled !== 0 ? edge.dialled : own
      u32.ports[row] = (port << 16) | edge.dialledPort
      u32.owner[row] = edge.clientOwner
    } else {
      u32.localAddress[row] = own
      u32.remoteAddress[row] = edge.seenAs !== 0 ? edge.seenAs : client
      u32.ports[row] = (edge.port << 16) | (edge.seenAs !== 0 ? 1_024 + (mix(serial, 13) % 60_000) : port)
      u32.owner[row] = edge.serverOwner
    }
  }

  #amounts({ u32, u64 }: FlowColumns, row: number, side: number): void {
    const now = this.#now
    const before = this.#before
    const lost = side === 0 ? now.lost : 0
    const lostBefore = side === 0 ? before.lost : 0
    const sent = side === 0 ? now.clientBytes : now.serverBytes
    const received = side === 0 ? now.serverBytes : now.clientBytes
    const dataSent = (side === 0 ? now.clientSegments : now.serverSegments) + lost
    const dataReceived = side === 0 ? now.serverSegments : now.clientSegments
    const dataSentBefore = (side === 0 ? before.clientSegments : before.serverSegments) + lostBefore
    const dataReceivedBefore = side === 0 ? before.serverSegments : before.clientSegments
    u32.bytesSent[row] = sent - (side === 0 ? before.clientBytes : before.serverBytes)
    u32.bytesReceived[row] = received - (side === 0 ? before.serverBytes : before.clientBytes)
    u32.dataSegmentsSent[row] = dataSent - dataSentBefore
    u32.dataSegmentsReceived[row] = dataReceived - dataReceivedBefore
    u32.segmentsSent[row] = u32.dataSegmentsSent[row] + u32.dataSegmentsReceived[row]
    u32.segmentsReceived[row] = u32.segmentsSent[row] - (lost - lostBefore)
    u32.retransmittedSegments[row] = lost - lostBefore
    u32.outOfOrderSegments[row] = side === 1 ? now.lost - before.lost : 0
    u32.dataSegmentsSentTotal[row] = dataSent
    u32.dataSegmentsReceivedTotal[row] = dataReceived
    u32.retransmittedSegmentsTotal[row] = lost
    setWide(u64.bytesSentTotal, row, sent)
    setWide(u64.bytesReceivedTotal, row, received)
  }

  #bookRecord(
    { u32 }: FlowColumns,
    row: number,
    edge: MapEdge,
    edgeNumber: number,
    side: number,
    what: number,
    kind: number,
  ): void {
    const rows = this.#rows
    const at = edgeNumber * truthCount
    const isFirst = (kind & Kind.first) !== 0
    if (edge.kind === EdgeKind.udp) {
      const s = at + side * udpStride
      if (isFirst) rows[s + At.udpFlows]++
      rows[s + At.udpDatagramsSent] += u32.segmentsSent[row]
      rows[s + At.udpDatagramsSent + 1] += u32.segmentsReceived[row]
      rows[s + At.udpDatagramsSent + 2] += u32.bytesSent[row]
      rows[s + At.udpDatagramsSent + 3] += u32.bytesReceived[row]
      return
    }
    const reason = (kind >>> Kind.reasonShift) & Kind.reasonMask
    if (what === What.fail) rows[at + At.refused + reason - EndReason.refused]++
    else if (what === What.halfOpen) rows[at + At.halfOpen]++
    if (what === What.fail || what === What.halfOpen) return
    const s = at + side * sideStride
    if (isFirst) {
      rows[s + At.opened]++
      rows[s + At.handshakes]++
      if (side === 0) rows[at + (edge.server < 0 ? At.openedClientOnly : At.openedJoined)]++
    }
    if (what === What.close || what === What.openAndClose) {
      rows[s + At.closed]++
      rows[s + At.endedFin + reason - EndReason.fin]++
      rows[s + At.minRtts]++
      rows[s + At.durations]++
      if (side === 1) {
        this.segments.compared += this.#now.clientSegments + this.#now.lost
        this.segments.lost += this.#now.lost
      }
    }
    // an announcement says nothing new
    if (u32.srttUs[row] > 0 && (kind & Kind.announcedAgain) === 0) rows[s + At.rtts]++
    const amounts = s + At.bytesSent
    rows[amounts] += u32.bytesSent[row]
    rows[amounts + 1] += u32.bytesReceived[row]
    rows[amounts + 2] += u32.segmentsSent[row]
    rows[amounts + 3] += u32.segmentsReceived[row]
    rows[amounts + 4] += u32.dataSegmentsSent[row]
    rows[amounts + 5] += u32.dataSegmentsReceived[row]
    rows[amounts + 6] += u32.retransmittedSegments[row]
    rows[amounts + 7] += u32.outOfOrderSegments[row]
  }
}

function endReason(choice: number, side: number): number {
  if (choice === 0) return side === 0 ? EndReason.rstSent : EndReason.rstReceived
  if (choice === 1) return side === 0 ? EndReason.rstReceived : EndReason.rstSent
  return choice === 2 ? EndReason.kernelTimeout : EndReason.fin
}

function clientPort(serial: number): number {
  return 32_768 + (serial % 28_000)
}

/** Address and port together are unique for seven million connections. */
function clientAddress(edge: MapEdge, serial: number): number {
  return addressWord(
    10,
    edge.clientHost >> 8,
    edge.clientHost & 0xff,
    1 + (Math.floor(serial / 28_000) % 250),
  )
}

function serverAddress(edge: MapEdge): number {
  return edge.server < 0 ? 0 : addressWord(10, 128 + (edge.serverHost >> 8), edge.serverHost & 0xff, 1)
}

function setWide(column: Uint32Array, row: number, value: number): void {
  column[2 * row] = value % 2 ** 32
  column[2 * row + 1] = Math.floor(value / 2 ** 32)
}
