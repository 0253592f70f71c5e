import {
  createFlowColumns,
  EndReason,
  Kind,
  Protocol,
  packKind,
  Role,
  State,
} from '../../packages/shared/src/index.ts'

export const programsPerNode = 141
/** Of 1,000 records: short connections that open or close, some retransmits, readings while data is under way. */
export const perMille = { opening: 5, retransmit: 10, busy: 300 }

/** Short connections of a batch, numbered from `first` on. */
export interface Short {
  readonly first: number
  readonly count: number
}

/** Sequence numbers are spread like real ones. */
function spread(n: number): number {
  return Math.imul(n, 0x9e3779b1) >>> 0
}

/** A number below `limit` that looks random and is the same every time. */
function chance(seed: number, limit: number): number {
  let h = Math.imul(seed ^ (seed >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) % limit
}

/**
 * Connections that stay open, as two nodes report them: connection n as its node's collector counts it; the other end's
 * collector counts the same.
 */
export class LiveConnections {
  readonly columns = createFlowColumns()
  readonly count: number
  readonly v6: boolean
  /** Of each node. */
  readonly programs: number
  readonly #startMs: number
  readonly #bytes: readonly Float64Array[]
  readonly #segments: readonly Uint32Array[]
  readonly #retransmits: readonly Uint32Array[]
  readonly #sequences = [0, 0]
  readonly #records = [0, 0]

  /** All of them open at `startMs`. */
  constructor(count: number, startMs: number, v6 = false, programs = programsPerNode) {
    this.count = count
    this.v6 = v6
    this.programs = programs
    this.#startMs = startMs
    this.#bytes = [new Float64Array(count), new Float64Array(count)]
    this.#segments = [new Uint32Array(count), new Uint32Array(count)]
    this.#retransmits = [new Uint32Array(count), new Uint32Array(count)]
  }

  /** The next batch of a node: `readings` from a place of its round on, and short connections that open and end. */
  batch(node: number, from: number, readings: number, short: Short, atMs: number, round: number): void {
    const { first, count } = short
    this.begin(node, readings + 2 * count, atMs)
    for (let i = 0; i < readings; i++) this.reading(i, this.#placed(from + i, node), node, atMs, round)
    for (let i = 0; i < count; i++) {
      this.short(readings + i, first + i, node, atMs, false)
      this.short(readings + count + i, first + i, node, atMs, true)
    }
  }

  /** What a node reads at a place of its round: an order that no cache can guess, and each node has its own. */
  #placed(place: number, node: number): number {
    return node === 0 ? (place * 7_919) % this.count : (place * 104_729 + this.count / 2) % this.count
  }

  begin(node: number, records: number, atMs: number, programs = this.programs): void {
    const { columns } = this
    const { header } = columns
    header.node = node === 0 ? 'north' : 'south'
    header.bootId = '000000000000000a'
    header.sequence = ++this.#sequences[node]
    header.firstRecord = this.#records[node]
    this.#records[node] += records
    header.baseUnixMs = Math.floor(atMs / 60_000) * 60_000
    header.sentUnixMs = atMs
    header.recordCount = columns.count = records
    header.owners.length = 0
    for (let program = 0; program < programs; program++)
      header.owners.push({
        process: `program-${node}-${program}`,
        cgroup: `/kubepods.slice/pod-${node}-${program}`,
        podUid: '',
        containerId: '',
        unit: '',
        pid: 0,
      })
  }

  /** Every other connection is dialled by the other node, so that a batch holds both sides. */
  sideOf(n: number, node: number): number {
    return (n ^ node) & 1
  }

  /** Record i: connection n at a time, with what it moved since this end's last record. */
  reading(i: number, n: number, node: number, atMs: number, round: number): void {
    const { u32, u64, header } = this.columns
    const side = this.sideOf(n, node)
    const bytes = this.#bytes[side]
    const segments = this.#segments[side]
    const retransmits = this.#retransmits[side]
    const isFirst = round === 0
    const sent = isFirst ? 0 : 200 + chance(n + 7 * round, 20_000)
    const more = Math.ceil(sent / 1_448)
    bytes[n] = isFirst ? 0 : bytes[n] + sent
    segments[n] = isFirst ? 0 : segments[n] + more
    const isBusy = chance(n + 13 * round, 1_000) < perMille.busy
    const lost = !isFirst && chance(n + side + 17 * round, 1_000) < perMille.retransmit ? 1 : 0
    retransmits[n] = isFirst ? 0 : retransmits[n] + lost
    this.identity(i, n, node, State.open, (isFirst ? Kind.first : 0) | (isBusy ? 0 : Kind.quiet))
    u32.atMs[i] = atMs - header.baseUnixMs
    u32.ageMs[i] = atMs - this.#startMs
    u32.handshakeUs[i] = isFirst ? 120 + chance(n, 100) : 0
    u32.srttUs[i] = isFirst ? 0 : 100 + chance(n + round, 400)
    u32.minRttUs[i] = 0
    u32.bytesSent[i] = u32.bytesReceived[i] = sent
    u32.segmentsSent[i] = u32.segmentsReceived[i] = 2 * more
    u32.dataSegmentsSent[i] = u32.dataSegmentsReceived[i] = more
    u32.retransmittedSegments[i] = lost
    u32.dataSegmentsSentTotal[i] = u32.dataSegmentsReceivedTotal[i] = segments[n]
    u32.retransmittedSegmentsTotal[i] = retransmits[n]
    const low = bytes[n] % 2 ** 32
    u64.bytesSentTotal[2 * i] = u64.bytesReceivedTotal[2 * i] = low
    u64.bytesSentTotal[2 * i + 1] = u64.bytesReceivedTotal[2 * i + 1] = Math.floor(bytes[n] / 2 ** 32)
  }

  /** Record i: a connection of its own that opens, or that one when it closes. */
  short(i: number, n: number, node: number, atMs: number, isEnd: boolean): void {
    const { u32, u64, header } = this.columns
    this.identity(i, this.count + n, node, isEnd ? State.closed : State.open, isEnd ? Kind.quiet : Kind.first)
    if (isEnd) u32.kind[i] |= EndReason.fin << Kind.reasonShift
    u32.atMs[i] = atMs - header.baseUnixMs
    u32.ageMs[i] = 0
    u32.handshakeUs[i] = isEnd ? 0 : 150
    u32.srttUs[i] = isEnd ? 120 : 0
    u32.minRttUs[i] = isEnd ? 90 : 0
    const amount = isEnd ? 900 : 0
    u32.bytesSent[i] = u32.bytesReceived[i] = amount
    u32.segmentsSent[i] = u32.segmentsReceived[i] = isEnd ? 6 : 0
    u32.dataSegmentsSent[i] = u32.dataSegmentsReceived[i] = isEnd ? 1 : 0
    u32.retransmittedSegments[i] = u32.retransmittedSegmentsTotal[i] = 0
    u32.dataSegmentsSentTotal[i] = u32.dataSegmentsReceivedTotal[i] = isEnd ? 1 : 0
    u64.bytesSentTotal[2 * i] = u64.bytesReceivedTotal[2 * i] = amount
    u64.bytesSentTotal[2 * i + 1] = u64.bytesReceivedTotal[2 * i + 1] = 0
  }

  identity(i: number, n: number, node: number, state: number, flags: number): void {
    const { u32, u64, v6Addresses } = this.columns
    const side = this.sideOf(n, node)
    const role = side === 0 ? Role.client : Role.server
    u32.kind[i] = packKind(Protocol.tcp, role, state, 0, flags | (this.v6 ? Kind.v6 : 0))
    u32.diallerIsn[i] = spread(n)
    u32.acceptorIsn[i] = spread(n + 0x4000_0000)
    u64.flowId[2 * i] = n * 2 + side
    u64.flowId[2 * i + 1] = 0
    u32.ports[i] = side === 0 ? ((1024 + (n % 60_000)) << 16) | 80 : (80 << 16) | (1024 + (n % 60_000))
    u32.owner[i] = chance(n + side * 0x1234_567, this.programs)
    if (this.v6) {
      putV6(v6Addresses, 2 * i, 2 * n + side)
      putV6(v6Addresses, 2 * i + 1, 2 * n + 1 - side)
    }
    u32.localAddress[i] = this.v6 ? 2 * i : 0x0a + u32.owner[i] * 256 + side * 0x10_0000
    const peer = chance(n + (1 - side) * 0x1234_567, this.programs)
    u32.remoteAddress[i] = this.v6 ? 2 * i + 1 : 0x0a + peer * 256 + (1 - side) * 0x10_0000
  }
}

function putV6(bytes: Uint8Array, address: number, host: number): void {
  const at = 16 * address
  bytes.fill(0, at, at + 16)
  bytes[at] = 0xfd
  for (let byte = 0; byte < 4; byte++) bytes[at + 12 + byte] = host >>> (24 - 8 * byte)
}
