import { bucketsPerHistogram, clearHistogram, createLatencySums } from '../../topology/latency-entries.ts'
import type { DeltaEdge, FinalRow } from '../../topology/partition-deltas.ts'
import type { SaidDelta } from '../../topology/said-deltas.ts'
import { SaidFlag, saidSums, unknownStatus } from '../../topology/said-rows.ts'
import type { OtlpEnds } from './otlp-end.ts'
import { addTo, noAmounts, type SeriesAmounts } from './series-amounts.ts'
import { createSeriesLedger, type Overstated } from './series-ledger.ts'
import { type TransportShape, tcpShape, udpShape } from './series-shape.ts'
import type { Series, SeriesTable } from './series-table.ts'

/** What of a partition goes to OpenTelemetry, from wherever in the aggregator it is booked. */
export interface OtlpBook {
  /** What one end of an edge saw of an operation of an application protocol. */
  addSaid(edge: DeltaEdge, unixMinute: number, said: SaidDelta): void
  /** A row of a minute, or of corrections to one, that is written no more. */
  addFinal(edge: DeltaEdge, unixMinute: number, row: FinalRow): void
  /** What was added since the last time and can be told. */
  drain(nowMs: number): readonly SeriesAmounts[]
  /** What was added since the last time was told before, by whoever booked the partition then. */
  pass(): void
  /** What was told too much, and is to be made up for. */
  owed(): Overstated
}

/** Figures in no series, by reason. */
export interface OtlpLeftOut {
  /** An entity that nobody knows any more. */
  unnamed: number
}

export interface OtlpBookOptions {
  readonly overstated: Overstated
  readonly ends: OtlpEnds
  readonly series: SeriesTable
  readonly leftOut: OtlpLeftOut
}

const udpProtocol = 2
/** The sums of times are the last of `saidSums`. */
const timesFrom = saidSums.indexOf('firstByteUs')

export function createOtlpBook({ ends, series, leftOut, overstated }: OtlpBookOptions): OtlpBook {
  let all = new Map<Series, SeriesAmounts>()
  const ledger = createSeriesLedger(overstated)
  const latencies = createLatencySums()

  function amountsOf(of: Series): SeriesAmounts {
    const kept = all.get(of)
    if (kept !== undefined) return kept
    const fresh = noAmounts(of)
    all.set(of, fresh)
    return fresh
  }

  /** As of the end of the minute: what was learnt during it counts. */
  function endsOf(edge: DeltaEdge, unixMinute: number) {
    const atMs = unixMinute * 60_000 + 59_999
    const [client, server] = [ends.of(edge.client, atMs), ends.of(edge.server, atMs)]
    if (client !== undefined && server !== undefined) return [client, server] as const
    leftOut.unnamed++
    return undefined
  }

  function addSide(
    edge: DeltaEdge,
    unixMinute: number,
    side: 0 | 1,
    shape: TransportShape,
    { counters, offset }: FinalRow,
  ): void {
    const isSeen =
      shape.counters.some(of => of[side] >= 0 && counters[offset + of[side]] !== 0) ||
      shape.from.some(of => latencies.low[of[side]] <= latencies.high[of[side]])
    const both = isSeen ? endsOf(edge, unixMinute) : undefined
    if (both === undefined) return
    const of = series.transport(both[side], both[1 - side], side === 1, shape)
    const { sums, histograms } = amountsOf(of)
    for (const [i, counter] of shape.counters.entries())
      if (counter[side] >= 0) sums[i] += counters[offset + counter[side]]
    for (const [i, from] of shape.from.entries()) {
      const histogram = from[side]
      for (let key = latencies.low[histogram]; key <= latencies.high[histogram]; key++)
        addTo(histograms[i], key % bucketsPerHistogram, latencies.counts[key])
    }
  }

  return {
    addSaid(edge, unixMinute, { operation, status, flags, sums, buckets }) {
      const both = endsOf(edge, unixMinute)
      if (both === undefined) return
      const isServer = (flags & SaidFlag.server) !== 0
      const [local, remote] = isServer ? [both[1], both[0]] : both
      const isUnanswered = status === unknownStatus
      const of = series.operation(local, remote, edge.dialledPort, {
        ...operation,
        isServer,
        status: isUnanswered ? undefined : status,
        outcome: (flags & SaidFlag.error) !== 0 ? 'error' : isUnanswered ? 'unanswered' : 'ok',
      })
      const amounts = amountsOf(of)
      const counted = (flags & SaidFlag.timeless) === 0 ? sums.length : timesFrom
      for (let i = 0; i < counted; i++) amounts.sums[i] += sums[i]
      if (counted === timesFrom) return
      for (const [slot, count] of buckets) addTo(amounts.histograms[0], slot, count)
    },
    addFinal(edge, unixMinute, row) {
      for (let i = 0; i < latencies.low.length; i++) clearHistogram(latencies, i)
      row.latencies.addTo(row.row, latencies)
      const shape = edge.protocol === udpProtocol ? udpShape : tcpShape
      addSide(edge, unixMinute, 0, shape, row)
      addSide(edge, unixMinute, 1, shape, row)
    },
    drain(nowMs) {
      const told = ledger.settle([...all.values()], nowMs)
      all = new Map()
      return told
    },
    pass() {
      all = new Map()
      ledger.clear()
    },
    owed: ledger.owed,
  }
}
