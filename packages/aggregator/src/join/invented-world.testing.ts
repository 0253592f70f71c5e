import { EndReason, Kind, Protocol, Role, State } from '@skybraid/shared'
import fc from 'fast-check'
import { epochMs, minuteMs, record, type TestRecord, type TestSaid } from './flow-batch.testing.ts'

/** What both ends of one invented connection did, and when each collector looked. */
export interface InventedFlow {
  readonly id: number
  readonly protocol: number
  readonly clientNode: string
  readonly serverNode: string
  readonly clientSeen: boolean
  readonly serverSeen: boolean
  /** The dialled address is a service's: the server knows itself by another. */
  readonly viaService: boolean
  /** Older than the collectors. */
  readonly adopted: boolean
  readonly openedMs: number
  readonly steps: readonly InventedStep[]
  readonly closes: boolean
}

export interface InventedStep {
  readonly afterMs: number
  readonly clientBytes: number
  readonly serverBytes: number
  readonly lostToServer: number
  readonly srttUs: number
}

/** A record with the node and boot that reported it. */
export interface Reported {
  readonly node: string
  readonly boot: number
  readonly record: TestRecord
}

const nodes = ['north', 'south']
export const worldMinutes = 5

const step: fc.Arbitrary<InventedStep> = fc.record({
  afterMs: fc.integer({ min: 1, max: 70_000 }),
  clientBytes: fc.integer({ min: 0, max: 3_000 }),
  serverBytes: fc.integer({ min: 0, max: 3_000 }),
  lostToServer: fc.integer({ min: 0, max: 2 }),
  srttUs: fc.integer({ min: 1, max: 500 }),
})

/** Flows of both protocols between two nodes. Every flow is seen by at least one end. */
export const inventedFlows: fc.Arbitrary<InventedFlow[]> = fc
  .array(
    fc.record({
      protocol: fc.constantFrom(Protocol.tcp, Protocol.tcp, Protocol.udp),
      clientNode: fc.constantFrom(...nodes),
      serverNode: fc.constantFrom(...nodes),
      seen: fc.constantFrom('both', 'both', 'both', 'client', 'server'),
      viaService: fc.boolean(),
      adopted: fc.constantFrom(false, false, false, true),
      openedMs: fc.integer({ min: 0, max: 2 * minuteMs }),
      steps: fc.array(step, { minLength: 1, maxLength: 5 }),
      closes: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map(list =>
    list.map(({ seen, openedMs, ...rest }, id) => ({
      ...rest,
      id,
      clientSeen: seen !== 'server',
      serverSeen: seen !== 'client',
      openedMs: epochMs + openedMs,
    })),
  )

/** Everything both collectors say about a flow, in order. `restarts` has a time at which a node's collector restarts. */
export function reportsOf(flow: InventedFlow, restarts: Readonly<Record<string, number>>): Reported[] {
  const reports: Reported[] = []
  if (flow.clientSeen) reports.push(...reportsOfSide(flow, 0, restarts[flow.clientNode]))
  if (flow.serverSeen) reports.push(...reportsOfSide(flow, 1, restarts[flow.serverNode]))
  return reports
}

interface Totals {
  bytesSent: number
  bytesReceived: number
  dataSent: number
  dataReceived: number
  retransmits: number
}

function reportsOfSide(flow: InventedFlow, side: 0 | 1, restartMs: number | undefined): Reported[] {
  const node = side === 0 ? flow.clientNode : flow.serverNode
  const before = flow.adopted ? 5_000 : 0
  const totals: Totals = {
    bytesSent: before,
    bytesReceived: before,
    dataSent: flow.adopted ? 7 : 0,
    dataReceived: flow.adopted ? 7 : 0,
    retransmits: 0,
  }
  let told = { ...totals }
  let atMs = flow.openedMs
  let boot = 0
  const reports: Reported[] = []
  let said: TestSaid[] = []
  const tell = (state: number, srttUs: number, flags: number, openedMs: number) => {
    const values = recordOf(flow, side, totals, told, { state, srttUs, flags, openedMs, atMs })
    reports.push({ node, boot, record: { ...values, said } })
    said = []
    told = { ...totals }
  }
  const adoptedFlag = () => (flow.adopted || boot > 0 ? Kind.adopted : 0)
  let openedMs = flow.openedMs
  tell(State.open, 0, Kind.first | Kind.quiet | adoptedFlag(), openedMs)
  for (const each of flow.steps) {
    atMs += each.afterMs
    advance(totals, side, each, flow.protocol)
    said = saidIn(each, side)
    if (atMs >= epochMs + worldMinutes * minuteMs) break
    if (boot === 0 && restartMs !== undefined && atMs >= restartMs) {
      // what the old boot had not told yet is never told
      boot = 1
      told = { ...totals }
      openedMs = atMs
      said = []
      tell(State.open, each.srttUs, Kind.first | Kind.quiet | adoptedFlag(), openedMs)
      continue
    }
    tell(State.open, each.srttUs, Kind.quiet | adoptedFlag(), openedMs)
  }
  if (flow.closes && atMs < epochMs + worldMinutes * minuteMs) {
    atMs += 1
    tell(State.closed, 0, adoptedFlag(), openedMs)
  }
  return reports
}

function advance(totals: Totals, side: 0 | 1, step: InventedStep, protocol: number): void {
  const lost = protocol === Protocol.tcp && step.clientBytes > 0 ? step.lostToServer : 0
  const sent = side === 0 ? step.clientBytes : step.serverBytes
  const received = side === 0 ? step.serverBytes : step.clientBytes
  totals.bytesSent += sent
  totals.bytesReceived += received
  totals.dataSent += Math.ceil(sent / 1000) + (side === 0 ? lost : 0)
  totals.dataReceived += Math.ceil(received / 1000)
  if (side === 0) totals.retransmits += lost
}

/** What both ends saw in a step; they saw it take different times. */
function saidIn({ clientBytes, serverBytes, srttUs }: InventedStep, side: 0 | 1): TestSaid[] {
  if (clientBytes % 3 === 0) return []
  const us = srttUs + (side === 0 ? 100 : 0)
  const row = {
    status: serverBytes % 5 === 0 ? 500 : 200,
    flags: serverBytes % 5 === 0 ? 1 : 0,
    bytes: 10,
    us,
  }
  const operation = `GET /${clientBytes % 4}`
  const first = { ...row, operation, count: 1 + (clientBytes % 7) }
  return serverBytes % 2 === 0 ? [first] : [first, { ...row, operation: 'POST /', flags: 2, count: 2 }]
}

interface Telling {
  readonly state: number
  readonly srttUs: number
  readonly flags: number
  readonly openedMs: number
  readonly atMs: number
}

function recordOf(
  flow: InventedFlow,
  side: 0 | 1,
  totals: Totals,
  told: Totals,
  telling: Telling,
): TestRecord {
  const client = `10.0.${flow.id}.1:${4000 + flow.id}`
  const server = `10.1.${flow.id}.1:8080`
  const dialled = flow.viaService ? '10.96.0.1:80' : server
  const closed = telling.state === State.closed
  const reason = flow.protocol === Protocol.udp ? EndReason.idle : EndReason.fin
  return record({
    protocol: flow.protocol,
    role: side === 0 ? Role.client : Role.server,
    state: telling.state,
    reason: closed ? reason : EndReason.unspecified,
    flags: telling.flags,
    flowId: 100 + flow.id * 2 + side,
    dialler: flow.protocol === Protocol.tcp ? 1_000_000 + flow.id : 0,
    acceptor: flow.protocol === Protocol.tcp ? 2_000_000 + flow.id : 0,
    local: side === 0 ? client : server,
    remote: side === 0 ? dialled : client,
    owner: `${side === 0 ? 'client' : 'server'}-${flow.id % 2}`,
    atMs: telling.atMs,
    openedMs: telling.openedMs,
    handshakeUs: (telling.flags & Kind.first) !== 0 && (telling.flags & Kind.adopted) === 0 ? 150 : 0,
    srttUs: telling.srttUs,
    minRttUs: closed ? 90 : 0,
    bytesSent: totals.bytesSent - told.bytesSent,
    bytesReceived: totals.bytesReceived - told.bytesReceived,
    segmentsSent: totals.dataSent - told.dataSent,
    segmentsReceived: totals.dataReceived - told.dataReceived,
    dataSent: totals.dataSent - told.dataSent,
    dataReceived: totals.dataReceived - told.dataReceived,
    retransmits: totals.retransmits - told.retransmits,
    bytesSentTotal: totals.bytesSent,
    bytesReceivedTotal: totals.bytesReceived,
    dataSentTotal: totals.dataSent,
    dataReceivedTotal: totals.dataReceived,
    retransmitsTotal: totals.retransmits,
  })
}
