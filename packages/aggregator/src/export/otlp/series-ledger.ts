import { addTo, noAmounts, type SeriesAmounts } from './otlp-book.ts'
import type { Series } from './series-table.ts'

/** Amounts that can be sent: none is negative, each is whole. */
export interface SeriesLedger {
  /** Adds what was taken, and answers what is to be told of it. What was taken back is kept until more comes. */
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
        let sum = told.get(series)
        if (sum === undefined) {
          sum = noAmounts(series)
          const before = owed.get(series)
          if (before !== undefined) addAmounts(sum, before.amounts)
          told.set(series, sum)
        }
        addAmounts(sum, amounts)
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
  for (const [i, histogram] of from.histograms.entries())
    for (const [slot, count] of histogram) addTo(into.histograms[i], slot, count)
}

/** Moves what is negative into amounts of its own. */
function takeNegative(amounts: SeriesAmounts): SeriesAmounts | undefined {
  const rest = noAmounts(amounts.series)
  let isOwed = false
  for (let i = 0; i < amounts.sums.length; i++) {
    amounts.sums[i] = Math.round(amounts.sums[i])
    if (amounts.sums[i] >= 0) continue
    rest.sums[i] = amounts.sums[i]
    amounts.sums[i] = 0
    isOwed = true
  }
  for (const [i, histogram] of amounts.histograms.entries())
    for (const [slot, count] of histogram) {
      const whole = Math.round(count)
      if (whole > 0) histogram.set(slot, whole)
      else histogram.delete(slot)
      if (whole >= 0) continue
      rest.histograms[i].set(slot, whole)
      isOwed = true
    }
  return isOwed ? rest : undefined
}
