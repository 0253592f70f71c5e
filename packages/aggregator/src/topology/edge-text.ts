import { Counter, type CounterName, counterCount, Histogram, type HistogramName } from './counters.ts'
import type { EdgeHeads } from './edge-heads.ts'
import { type EdgeView, observedBy, viewEdge } from './edge-view.ts'
import { type FieldRun, fieldRun, writeRun } from './field-run.ts'
import type { Fold } from './fold.ts'
import { type JsonText, type Literal, literal } from './json-text.ts'
import { allLatencies, figuresPerHistogram, figuresPerSlot } from './latency-plan.ts'
import { writeLoss } from './loss-text.ts'
import type { RangeSums } from './range-sums.ts'

const perSlot = figuresPerSlot(allLatencies)
const perHistogram = figuresPerHistogram(allLatencies)
const closeBrace = literal('}')
const healthTexts = textsOf(['client', 'server', 'both'], observed =>
  textsOf(['ok', 'degraded', 'failing'], health =>
    literal(`,"observed":"${observed}","health":"${health}","reasons":[`),
  ),
)

const { openedJoined, openedClientOnly, openedServerOnly } = Counter
const openedText = literal('],"tcp":{"opened":')
const openedKinds = fields([
  [',"openedJoined":', 'openedJoined'],
  [',"openedClientOnly":', 'openedClientOnly'],
  [',"openedServerOnly":', 'openedServerOnly'],
])
const openNowText = literal(',"openNow":')
const failedText = literal(',"failed":')
export const failures = fields([
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
const percentileTexts = [literal(',"p50":'), literal(',"p90":'), literal(',"p99":'), literal(',"max":')]
/** Without its head. */
const longestEdge = 8192
const udpStart = literal('],"udp":{')
const udpEnd = literal('}}')
const comma = literal(',')
const clientUdp = sideUdp('client')
const serverUdp = sideUdp('server')

function textsOf<V extends string, T>(values: readonly V[], text: (value: V) => T): Readonly<Record<V, T>> {
  return Object.fromEntries(values.map(v => [v, text(v)])) as Record<V, T>
}

export function fields(list: readonly (readonly [string, CounterName])[]): FieldRun {
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

/** Writes every counter. `figures` are those of `latencyFigures` for all latencies. */
export function createDetailWriter(
  fold: Fold,
  sums: RangeSums,
  figures: Float64Array,
  heads: EdgeHeads,
): EdgeTextWriter {
  const { counters } = sums

  function writeSide(out: JsonText, side: SideTcpText, slot: number): void {
    writeRun(out, side.counters, counters, slot * counterCount)
    for (let i = 0; i < side.histograms.length; i++) {
      const { text, histogram } = side.histograms[i]
      const at = slot * perSlot + histogram * perHistogram
      if (figures[at] > 0) writePercentiles(out, text, figures, at)
    }
  }

  function writeTcp(out: JsonText, slot: number, view: EdgeView): void {
    const row = slot * counterCount
    writeOpened(out, counters, row)
    out.field(openNowText, view.openNow)
    out.field(failedText, view.failed)
    writeRun(out, failures, counters, row)
    out.literal(closeBrace)
    if (view.hasClient) {
      writeSide(out, clientTcp, slot)
      out.literal(closeBrace)
    }
    if (view.hasServer) {
      writeSide(out, serverTcp, slot)
      writeRun(out, halfOpen, counters, row)
      out.literal(closeBrace)
    }
  }

  return {
    write(out, slot) {
      const view = viewEdge(sums, slot)
      const row = slot * counterCount
      heads.write(out, slot)
      out.reserve(longestEdge)
      writeSampled(out, counters, row)
      writeHealth(out, sums.seen[slot], view)
      if (fold.protocol[slot] === 1) {
        writeTcp(out, slot, view)
        writeLoss(out, counters, row, view)
      } else writeUdp(out, counters, row, view)
    },
  }
}

const sampledText = literal(',"sampled":true')

/** That amounts of the edge are estimates, where they are. */
export function writeSampled(out: JsonText, counters: Float64Array, row: number): void {
  if (counters[row + Counter.sampled] !== 0) out.literal(sampledText)
}

/** Who observed the edge and how it is, up to the list of reasons, which stays open. */
export function writeHealth(out: JsonText, seen: number, view: EdgeView): void {
  out.literal(healthTexts[observedBy(seen)][view.health])
  if (view.reasons.length > 0) out.text(view.reasons.map(r => JSON.stringify(r)).join(','))
}

function writeOpened(out: JsonText, counters: Float64Array, row: number): void {
  const joined = counters[row + openedJoined]
  out.field(openedText, joined + counters[row + openedClientOnly] + counters[row + openedServerOnly])
  writeRun(out, openedKinds, counters, row)
}

export function writeUdp(out: JsonText, counters: Float64Array, row: number, view: EdgeView): void {
  out.literal(udpStart)
  if (view.hasClient) writeUdpSide(out, counters, clientUdp, row)
  if (view.hasClient && view.hasServer) out.literal(comma)
  if (view.hasServer) writeUdpSide(out, counters, serverUdp, row)
  out.literal(udpEnd)
}

function writeUdpSide(out: JsonText, counters: Float64Array, side: SideUdpText, row: number): void {
  out.field(side.start, counters[row + side.flows[0]] + counters[row + side.flows[1]])
  writeRun(out, side.counters, counters, row)
  out.literal(closeBrace)
}

function writePercentiles(out: JsonText, text: Literal, figures: Float64Array, at: number): void {
  out.field(text, figures[at])
  for (let q = 0; q < percentileTexts.length; q++) {
    out.field(percentileTexts[q], figures[at + 1 + q])
  }
  out.literal(closeBrace)
}
