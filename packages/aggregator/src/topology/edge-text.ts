import type { UnknownLoss } from './answer.ts'
import { Counter, type CounterName, Histogram, type HistogramName } from './counters.ts'
import { type EdgeView, observedBy, viewEdge } from './edge-view.ts'
import { type FieldRun, fieldRun, writeRun } from './field-run.ts'
import { edgeSuffix, type Fold, protocolName } from './fold.ts'
import { type GroupTexts, groupText } from './group-text.ts'
import { type JsonText, type Literal, literal } from './json-text.ts'
import { figuresPerHistogram, figuresPerSlot } from './latency-figures.ts'
import type { RangeSums } from './range-sums.ts'

const closeBrace = literal('}')
const observedTexts = textsOf(['client', 'server', 'both'], v => `,"observed":"${v}"`)
const healthTexts = textsOf(['ok', 'degraded', 'failing'], v => `,"health":"${v}","reasons":[`)
const unknownTexts = textsOf(
  ['one_end_only', 'not_yet_quiet', 'segments_coalesced'],
  v => `"unknown":"${v}"}`,
)

const { openedJoined, openedClientOnly, openedServerOnly, lossCoalesced } = Counter
const { clientToServerLost, clientToServerCompared, serverToClientLost, serverToClientCompared } = Counter
const { clientDataSegmentsSent, serverDataSegmentsSent } = Counter
const openedText = literal('],"tcp":{"opened":')
const openedKinds = fields([
  [',"openedJoined":', 'openedJoined'],
  [',"openedClientOnly":', 'openedClientOnly'],
  [',"openedServerOnly":', 'openedServerOnly'],
])
const openNowText = literal(',"openNow":')
const failedText = literal(',"failed":')
const failures = fields([
  [',"failures":{"refused":', 'failedRefused'],
  [',"timedOut":', 'failedTimedOut'],
  [',"unreachable":', 'failedUnreachable'],
  [',"resetInHandshake":', 'failedReset'],
  [',"abandoned":', 'failedAbandoned'],
  [',"other":', 'failedOther'],
])
const clientTcp = sideTcp('client')
const serverTcp = sideTcp('server')
const halfOpen = fields([[',"halfOpen":', 'serverHalfOpen']])
const lossStart = literal(',"loss":{"clientToServer":{')
const lossMiddle = literal(',"serverToClient":{')
const lossEnd = literal('}}}')
const segmentsLost = literal('"segmentsLost":')
const segmentsCompared = literal(',"segmentsCompared":')
const percentileTexts = [literal(',"p50":'), literal(',"p90":'), literal(',"p99":'), literal(',"max":')]
/** Without the ids of its nodes. */
const longestEdge = 8192
const udpStart = literal('],"udp":{')
const udpEnd = literal('}}')
const comma = literal(',')
const clientUdp = sideUdp('client')
const serverUdp = sideUdp('server')

function textsOf<V extends string>(
  values: readonly V[],
  text: (value: V) => string,
): Readonly<Record<V, Literal>> {
  return Object.fromEntries(values.map(v => [v, literal(text(v))])) as Record<V, Literal>
}

function fields(list: readonly (readonly [string, CounterName])[]): FieldRun {
  return fieldRun(list.map(([text, name]) => ({ text, counter: Counter[name] })))
}

interface SideTcpText {
  readonly counters: FieldRun
  readonly histograms: readonly { readonly text: Literal; readonly histogram: number }[]
}

function sideTcp(side: 'client' | 'server'): SideTcpText {
  const name = (rest: string) => `${side}${rest}` as CounterName
  const histogram = (text: string, rest: string) => ({
    text: literal(`,"${text}":{"count":`),
    histogram: Histogram[`${side}${rest}` as HistogramName],
  })
  return {
    counters: fields([
      [`,"${side}":{"opened":`, side === 'client' ? 'clientOpened' : 'serverAccepted'],
      [',"closed":', name('Closed')],
      [',"adopted":', name('Adopted')],
      [',"ended":{"fin":', name('EndedFin')],
      [',"resetSent":', name('EndedRstSent')],
      [',"resetReceived":', name('EndedRstReceived')],
      [',"timeout":', name('EndedTimeout')],
      ['},"bytesSent":', name('BytesSent')],
      [',"bytesReceived":', name('BytesReceived')],
      [',"segmentsSent":', name('SegmentsSent')],
      [',"segmentsReceived":', name('SegmentsReceived')],
      [',"dataSegmentsSent":', name('DataSegmentsSent')],
      [',"dataSegmentsReceived":', name('DataSegmentsReceived')],
      [',"retransmits":', name('Retransmits')],
      [',"outOfOrder":', name('OutOfOrder')],
    ]),
    histograms: [
      histogram('handshakeUs', 'HandshakeUs'),
      histogram('rttUs', 'RttUs'),
      histogram('minRttUs', 'MinRttUs'),
      histogram('durationMs', 'DurationMs'),
    ],
  }
}

interface SideUdpText {
  readonly start: Literal
  readonly flows: readonly number[]
  readonly counters: FieldRun
}

/** A UDP flow that is older than its collector counts as a flow like any other. */
function sideUdp(side: 'client' | 'server'): SideUdpText {
  const name = (rest: string) => `${side}${rest}` as CounterName
  return {
    start: literal(`"${side}":{"flows":`),
    flows: [side === 'client' ? Counter.clientOpened : Counter.serverAccepted, Counter[name('Adopted')]],
    counters: fields([
      [',"datagramsSent":', name('SegmentsSent')],
      [',"datagramsReceived":', name('SegmentsReceived')],
      [',"bytesSent":', name('BytesSent')],
      [',"bytesReceived":', name('BytesReceived')],
    ]),
  }
}

/** Writes edges of one answer. */
export interface EdgeTextWriter {
  write(out: JsonText, slot: number): void
}

/** `figures` are those of `latencyFigures`. */
export function createEdgeTextWriter(
  fold: Fold,
  sums: RangeSums,
  figures: Float64Array,
  groupTexts: GroupTexts,
): EdgeTextWriter {
  const idTexts: Literal[] = []
  const suffixTexts = new Map<number, readonly [Literal, Literal]>()
  const idStart = literal('{"id":"')
  const arrow = literal('->')
  const sourceStart = literal('","source":"')
  const targetStart = literal('","target":"')
  const { columns } = sums

  function idText(group: number): Literal {
    idTexts[group] ??= groupText(fold.groups[group], groupTexts).id
    return idTexts[group]
  }

  function suffixOf(slot: number): readonly [Literal, Literal] {
    const key = (fold.via[slot] * 4 + fold.protocol[slot]) * 65_536 + fold.port[slot]
    let texts = suffixTexts.get(key)
    if (!texts) {
      texts = suffixText(fold.protocol[slot], fold.port[slot], fold.vias[fold.via[slot]])
      suffixTexts.set(key, texts)
    }
    return texts
  }

  function writeHead(out: JsonText, slot: number, view: EdgeView): void {
    const source = idText(fold.source[slot])
    const target = idText(fold.target[slot])
    const [idEnd, address] = suffixOf(slot)
    out.reserve(2 * (source.length + target.length) + longestEdge)
    out.literal(idStart)
    out.literal(source)
    out.literal(arrow)
    out.literal(target)
    out.literal(idEnd)
    out.literal(sourceStart)
    out.literal(source)
    out.literal(targetStart)
    out.literal(target)
    out.literal(address)
    out.literal(observedTexts[observedBy(sums.seen[slot])])
    out.literal(healthTexts[view.health])
    if (view.reasons.length > 0) out.text(view.reasons.map(r => JSON.stringify(r)).join(','))
  }

  function writeSide(out: JsonText, side: SideTcpText, slot: number): void {
    writeRun(out, side.counters, columns, slot)
    for (let i = 0; i < side.histograms.length; i++) {
      const { text, histogram } = side.histograms[i]
      const at = slot * figuresPerSlot + histogram * figuresPerHistogram
      if (figures[at] > 0) writePercentiles(out, text, figures, at)
    }
  }

  function writeTcp(out: JsonText, slot: number, view: EdgeView): void {
    writeOpened(out, columns, slot)
    out.literal(openNowText)
    out.integer(view.openNow)
    out.literal(failedText)
    out.integer(view.failed)
    writeRun(out, failures, columns, slot)
    out.literal(closeBrace)
    if (view.hasClient) {
      writeSide(out, clientTcp, slot)
      out.literal(closeBrace)
    }
    if (view.hasServer) {
      writeSide(out, serverTcp, slot)
      writeRun(out, halfOpen, columns, slot)
      out.literal(closeBrace)
    }
  }

  return {
    write(out, slot) {
      const view = viewEdge(sums, slot)
      writeHead(out, slot, view)
      if (fold.protocol[slot] === 1) {
        writeTcp(out, slot, view)
        writeLoss(out, columns, slot, view)
      } else writeUdp(out, columns, slot, view)
    },
  }
}

function writeOpened(out: JsonText, columns: readonly Float64Array[], slot: number): void {
  const joined = columns[openedJoined][slot]
  out.literal(openedText)
  out.integer(joined + columns[openedClientOnly][slot] + columns[openedServerOnly][slot])
  writeRun(out, openedKinds, columns, slot)
}

function jsonInside(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

function suffixText(protocol: number, port: number, via: string): readonly [Literal, Literal] {
  const viaText = via === '' ? '' : `,"via":${JSON.stringify(via)}`
  return [
    literal(`#${jsonInside(edgeSuffix(protocol, port, via))}`),
    literal(`","protocol":"${protocolName(protocol)}","port":${port}${viaText}`),
  ]
}

function writeUdp(out: JsonText, columns: readonly Float64Array[], slot: number, view: EdgeView): void {
  out.literal(udpStart)
  if (view.hasClient) writeUdpSide(out, columns, clientUdp, slot)
  if (view.hasClient && view.hasServer) out.literal(comma)
  if (view.hasServer) writeUdpSide(out, columns, serverUdp, slot)
  out.literal(udpEnd)
}

function writeUdpSide(
  out: JsonText,
  columns: readonly Float64Array[],
  side: SideUdpText,
  slot: number,
): void {
  out.literal(side.start)
  out.integer(columns[side.flows[0]][slot] + columns[side.flows[1]][slot])
  writeRun(out, side.counters, columns, slot)
  out.literal(closeBrace)
}

function writePercentiles(out: JsonText, text: Literal, figures: Float64Array, at: number): void {
  out.literal(text)
  out.integer(figures[at])
  for (let q = 0; q < percentileTexts.length; q++) {
    out.literal(percentileTexts[q])
    out.integer(figures[at + 1 + q])
  }
  out.literal(closeBrace)
}

function writeLoss(out: JsonText, columns: readonly Float64Array[], slot: number, view: EdgeView): void {
  const why = whyUnknown(columns, slot, view)
  out.literal(lossStart)
  const fromClient = columns[clientDataSegmentsSent][slot]
  writeDirection(
    out,
    columns[clientToServerLost][slot],
    columns[clientToServerCompared][slot],
    fromClient,
    why,
  )
  out.literal(lossMiddle)
  const fromServer = columns[serverDataSegmentsSent][slot]
  writeDirection(
    out,
    columns[serverToClientLost][slot],
    columns[serverToClientCompared][slot],
    fromServer,
    why,
  )
  out.literal(lossEnd)
}

function writeDirection(
  out: JsonText,
  lost: number,
  compared: number,
  sent: number,
  why: UnknownLoss | undefined,
): void {
  // where both ends are known and one sent no data, nothing of it was lost
  const isCompared = compared > 0 || (why === undefined && sent === 0)
  if (isCompared) {
    out.literal(segmentsLost)
    out.integer(lost)
    out.literal(segmentsCompared)
    out.integer(compared)
  }
  const reason = why ?? (isCompared ? undefined : 'not_yet_quiet')
  if (isCompared && reason) out.literal(comma)
  out.literal(reason ? unknownTexts[reason] : closeBrace)
}

/** The strongest reason why some connections are not in the loss figures; undefined if none is known. */
function whyUnknown(columns: readonly Float64Array[], slot: number, view: EdgeView): UnknownLoss | undefined {
  if (columns[lossCoalesced][slot] > 0) return 'segments_coalesced'
  if (!view.hasClient || !view.hasServer) return 'one_end_only'
  const oneSided = columns[openedClientOnly][slot] + columns[openedServerOnly][slot]
  return oneSided > 0 ? 'one_end_only' : undefined
}
