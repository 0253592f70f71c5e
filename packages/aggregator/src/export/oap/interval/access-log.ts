import { type EndName, fitName, type NameProblem, nameLimits, nameProblem } from './end-name.ts'
import type { EndFigures } from './figure-book.ts'
import { type FramedMessages, FrameWriter } from './framed-messages.ts'
import { type HttpMethod, type HttpRequests, httpMethods, requestCount } from './http-requests.ts'
import { type PackedPairs, unpackPairs } from './packed-pairs.ts'
import { Amount, type PodPair, Role } from './pod-pair.ts'
import { WireWriter } from './wire-writer.ts'

/** What goes to OAP in one stream: all of one minute. */
export interface OapInterval {
  readonly unixMinute: number
  readonly pairs: PackedPairs
  readonly http: readonly HttpRequests[]
  /** What goes as metrics beside the stream. */
  readonly figures?: readonly EndFigures[]
}

export interface EncodeOptions {
  /** Shown in OAP's debug log only; never empty. */
  readonly node: string
  readonly cluster: string
  readonly nowMs: number
}

export type RefusedReason =
  | NameProblem
  | 'same_service'
  | 'minute_out_of_range'
  | 'bad_amount'
  | 'bad_request'
  | 'too_many_events'

export interface EncodeCounts {
  messages: number
  logs: number
  /** Pairs, groups of requests, figures of two services, or with `too_many_events` events, that OAP could not bear. */
  readonly refused: Partial<Record<RefusedReason, number>>
}

/** The limits that one message and one interval keep. */
export const encodeLimits = {
  /** Of one pair and interval, each of opened, failed and closed. */
  events: 200_000,
  logsPerMessage: 2_000,
  /** OAP reads the packets of a read log as a signed 32-bit number. */
  readPackets: 2 ** 31 - 1,
  /** Older minutes may lie before OAP's oldest table, younger ones are a wrong clock. */
  oldestMinutes: 30,
  youngestMinutes: 3,
} as const

const Message = { node: 1, connection: 2, kernelLogs: 3, protocolLog: 4 } as const
const Log = { connect: 1, accept: 2, close: 3, read: 4, write: 5 } as const
const tcpProtocol = 0
const httpProtocol = { 1: 1, 2: 2 } as const

/**
 * The only place that writes messages for OAP. OAP checks nothing, and one bad message can cost everybody's edges, so
 * whatever comes in, what comes out keeps every rule of docs/oap.md ("What OAP cannot bear"): what would break one is
 * left out and counted.
 */
export function* encodeInterval(
  interval: OapInterval,
  options: EncodeOptions,
  counts: EncodeCounts,
): Generator<FramedMessages> {
  if (!isMinuteInRange(interval.unixMinute, options.nowMs)) {
    refuse(counts, 'minute_out_of_range', interval.pairs.count + interval.http.length)
    return
  }
  const out = new FrameWriter()
  let isFirst = true
  /** Begins a message with a connection, the stream's first one with the node as well. */
  const open = (end: PairEnds, protocol: number) => {
    out.begin()
    if (isFirst) writeNode(out.writer, interval.unixMinute, options)
    isFirst = false
    writeConnection(out.writer, end, protocol)
  }
  for (const pair of unpackPairs(interval.pairs)) {
    const problem = pairProblem(pair) ?? amountProblem(pair)
    if (problem !== undefined) refuse(counts, problem, 1)
    else if (hasAmount(pair)) writePair(out, pair, open, counts)
    if (out.isFull) yield out.take()
  }
  for (const requests of interval.http) {
    const problem = pairProblem(requests) ?? requestProblem(requests)
    if (problem !== undefined) refuse(counts, problem, 1)
    else if (requestCount(requests) > 0) yield* requestMessages(out, requests, open, counts)
    if (out.isFull) yield out.take()
  }
  if (!out.isEmpty) yield out.take()
}

export function noCounts(): EncodeCounts {
  return { messages: 0, logs: 0, refused: {} }
}

const scratch = new WireWriter()
const failedLog = encodeLog(Log.connect, 0, false)
const closedLog = encodeLog(Log.close, 0, true)

type PairEnds = Pick<PodPair, 'role' | 'local' | 'remote'>
type Open = (end: PairEnds, protocol: number) => void

export function refuse(counts: Pick<EncodeCounts, 'refused'>, reason: RefusedReason, count: number): void {
  counts.refused[reason] = (counts.refused[reason] ?? 0) + count
}

/** OAP has tables for this minute. */
export function isMinuteInRange(unixMinute: number, nowMs: number): boolean {
  const nowMinute = Math.floor(nowMs / 60_000)
  return (
    Number.isInteger(unixMinute) &&
    unixMinute > 0 &&
    unixMinute >= nowMinute - encodeLimits.oldestMinutes &&
    unixMinute <= nowMinute + encodeLimits.youngestMinutes
  )
}

function pairProblem(pair: PairEnds): RefusedReason | undefined {
  const problem = nameProblem(pair.local) ?? nameProblem(pair.remote)
  if (problem !== undefined) return problem
  if (pair.role !== Role.client && pair.role !== Role.server) return 'bad_request'
  return pair.local.service === pair.remote.service ? 'same_service' : undefined
}

function amountProblem({ amounts }: PodPair): RefusedReason | undefined {
  for (let i = 0; i < amounts.length; i++)
    if (!Number.isSafeInteger(amounts[i]) || amounts[i] < 0) return 'bad_amount'
  return undefined
}

function hasAmount({ amounts }: PodPair): boolean {
  for (let i = 0; i < amounts.length; i++) if (amounts[i] > 0) return true
  return false
}

function requestProblem(requests: HttpRequests): RefusedReason | undefined {
  const { status, latencies, method, version } = requests
  const isKnown = Object.hasOwn(httpMethods, method) && (version === 1 || version === 2)
  const isStatus = Number.isInteger(status) && status >= 100 && status <= 599
  const isTimed = latencies.every(
    ([microseconds, count]) => isAmount(Math.round(microseconds) * 1000) && isAmount(count),
  )
  const sizes = [
    requests.requestHeaderBytes,
    requests.requestBodyBytes,
    requests.responseHeaderBytes,
    requests.responseBodyBytes,
  ]
  return isKnown && isStatus && isTimed && sizes.every(isAmount) ? undefined : 'bad_request'
}

function isAmount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0
}

function writeNode(writer: WireWriter, unixMinute: number, { node, cluster }: EncodeOptions): void {
  const start = writer.begin(Message.node)
  writer.text(1, fitName(node === '' ? 'skybraid' : node, nameLimits.pod))
  const boot = writer.begin(3)
  writer.number(1, unixMinute * 60)
  writer.end(boot)
  writer.text(4, cluster)
  writer.end(start)
}

function writeConnection(writer: WireWriter, { role, local, remote }: PairEnds, protocol: number): void {
  const start = writer.begin(Message.connection)
  writeEnd(writer, 1, local)
  writeEnd(writer, 2, remote)
  writer.number(3, role)
  writer.number(5, protocol)
  writer.end(start)
}

/** Addresses of ends, which are the same in many messages. */
const encodedEnds = new WeakMap<EndName, Uint8Array>()

function writeEnd(writer: WireWriter, field: number, end: EndName): void {
  let address = encodedEnds.get(end)
  if (address === undefined) {
    const kubernetes = scratch.begin(1)
    scratch.text(1, end.service)
    scratch.text(2, end.pod)
    scratch.end(kubernetes)
    address = scratch.finish()
    encodedEnds.set(end, address)
  }
  writer.message(field, address)
}

/** One write and one read log with the sums, then one log for each connection that opened, failed and closed. */
function writePair(out: FrameWriter, pair: PodPair, open: Open, counts: EncodeCounts): void {
  open(pair, tcpProtocol)
  let logs = 0
  /** Makes room for one more log, in a message of its own where this one is full. */
  const next = () => {
    if (logs === encodeLimits.logsPerMessage) {
      finish(out, logs, counts)
      out.begin()
      logs = 0
    }
    logs++
    return out.writer
  }
  writeTraffic(next, pair.amounts)
  for (const run of eventRuns(pair, counts))
    for (let left = run.count; left > 0; left--) next().message(Message.kernelLogs, run.log)
  // only events beyond the limit were left out: a connection alone is a valid message
  finish(out, logs, counts)
}

function finish(out: FrameWriter, logs: number, counts: EncodeCounts): void {
  out.end()
  counts.messages++
  counts.logs += logs
}

function writeTraffic(next: () => WireWriter, amounts: Float64Array): void {
  const sent = amounts[Amount.bytesSent] + amounts[Amount.packetsSent] + amounts[Amount.retransmits]
  if (sent > 0) {
    const writer = next()
    const log = writer.begin(Message.kernelLogs)
    const write = writer.begin(Log.write)
    const l4 = writer.begin(4)
    writer.number(2, amounts[Amount.packetsSent])
    writer.number(3, amounts[Amount.retransmits])
    writer.number(5, amounts[Amount.bytesSent])
    writer.end(l4)
    writer.end(write)
    writer.end(log)
  }
  let packets = amounts[Amount.packetsReceived]
  let bytes = amounts[Amount.bytesReceived]
  while (packets > 0 || bytes > 0) {
    const part = Math.min(packets, encodeLimits.readPackets)
    const writer = next()
    const log = writer.begin(Message.kernelLogs)
    const read = writer.begin(Log.read)
    const l2 = writer.begin(4)
    writer.number(2, part)
    writer.number(3, bytes)
    writer.end(l2)
    writer.end(read)
    writer.end(log)
    packets -= part
    bytes = 0
  }
}

interface EventRun {
  readonly count: number
  /** The encoded log. */
  readonly log: Uint8Array
}

/** Events that look alike. Durations of handshakes are shared out so that their sum is exact. */
function eventRuns({ role, amounts }: PodPair, counts: EncodeCounts): EventRun[] {
  const capped = (count: number) => {
    if (count > encodeLimits.events) refuse(counts, 'too_many_events', count - encodeLimits.events)
    return Math.min(count, encodeLimits.events)
  }
  const opened = capped(amounts[Amount.opened])
  const runs: EventRun[] = []
  if (opened > 0) {
    // what lies beyond the exact range of the wire can't come from handshakes of 32 bits each
    const totalUs = Math.min(amounts[Amount.handshakeUs], Math.floor(Number.MAX_SAFE_INTEGER / 1000))
    const eachUs = Math.floor(totalUs / opened)
    const longer = totalUs - eachUs * opened
    runs.push({ count: opened - longer, log: openedLog(role, eachUs * 1000) })
    runs.push({ count: longer, log: openedLog(role, (eachUs + 1) * 1000) })
  }
  if (role === Role.client) runs.push({ count: capped(amounts[Amount.failed]), log: failedLog })
  runs.push({ count: capped(amounts[Amount.closed]), log: closedLog })
  return runs.filter(({ count }) => count > 0)
}

function openedLog(role: Role, nanoseconds: number): Uint8Array {
  return encodeLog(role === Role.client ? Log.connect : Log.accept, nanoseconds, role === Role.client)
}

function encodeLog(operation: number, nanoseconds: number, success: boolean): Uint8Array {
  const start = scratch.begin(operation)
  writeEndTime(scratch, nanoseconds)
  scratch.number(3, success ? 1 : 0)
  scratch.end(start)
  return scratch.finish()
}

/** Without a start, which is then the beginning of the minute, the end is the duration. */
function writeEndTime(writer: WireWriter, nanoseconds: number): void {
  if (nanoseconds === 0) return
  const time = writer.begin(2)
  const offset = writer.begin(1)
  writer.number(1, nanoseconds)
  writer.end(offset)
  writer.end(time)
}

/** One message per request: the protocol counts requests by counting them. */
function* requestMessages(
  out: FrameWriter,
  requests: HttpRequests,
  open: Open,
  counts: EncodeCounts,
): Generator<FramedMessages> {
  const count = requestCount(requests)
  const path = endpointPath(requests)
  let nth = 0
  for (const [microseconds, number] of requests.latencies) {
    for (let left = number; left > 0; left--) {
      if (nth === 0) open(requests, httpProtocol[requests.version])
      else out.begin()
      writeRequest(out.writer, requests, path, Math.round(microseconds) * 1000, nth++, count)
      finish(out, 1, counts)
      if (out.isFull) yield out.take()
    }
  }
}

/** The endpoint is called `METHOD:path`. */
function endpointPath({ method, path }: HttpRequests): string {
  const route = path.replace(/[?#].*$/s, '')
  return fitName(route === '' ? '/' : route, nameLimits.endpoint - method.length - 1)
}

function writeRequest(
  writer: WireWriter,
  requests: HttpRequests,
  path: string,
  nanoseconds: number,
  nth: number,
  count: number,
): void {
  const share = (sum: number) => shareOf(sum, nth, count)
  const log = writer.begin(Message.protocolLog)
  const http = writer.begin(1)
  writeEndTime(writer, nanoseconds)
  writer.number(3, requests.version - 1)
  const request = writer.begin(4)
  writer.number(1, httpMethods[requests.method as HttpMethod])
  writer.text(2, path)
  writer.number(3, share(requests.requestHeaderBytes))
  writer.number(4, share(requests.requestBodyBytes))
  writer.end(request)
  const response = writer.begin(5)
  writer.number(1, requests.status)
  writer.number(3, share(requests.responseHeaderBytes))
  writer.number(4, share(requests.responseBodyBytes))
  writer.end(response)
  writer.end(http)
  writer.end(log)
}

/** Shares of a sum that differ by at most one and add up to it. */
function shareOf(sum: number, nth: number, count: number): number {
  const each = Math.floor(sum / count)
  return each + (nth < sum - each * count ? 1 : 0)
}
