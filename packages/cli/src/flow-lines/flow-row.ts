import {
  type EndName,
  endNames,
  type FlowColumns,
  type FlowStateName,
  Kind,
  l7ProtocolOf,
  Protocol,
  protocolOf,
  Role,
  reasonOf,
  roleOf,
  samplingOf,
  stateNames,
  stateOf,
  type U64Column,
  u32ColumnFields,
} from '@skybraid/shared'
import { dnsNamesOf, type FlowEnd, flowEnd } from './flow-end.ts'
import { protocolText, type SaidRow, saidRows } from './said-rows.ts'

/** One flow record, ready to be shown. Absent means not measured. Sent and received are as the local end sees them. */
export interface FlowRow {
  readonly unixMs: number
  readonly cluster: string
  readonly node: string
  readonly bootId: string
  readonly partition: number
  readonly sequence: number
  readonly protocol: 'tcp' | 'udp'
  /** What it was found to speak; absent where that is not known. */
  readonly application?: string
  /** What was said since the flow's previous record. */
  readonly said: readonly SaidRow[]
  /** Of the local end, which belongs to the reporting node. */
  readonly role: FlowRole
  readonly roleGuessed: boolean
  /** The client; the local end where the role is not known. */
  readonly from: FlowEnd
  readonly to: FlowEnd
  readonly state: FlowStateName
  /** How it ended; absent while it is open. */
  readonly end?: EndName
  readonly first: boolean
  readonly adopted: boolean
  readonly inherited: boolean
  readonly quiet: boolean
  readonly announcedAgain: boolean
  readonly mptcp: boolean
  /** How many connections the record stands for; more than 1 where only some are followed. */
  readonly standsFor: number
  readonly flowId: string
  /** Both initial sequence numbers, the same in the records of both ends. TCP only. */
  readonly key?: string
  readonly networkNamespace: number
  readonly ageMs: number
  readonly handshakeUs?: number
  readonly srttUs?: number
  readonly minRttUs?: number
  readonly counters: FlowCounters
  /** Since the connection began. */
  readonly totals: FlowTotals
}

/** Since the flow's previous record. */
export interface FlowCounters {
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly segmentsSent: number
  readonly segmentsReceived: number
  readonly dataSegmentsSent: number
  readonly dataSegmentsReceived: number
  readonly retransmits: number
  readonly outOfOrderSegments: number
}

export interface FlowTotals {
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly dataSegmentsSent: number
  readonly dataSegmentsReceived: number
  readonly retransmits: number
}

export const roleNames = {
  [Role.unknown]: 'unknown',
  [Role.client]: 'client',
  [Role.server]: 'server',
} as const
export type FlowRole = (typeof roleNames)[keyof typeof roleNames]

/** The records of a decoded batch, in its order. Nothing in them refers to `columns` afterwards. */
export function flowRows(columns: FlowColumns): FlowRow[] {
  const dns = dnsNamesOf(columns)
  const wide = wideValues(columns)
  const said = saidRows(columns)
  const rows: FlowRow[] = []
  for (let row = 0; row < columns.count; row++) {
    rows.push({ ...flowRow(columns, row, dns, wide), said: said.get(row) ?? [] })
  }
  return rows
}

function flowRow(
  columns: FlowColumns,
  row: number,
  dns: ReadonlyMap<string, readonly string[]>,
  wide: ReadonlyMap<number, number>,
): Omit<FlowRow, 'said'> {
  const { header, u32 } = columns
  const kind = u32.kind[row]
  const role = roleNames[roleOf(kind) as keyof typeof roleNames]
  const [local, remote] = [flowEnd(columns, row, 'local', dns), flowEnd(columns, row, 'remote', dns)]
  const end = endNames[reasonOf(kind) as keyof typeof endNames] as EndName | undefined
  const isTcp = protocolOf(kind) === Protocol.tcp
  return {
    unixMs: header.baseUnixMs + u32.atMs[row],
    cluster: header.cluster,
    node: header.node,
    bootId: header.bootId,
    partition: header.partition,
    sequence: header.sequence,
    protocol: isTcp ? 'tcp' : 'udp',
    ...(l7ProtocolOf(kind) !== 0 && { application: protocolText(l7ProtocolOf(kind)) }),
    role,
    from: role === 'server' ? remote : local,
    to: role === 'server' ? local : remote,
    state: stateNames[stateOf(kind) as keyof typeof stateNames],
    ...(end === undefined ? {} : { end }),
    ...marksOf(kind),
    flowId: word64(columns, 'flowId', row).toString(),
    ...(isTcp ? { key: `${hex(u32.diallerIsn[row])}-${hex(u32.acceptorIsn[row])}` } : {}),
    networkNamespace: u32.networkNamespace[row],
    ageMs: u32.ageMs[row],
    ...measured('handshakeUs', u32.handshakeUs[row]),
    ...measured('srttUs', u32.srttUs[row]),
    ...measured('minRttUs', u32.minRttUs[row]),
    counters: countersOf(columns, row, wide),
    totals: totalsOf(columns, row),
  }
}

function marksOf(kind: number) {
  return {
    roleGuessed: (kind & Kind.roleGuessed) !== 0,
    first: (kind & Kind.first) !== 0,
    adopted: (kind & Kind.adopted) !== 0,
    inherited: (kind & Kind.inherited) !== 0,
    quiet: (kind & Kind.quiet) !== 0,
    announcedAgain: (kind & Kind.announcedAgain) !== 0,
    mptcp: (kind & Kind.mptcp) !== 0,
    standsFor: 2 ** samplingOf(kind),
  }
}

function totalsOf(columns: FlowColumns, row: number): FlowTotals {
  const { u32 } = columns
  return {
    bytesSent: Number(word64(columns, 'bytesSentTotal', row)),
    bytesReceived: Number(word64(columns, 'bytesReceivedTotal', row)),
    dataSegmentsSent: u32.dataSegmentsSentTotal[row],
    dataSegmentsReceived: u32.dataSegmentsReceivedTotal[row],
    retransmits: u32.retransmittedSegmentsTotal[row],
  }
}

function countersOf({ u32 }: FlowColumns, row: number, wide: ReadonlyMap<number, number>): FlowCounters {
  const delta = (column: DeltaColumn) =>
    u32[column][row] +
    2 ** 32 * (wide.size === 0 ? 0 : (wide.get(wideKey(row, u32ColumnFields[column])) ?? 0))
  return {
    bytesSent: delta('bytesSent'),
    bytesReceived: delta('bytesReceived'),
    segmentsSent: delta('segmentsSent'),
    segmentsReceived: delta('segmentsReceived'),
    dataSegmentsSent: delta('dataSegmentsSent'),
    dataSegmentsReceived: delta('dataSegmentsReceived'),
    retransmits: delta('retransmittedSegments'),
    outOfOrderSegments: delta('outOfOrderSegments'),
  }
}

type DeltaColumn =
  | 'bytesSent'
  | 'bytesReceived'
  | 'segmentsSent'
  | 'segmentsReceived'
  | 'dataSegmentsSent'
  | 'dataSegmentsReceived'
  | 'retransmittedSegments'
  | 'outOfOrderSegments'

function wideValues({ u32, wideCount }: FlowColumns): Map<number, number> {
  const high = new Map<number, number>()
  for (let index = 0; index < wideCount; index++) high.set(u32.wideAt[index], u32.wideHigh[index])
  return high
}

/** The form of `wideAt`. */
function wideKey(row: number, field: number): number {
  return ((row << 8) | field) >>> 0
}

function word64({ u64 }: FlowColumns, column: U64Column, row: number): bigint {
  return (BigInt(u64[column][2 * row + 1]) << 32n) | BigInt(u64[column][2 * row])
}

/** The columns have 0 where nothing was measured. */
function measured<N extends string>(name: N, value: number): { readonly [K in N]?: number } {
  return value === 0 ? {} : ({ [name]: value } as { readonly [K in N]: number })
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0')
}
