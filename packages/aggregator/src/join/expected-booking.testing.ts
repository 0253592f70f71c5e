import { bucketSlot, Kind, Protocol, State } from '@skybraid/shared'
import { minuteMs, type TestRecord, type TestSaid } from './flow-batch.testing.ts'
import type { InventedFlow, Reported } from './invented-world.testing.ts'
import type { Booked } from './reference-book.testing.ts'

/**
 * What must be booked for a set of received records: worked out flow by flow from the whole set at once, with none of
 * the join's machinery. Loss is left out; missing bytes are told per edge, not per minute.
 */
export interface Expected {
  readonly booked: Booked
  readonly missingBytes: Record<string, number>
}

export function expectedBooking(
  flows: readonly InventedFlow[],
  received: ReadonlyMap<InventedFlow, Reported[]>,
): Expected {
  const booked: Booked = {}
  const missingBytes: Record<string, number> = {}
  for (const flow of flows) {
    const reports = received.get(flow) ?? []
    const client = reports.filter(report => report.record.role === 1)
    const server = reports.filter(report => report.record.role === 2)
    if (client.length + server.length === 0) continue
    const edge = edgeName(flow, client, server)
    const add = (atMs: number, name: string, amount: number) => {
      if (amount === 0) return
      const minute = Math.floor(atMs / minuteMs)
      booked[edge] ??= {}
      booked[edge][minute] ??= {}
      booked[edge][minute][name] = (booked[edge][minute][name] ?? 0) + amount
    }
    addSide('client', client, add)
    addSide('server', server, add)
    addOpened(client, server, add)
    const missing = missingOf(client) + missingOf(server)
    if (missing > 0) missingBytes[edge] = (missingBytes[edge] ?? 0) + missing
  }
  return { booked, missingBytes }
}

function edgeName(flow: InventedFlow, client: readonly Reported[], server: readonly Reported[]): string {
  const protocol = flow.protocol === Protocol.tcp ? 'tcp' : 'udp'
  const dialledPort = flow.viaService ? 80 : 8080
  const mapped = (node: string, hex: string) => `${node}!0.0.ffff0000.${hex}`
  const clientAddress = Number(0x0100000a + (flow.id << 16)).toString(16)
  const serverAddress = flow.viaService
    ? Number(0x0100600a).toString(16)
    : Number(0x0100010a + (flow.id << 16)).toString(16)
  const clientOwner = `${flow.clientNode}/client-${flow.id % 2}`
  const serverOwner = `${flow.serverNode}/server-${flow.id % 2}`
  if (server.length === 0)
    return `${clientOwner} > ${mapped(flow.clientNode, serverAddress)}:${dialledPort} ${protocol}`
  if (client.length === 0)
    return `${mapped(flow.serverNode, clientAddress)} > ${serverOwner}:8080 ${protocol}`
  const via = !flow.viaService ? '' : ` via ${mapped(flow.clientNode, serverAddress)}:80`
  return `${clientOwner} > ${serverOwner}:8080 ${protocol}${via}`
}

type Add = (atMs: number, name: string, amount: number) => void

const sums: readonly [string, keyof TestRecord][] = [
  ['BytesSent', 'bytesSent'],
  ['BytesReceived', 'bytesReceived'],
  ['SegmentsSent', 'segmentsSent'],
  ['SegmentsReceived', 'segmentsReceived'],
  ['DataSegmentsSent', 'dataSent'],
  ['DataSegmentsReceived', 'dataReceived'],
  ['Retransmits', 'retransmits'],
]

function addSide(side: 'client' | 'server', reports: readonly Reported[], add: Add): void {
  if (reports.length === 0) return
  for (const { record } of reports) {
    for (const [name, field] of sums) add(record.atMs, `${side}${name}`, record[field] as number)
    if (record.srttUs > 0) add(record.atMs, `${side}RttUs=${record.srttUs}`, 1)
    for (const said of record.said) addSaid(side, record.atMs, said, add)
  }
  const openedMs = openedOf(reports)
  const opened = side === 'client' ? 'clientOpened' : 'serverAccepted'
  add(openedMs, sawOpen(reports) ? opened : `${side}Adopted`, 1)
  if (reports.some(({ record }) => record.handshakeUs > 0)) {
    add(openedMs, `${side}HandshakeUs=150`, 1)
    add(openedMs, `${side}HandshakeUsSum`, 150)
  }
  const end = reports.find(({ record }) => record.state === State.closed)?.record
  if (end === undefined) return
  add(end.atMs, `${side}Closed`, 1)
  if (end.protocol === Protocol.tcp) add(end.atMs, `${side}EndedFin`, 1)
  if (sawOpen(reports)) add(end.atMs, `${side}DurationMs=${end.atMs - openedMs}`, 1)
  add(end.atMs, `${side}MinRttUs=90`, 1)
}

function addSaid(side: string, atMs: number, said: TestSaid, add: Add): void {
  const { operation, status, flags, count, bytes, us } = said
  const name = `${side} ${operation} ${status} ${flags}`
  add(atMs, `${name} count`, count)
  add(atMs, `${name} requestBytes`, count * bytes)
  add(atMs, `${name} responseBytes`, 2 * count * bytes)
  add(atMs, `${name} firstByteUs`, count * us)
  add(atMs, `${name} lastByteUs`, count * (us + 1))
  if ((flags & 2) === 0) add(atMs, `${name} slot ${bucketSlot(us)}`, count)
}

function addOpened(client: readonly Reported[], server: readonly Reported[], add: Add): void {
  const teller = sawOpen(client) ? client : server
  if (!sawOpen(teller)) return
  const name =
    server.length === 0 ? 'openedClientOnly' : client.length === 0 ? 'openedServerOnly' : 'openedJoined'
  add(openedOf(teller), name, 1)
}

function sawOpen(reports: readonly Reported[]): boolean {
  return reports.some(({ record }) => (record.flags & Kind.adopted) === 0)
}

function openedOf(reports: readonly Reported[]): number {
  return Math.min(...reports.map(({ record }) => record.openedMs))
}

/** What the totals reached, less where they began, less what came. */
function missingOf(reports: readonly Reported[]): number {
  if (reports.length === 0) return 0
  let missing = 0
  for (const [delta, total] of [
    ['bytesSent', 'bytesSentTotal'],
    ['bytesReceived', 'bytesReceivedTotal'],
  ] as const) {
    const reached = Math.max(...reports.map(({ record }) => record[total]))
    const begin = sawOpen(reports)
      ? 0
      : Math.min(...reports.map(({ record }) => record[total] - record[delta]))
    missing += reached - begin
    for (const { record } of reports) missing -= record[delta]
  }
  return missing
}
