import {
  type BatchHeader,
  bucketSlot,
  createFlowColumns,
  EndReason,
  type FlowColumns,
  Kind,
  L7Protocol,
  Protocol,
  packKind,
  Role,
  State,
} from '@skybraid/shared'

/** What was said on a record's connection: messages that each took `us` and asked for `bytes`. */
export interface TestSaid {
  readonly operation: string
  readonly status: number
  readonly flags: number
  readonly count: number
  readonly bytes: number
  readonly us: number
  /** Of L7Protocol; HTTP/1 if absent. */
  readonly protocol?: number
  readonly host?: string
}

/** One record in words that a test can write. Everything has a default; ISNs, flow id and endpoints should be given. */
export interface TestRecord {
  readonly protocol: number
  readonly role: number
  readonly state: number
  readonly reason: number
  readonly flags: number
  readonly flowId: number
  readonly dialler: number
  readonly acceptor: number
  readonly local: string
  readonly remote: string
  readonly owner: string
  readonly atMs: number
  readonly openedMs: number
  readonly handshakeUs: number
  readonly srttUs: number
  readonly minRttUs: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly segmentsSent: number
  readonly segmentsReceived: number
  readonly dataSent: number
  readonly dataReceived: number
  readonly retransmits: number
  readonly outOfOrder: number
  readonly bytesSentTotal: number
  readonly bytesReceivedTotal: number
  readonly dataSentTotal: number
  readonly dataReceivedTotal: number
  readonly retransmitsTotal: number
  readonly said: readonly TestSaid[]
}

export const minuteMs = 60_000
export const epochMs = Date.UTC(2026, 0, 1)

const plain: TestRecord = {
  protocol: Protocol.tcp,
  role: Role.client,
  state: State.open,
  reason: EndReason.unspecified,
  flags: 0,
  flowId: 1,
  dialler: 1,
  acceptor: 2,
  local: '10.0.0.1:1000',
  remote: '10.0.0.2:80',
  owner: 'program',
  atMs: epochMs + 1_000,
  openedMs: epochMs + 500,
  handshakeUs: 0,
  srttUs: 0,
  minRttUs: 0,
  bytesSent: 0,
  bytesReceived: 0,
  segmentsSent: 0,
  segmentsReceived: 0,
  dataSent: 0,
  dataReceived: 0,
  retransmits: 0,
  outOfOrder: 0,
  bytesSentTotal: 0,
  bytesReceivedTotal: 0,
  dataSentTotal: 0,
  dataReceivedTotal: 0,
  retransmitsTotal: 0,
  said: [],
}

export function record(given: Partial<TestRecord>): TestRecord {
  return { ...plain, ...given }
}

export interface TestHeader extends Partial<BatchHeader> {
  readonly node: string
}

/** A batch of records of one minute, as the decoder would deliver it. */
export function flowBatch(header: TestHeader, records: readonly TestRecord[]): FlowColumns {
  const columns = createFlowColumns()
  const minute = records.length > 0 ? Math.floor(records[0].atMs / minuteMs) * minuteMs : epochMs
  Object.assign(columns.header, { baseUnixMs: minute, sentUnixMs: minute, sequence: 1, ...header })
  columns.header.recordCount = records.length
  columns.count = records.length
  const v6: number[] = []
  records.forEach((each, i) => {
    put(columns, i, each, v6)
    for (const said of each.said) putSaid(columns, i, said)
  })
  columns.v6Addresses.set(v6)
  return columns
}

function put(columns: FlowColumns, i: number, record: TestRecord, v6: number[]): void {
  const { u32, u64, header } = columns
  const local = endpoint(record.local)
  const remote = endpoint(record.remote)
  const isV6 = local.bytes.length === 16
  u32.kind[i] = packKind(
    record.protocol,
    record.role,
    record.state,
    record.reason,
    record.flags | (isV6 ? Kind.v6 : 0),
  )
  u32.diallerIsn[i] = record.dialler
  u32.acceptorIsn[i] = record.acceptor
  setWide(u64.flowId, i, record.flowId)
  u32.localAddress[i] = isV6 ? pushV6(v6, local.bytes) : word(local.bytes)
  u32.remoteAddress[i] = isV6 ? pushV6(v6, remote.bytes) : word(remote.bytes)
  u32.ports[i] = (local.port << 16) | remote.port
  u32.owner[i] = ownerIndex(header, record.owner)
  u32.atMs[i] = record.atMs - header.baseUnixMs
  u32.ageMs[i] = record.atMs - record.openedMs
  u32.handshakeUs[i] = record.handshakeUs
  u32.srttUs[i] = record.srttUs
  u32.minRttUs[i] = record.minRttUs
  u32.segmentsSent[i] = record.segmentsSent
  u32.segmentsReceived[i] = record.segmentsReceived
  u32.dataSegmentsSent[i] = record.dataSent
  u32.dataSegmentsReceived[i] = record.dataReceived
  u32.retransmittedSegments[i] = record.retransmits
  u32.outOfOrderSegments[i] = record.outOfOrder
  u32.dataSegmentsSentTotal[i] = record.dataSentTotal
  u32.dataSegmentsReceivedTotal[i] = record.dataReceivedTotal
  u32.retransmittedSegmentsTotal[i] = record.retransmitsTotal
  setWide(u64.bytesSentTotal, i, record.bytesSentTotal)
  setWide(u64.bytesReceivedTotal, i, record.bytesReceivedTotal)
  putDelta(columns, i, 46, u32.bytesSent, record.bytesSent)
  putDelta(columns, i, 47, u32.bytesReceived, record.bytesReceived)
}

function putSaid({ header, l7 }: FlowColumns, record: number, said: TestSaid): void {
  const { operation: name, protocol = L7Protocol.http1, host = '' } = said
  const known = header.operations.findIndex(each => each.name === name && each.protocol === protocol)
  const row = l7.rowCount++
  l7.u32.l7Operation[row] = known >= 0 ? known : header.operations.push({ protocol, name, host }) - 1
  l7.u32.l7Record[row] = record
  l7.u32.l7Status[row] = said.status
  l7.u32.l7Flags[row] = said.flags
  l7.u32.l7Count[row] = said.count
  l7.u32.l7RequestBytes[row] = said.count * said.bytes
  l7.u32.l7ResponseBytes[row] = 2 * said.count * said.bytes
  l7.u32.l7FirstByteSumUs[row] = said.count * said.us
  l7.u32.l7LastByteSumUs[row] = said.count * (said.us + 1)
  if ((said.flags & 2) !== 0) return
  l7.u32.l7BucketCount[row] = 1
  l7.u32.l7BucketIndex[l7.bucketCount] = bucketSlot(said.us) - 2
  l7.u32.l7BucketValue[l7.bucketCount++] = said.count
}

function putDelta(columns: FlowColumns, i: number, field: number, column: Uint32Array, value: number): void {
  column[i] = value % 2 ** 32
  if (value < 2 ** 32) return
  columns.u32.wideAt[columns.wideCount] = (i << 8) | field
  columns.u32.wideHigh[columns.wideCount++] = Math.floor(value / 2 ** 32)
}

function setWide(column: Uint32Array, i: number, value: number): void {
  column[2 * i] = value % 2 ** 32
  column[2 * i + 1] = Math.floor(value / 2 ** 32)
}

function ownerIndex(header: BatchHeader, process: string): number {
  const known = header.owners.findIndex(owner => owner.process === process)
  if (known >= 0) return known
  return header.owners.push({ process, cgroup: '', podUid: '', containerId: '', unit: '', pid: 0 }) - 1
}

/** `1.2.3.4:80` or `[::1:2]:80` (groups after a leading `::` only). */
function endpoint(text: string): { bytes: number[]; port: number } {
  const at = text.lastIndexOf(':')
  const port = Number(text.slice(at + 1))
  const address = text.slice(0, at)
  if (!address.startsWith('[')) return { bytes: address.split('.').map(Number), port }
  const groups = address
    .slice(3, -1)
    .split(':')
    .map(group => Number.parseInt(group || '0', 16))
  const all = [...new Array<number>(8 - groups.length).fill(0), ...groups]
  return { bytes: all.flatMap(group => [group >>> 8, group & 0xff]), port }
}

function word(bytes: readonly number[]): number {
  return (bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24)) >>> 0
}

function pushV6(v6: number[], bytes: readonly number[]): number {
  v6.push(...bytes)
  return v6.length / 16 - 1
}
