import { Counter, type CounterName, counterCount, Histogram, type HistogramName } from './counters.ts'
import type { EdgeHeads } from './edge-heads.ts'
import { type EdgeTextWriter, failures, fields, writeHealth, writeSampled, writeUdp } from './edge-text.ts'
import { observedBy, viewEdge } from './edge-view.ts'
import { type FieldRun, writeRun } from './field-run.ts'
import type { Fold } from './fold.ts'
import { type JsonText, type Literal, literal } from './json-text.ts'
import { figuresPerHistogram, figuresPerSlot, mainLatencies } from './latency-plan.ts'
import { writeLoss } from './loss-text.ts'
import type { RangeSums } from './range-sums.ts'

/** Without its head. */
const longestSummary = 4096
const perSlot = figuresPerSlot(mainLatencies)
const perHistogram = figuresPerHistogram(mainLatencies)

const openedText = literal('],"tcp":{"opened":')
const wellTexts = byObserved(
  observed => `,"observed":"${observed}","health":"ok","reasons":[],"tcp":{"opened":`,
)
const quietText = literal(',"openNow":0,"failed":0')
const clientOnlyText = literal(',"openedClientOnly":')
const serverOnlyText = literal(',"openedServerOnly":')
const openNowText = literal(',"openNow":')
const failedText = literal(',"failed":')
const p99Text = literal(',"p99":')
const rttText = literal(',"rttUs":{"p50":')
const handshakeText = literal(',"handshakeUs":{"p50":')
const handshakeAfterText = literal('},"handshakeUs":{"p50":')
const closeBrace = literal('}')
const closeTwo = literal('}}')
const c = { ...Counter }

function byObserved(text: (observed: 'client' | 'server' | 'both') => string) {
  return { client: literal(text('client')), server: literal(text('server')), both: literal(text('both')) }
}

interface SideText {
  readonly start: Literal
  readonly received: Literal
  readonly retransmitted: Literal
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly retransmits: number
  readonly resets: readonly number[]
  readonly ended: FieldRun
  /** Counters of this side that are written where they are not 0. */
  readonly rare: readonly { readonly text: Literal; readonly counter: number }[]
  readonly rtt: number
  readonly handshake: number
}

const clientSide = sideText('client')
const serverSide = sideText('server')

function sideText(side: 'client' | 'server'): SideText {
  const name = (rest: string) => `${side}${rest}` as CounterName
  const at = (rest: string) => Histogram[`${side}${rest}` as HistogramName] * perHistogram
  return {
    start: literal(`,"${side}":{"bytesSent":`),
    received: literal(',"bytesReceived":'),
    retransmitted: literal(',"retransmits":'),
    bytesSent: Counter[name('BytesSent')],
    bytesReceived: Counter[name('BytesReceived')],
    retransmits: Counter[name('Retransmits')],
    resets: [name('EndedRstSent'), name('EndedRstReceived'), name('EndedTimeout')].map(n => Counter[n]),
    ended: fields([
      [',"ended":{"resetSent":', name('EndedRstSent')],
      [',"resetReceived":', name('EndedRstReceived')],
      [',"timeout":', name('EndedTimeout')],
    ]),
    rare: side === 'server' ? [{ text: literal(',"halfOpen":'), counter: Counter.serverHalfOpen }] : [],
    rtt: at('RttUs'),
    handshake: at('HandshakeUs'),
  }
}

/**
 * Writes what most readers want of an edge. A figure that follows from others is left out: `openedJoined` is the rest
 * of `opened`, and what only tells failures, resets and one-sided connections apart is there where there are any.
 * `figures` are those of `latencyFigures` for the main latencies.
 */
export function createSummaryWriter(
  fold: Fold,
  sums: RangeSums,
  figures: Float64Array,
  heads: EdgeHeads,
): EdgeTextWriter {
  const { counters, seen } = sums
  const { protocol } = fold

  function writeSide(out: JsonText, side: SideText, slot: number): void {
    const row = slot * counterCount
    out.field(side.start, counters[row + side.bytesSent])
    out.field(side.received, counters[row + side.bytesReceived])
    out.field(side.retransmitted, counters[row + side.retransmits])
    if (hasAny(counters, row, side.resets)) {
      writeRun(out, side.ended, counters, row)
      out.literal(closeBrace)
    }
    for (let i = 0; i < side.rare.length; i++) {
      const amount = counters[row + side.rare[i].counter]
      if (amount === 0) continue
      out.field(side.rare[i].text, amount)
    }
    writeLatencies(out, slot * perSlot + side.rtt, slot * perSlot + side.handshake)
  }

  /** Both where there are any, and the end of the side. */
  function writeLatencies(out: JsonText, rtt: number, handshake: number): void {
    const hasRtt = figures[rtt] !== 0
    if (hasRtt) {
      out.field(rttText, figures[rtt + 1])
      out.field(p99Text, figures[rtt + 2])
    }
    if (figures[handshake] !== 0) {
      out.field(hasRtt ? handshakeAfterText : handshakeText, figures[handshake + 1])
      out.field(p99Text, figures[handshake + 2])
      out.literal(closeTwo)
    } else out.literal(hasRtt ? closeTwo : closeBrace)
  }

  function writeOpened(out: JsonText, row: number): void {
    const clientOnly = counters[row + c.openedClientOnly]
    const serverOnly = counters[row + c.openedServerOnly]
    out.integer(counters[row + c.openedJoined] + clientOnly + serverOnly)
    if (clientOnly !== 0) {
      out.field(clientOnlyText, clientOnly)
    }
    if (serverOnly !== 0) {
      out.field(serverOnlyText, serverOnly)
    }
  }

  return {
    write(out, slot) {
      const view = viewEdge(sums, slot)
      const row = slot * counterCount
      heads.write(out, slot)
      out.reserve(longestSummary)
      writeSampled(out, counters, row)
      if (protocol[slot] !== 1) {
        writeHealth(out, seen[slot], view)
        writeUdp(out, counters, row, view)
        return
      }
      if (view.health === 'ok') out.literal(wellTexts[observedBy(seen[slot])])
      else {
        writeHealth(out, seen[slot], view)
        out.literal(openedText)
      }
      writeOpened(out, row)
      if (view.openNow === 0 && view.failed === 0) out.literal(quietText)
      else {
        out.field(openNowText, view.openNow)
        out.field(failedText, view.failed)
      }
      if (view.failed !== 0) {
        writeRun(out, failures, counters, row)
        out.literal(closeBrace)
      }
      if (view.hasClient) writeSide(out, clientSide, slot)
      if (view.hasServer) writeSide(out, serverSide, slot)
      writeLoss(out, counters, row, view)
    },
  }
}

function hasAny(counters: Float64Array, row: number, which: readonly number[]): boolean {
  for (let i = 0; i < which.length; i++) if (counters[row + which[i]] !== 0) return true
  return false
}
