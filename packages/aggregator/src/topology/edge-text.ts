import type { UnknownLoss } from './answer.ts'
import { Counter, type CounterName, Histogram, type HistogramName } from './counters.ts'
import { type EdgeView, observedBy, viewEdge } from './edge-view.ts'
import { edgeSuffix, type Fold, protocolName } from './fold.ts'
import { type JsonText, type Literal, literal } from './json-text.ts'
import { bucketValue } from './latency-bucket.ts'
import {
  bucketsPerHistogram,
  clearHistogram,
  createLatencySums,
  type LatencySums,
} from './latency-entries.ts'
import type { RangeSums } from './range-sums.ts'

/** Text and counter that follows it. */
interface Field {
  readonly text: Literal
  readonly counter: number
}

const closeBrace = literal('}')
const observedTexts = textsOf(['client', 'server', 'both'], v => `,"observed":"${v}"`)
const healthTexts = textsOf(['ok', 'degraded', 'failing'], v => `,"health":"${v}","reasons":[`)
const unknownTexts = textsOf(
  ['one_end_only', 'not_yet_quiet', 'segments_coalesced'],
  v => `"unknown":"${v}"}`,
)

const openedTexts = [
  ['],"tcp":{"opened":', ['openedJoined', 'openedClientOnly', 'openedServerOnly']],
  [',"openedJoined":', ['openedJoined']],
  [',"openedClientOnly":', ['openedClientOnly']],
  [',"openedServerOnly":', ['openedServerOnly']],
] as const
const opened = openedTexts.map(([text, names]) => ({
  text: literal(text),
  counters: names.map(n => Counter[n]),
}))
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
const quantiles = [0.5, 0.9, 0.99, 1]
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

function fields(list: readonly (readonly [string, CounterName])[]): readonly Field[] {
  return list.map(([text, name]) => ({ text: literal(text), counter: Counter[name] }))
}

interface SideTcpText {
  readonly counters: readonly Field[]
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
  readonly counters: readonly Field[]
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
  write(out: JsonText, slot: number): EdgeView
}

export function createEdgeTextWriter(fold: Fold, sums: RangeSums): EdgeTextWriter {
  const latencies = createLatencySums()
  const idTexts: Literal[] = []
  const suffixTexts = new Map<number, readonly [Literal, Literal]>()
  const idStart = literal('{"id":"')
  const arrow = literal('->')
  const sourceStart = literal('","source":"')
  const targetStart = literal('","target":"')
  const { columns } = sums

  function idText(group: number): Literal {
    idTexts[group] ??= literal(jsonInside(fold.groups[group].id))
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
    out.literal(observedTexts[observedBy(view)])
    out.literal(healthTexts[view.health])
    if (view.reasons.length > 0) out.text(view.reasons.map(r => JSON.stringify(r)).join(','))
  }

  function writeFields(out: JsonText, list: readonly Field[], slot: number): void {
    for (let i = 0; i < list.length; i++) {
      const field = list[i]
      out.literal(field.text)
      out.integer(columns[field.counter][slot])
    }
  }

  function writeSide(out: JsonText, side: SideTcpText, slot: number): void {
    writeFields(out, side.counters, slot)
    for (let i = 0; i < side.histograms.length; i++) {
      const { text, histogram } = side.histograms[i]
      if (latencies.low[histogram] <= latencies.high[histogram])
        writePercentiles(out, latencies, text, histogram)
    }
  }

  function writeTcp(out: JsonText, slot: number, view: EdgeView): void {
    for (const { text, counters } of opened) {
      out.literal(text)
      let sum = 0
      for (const counter of counters) sum += columns[counter][slot]
      out.integer(sum)
    }
    out.literal(openNowText)
    out.integer(view.openNow)
    out.literal(failedText)
    out.integer(view.failed)
    writeFields(out, failures, slot)
    sums.addLatencies(slot, latencies)
    out.literal(closeBrace)
    if (view.hasClient) {
      writeSide(out, clientTcp, slot)
      out.literal(closeBrace)
    }
    if (view.hasServer) {
      writeSide(out, serverTcp, slot)
      writeFields(out, halfOpen, slot)
      out.literal(closeBrace)
    }
    for (let histogram = 0; histogram < 8; histogram++) clearHistogram(latencies, histogram)
  }

  return {
    write(out, slot) {
      const view = viewEdge(sums, slot)
      writeHead(out, slot, view)
      if (protocolName(fold.protocol[slot]) === 'tcp') {
        writeTcp(out, slot, view)
        writeLoss(out, sums, slot, view)
      } else writeUdp(out, columns, slot, view)
      return view
    },
  }
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
  for (const field of side.counters) {
    out.literal(field.text)
    out.integer(columns[field.counter][slot])
  }
  out.literal(closeBrace)
}

/** A histogram that corrections emptied again is left out: nothing was measured. */
function writePercentiles(out: JsonText, sums: LatencySums, text: Literal, histogram: number): void {
  const { counts } = sums
  const low = sums.low[histogram]
  const high = sums.high[histogram]
  let count = 0
  for (let key = low; key <= high; key++) count += counts[key]
  if (count <= 0) return
  out.literal(text)
  out.integer(count)
  let below = 0
  let key = low - 1
  for (let q = 0; q < quantiles.length; q++) {
    const rank = Math.ceil(quantiles[q] * count)
    while (below < rank && key < high) below += counts[++key]
    out.literal(percentileTexts[q])
    out.integer(bucketValue(key & (bucketsPerHistogram - 1)))
  }
  out.literal(closeBrace)
}

function writeLoss(out: JsonText, sums: RangeSums, slot: number, view: EdgeView): void {
  const { columns } = sums
  const why = whyUnknown(sums, slot, view)
  out.literal(lossStart)
  writeDirection(
    out,
    columns[Counter.clientToServerLost][slot],
    columns[Counter.clientToServerCompared][slot],
    why,
  )
  out.literal(lossMiddle)
  writeDirection(
    out,
    columns[Counter.serverToClientLost][slot],
    columns[Counter.serverToClientCompared][slot],
    why,
  )
  out.literal(lossEnd)
}

function writeDirection(out: JsonText, lost: number, compared: number, why: UnknownLoss | undefined): void {
  const isCompared = compared > 0
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
function whyUnknown({ columns }: RangeSums, slot: number, view: EdgeView): UnknownLoss | undefined {
  if (columns[Counter.lossCoalesced][slot] > 0) return 'segments_coalesced'
  if (!view.hasClient || !view.hasServer) return 'one_end_only'
  const oneSided = columns[Counter.openedClientOnly][slot] + columns[Counter.openedServerOnly][slot]
  return oneSided > 0 ? 'one_end_only' : undefined
}
