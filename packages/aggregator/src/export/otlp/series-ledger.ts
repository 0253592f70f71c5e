import { addTo, noAmounts, type SeriesAmounts } from './otlp-book.ts'
import type { Series } from './series-table.ts'

/** Amounts that can be sent: none is negative, each is whole. */
export interface SeriesLedger {
  /**
   * Adds what was taken, which is its own from then on, and answers what is to be told of it. What was taken back is
   * kept until more comes.
   */
  settle(taken: readonly SeriesAmounts[], nowMs: number): SeriesAmounts[]
  /** Events that were told and then taken back, without more to take them from. */
  readonly overstated: number
}

interface Owed {
  readonly amounts: SeriesAmounts
  sinceMs: number
}

/** Longer than a minute can be corrected. */
const oweMs = 20 * 60_000

/** Sums of OpenTelemetry only rise: where a booking moved to another edge, what follows is less by as much. */
export function createSeriesLedger(): SeriesLedger {
  const owed = new Map<Series, Owed>()
  let overstated = 0

  function forget(nowMs: number): void {
    for (const [series, { amounts, sinceMs }] of owed) {
      if (nowMs - sinceMs <= oweMs) continue
      overstated -= Math.min(0, ...amounts.sums)
      owed.delete(series)
    }
  }

  return {
    get overstated() {
      return overstated
    },
    settle(taken, nowMs) {
      const told = new Map<Series, SeriesAmounts>()
      for (const amounts of taken) {
        const { series } = amounts
        const sum = told.get(series)
        if (sum !== undefined) {
          addAmounts(sum, amounts)
          continue
        }
        const before = owed.get(series)
        if (before !== undefined) addAmounts(amounts, before.amounts)
        told.set(series, amounts)
      }
      for (const [series, amounts] of told) {
        const rest = takeNegative(amounts)
        if (rest === undefined) owed.delete(series)
        else owed.set(series, { amounts: rest, sinceMs: owed.get(series)?.sinceMs ?? nowMs })
      }
      forget(nowMs)
      return [...told.values()]
    },
  }
}

function addAmounts(into: SeriesAmounts, from: SeriesAmounts): void {
  for (let i = 0; i < from.sums.length; i++) into.sums[i] += from.sums[i]
  for (let i = 0; i < from.histograms.length; i++)
    for (const [slot, count] of from.histograms[i]) addTo(into.histograms[i], slot, count)
}

/** Moves what is negative into amounts of its own; undefined where nothing is. */
function takeNegative(amounts: SeriesAmounts): SeriesAmounts | undefined {
  let rest: SeriesAmounts | undefined
  for (let i = 0; i < amounts.sums.length; i++) {
    amounts.sums[i] = Math.round(amounts.sums[i])
    if (amounts.sums[i] >= 0) continue
    rest ??= noAmounts(amounts.series)
    rest.sums[i] = amounts.sums[i]
    amounts.sums[i] = 0
  }
  for (let i = 0; i < amounts.histograms.length; i++)
    for (const [slot, count] of amounts.histograms[i]) {
      const whole = Math.round(count)
      if (whole === count && whole > 0) continue
      if (whole > 0) amounts.histograms[i].set(slot, whole)
      else amounts.histograms[i].delete(slot)
      if (whole >= 0) continue
      rest ??= noAmounts(amounts.series)
      rest.histograms[i].set(slot, whole)
    }
  return rest
}
