import { addTo, noAmounts, type SeriesAmounts } from './series-amounts.ts'
import { operationShape } from './series-shape.ts'
import type { Series } from './series-table.ts'

/** What was told and then taken back, without more to take it from. */
export interface Overstated {
  requests: number
  /** Flows of UDP too. */
  connections: number
}

export function noneOverstated(): Overstated {
  return { requests: 0, connections: 0 }
}

export function addOverstated(to: Overstated, more: Overstated): void {
  to.requests += more.requests
  to.connections += more.connections
}

/** Amounts that can be sent: none is negative, each is whole. */
export interface SeriesLedger {
  /**
   * Adds what was taken, which is its own from then on, and answers what is to be told of it. What was taken back is
   * kept until more comes.
   */
  settle(taken: readonly SeriesAmounts[], nowMs: number): SeriesAmounts[]
  /** What was taken back and waits for more to come. */
  owed(): Overstated
  /** What was owed is no matter of this ledger any more. */
  clear(): void
}

interface Owed {
  readonly amounts: SeriesAmounts
  sinceMs: number
}

/** Longer than a minute can be corrected. */
const oweMs = 20 * 60_000

/**
 * Sums of OpenTelemetry only rise: where a booking moved to another edge, what follows is less by as much. What nothing
 * follows to is counted in `overstated` in the end.
 */
export function createSeriesLedger(overstated: Overstated): SeriesLedger {
  const owed = new Map<Series, Owed>()

  function forget(nowMs: number): void {
    for (const [series, { amounts, sinceMs }] of owed) {
      if (nowMs - sinceMs <= oweMs) continue
      addEvents(overstated, amounts)
      owed.delete(series)
    }
  }

  return {
    owed() {
      const sum = noneOverstated()
      for (const { amounts } of owed.values()) addEvents(sum, amounts)
      return sum
    },
    clear: () => owed.clear(),
    settle(taken, nowMs) {
      const told = mergeAmounts(taken)
      for (const amounts of told) {
        const before = owed.get(amounts.series)
        if (before !== undefined) addAmounts(amounts, before.amounts)
      }
      for (const amounts of told) {
        const { series } = amounts
        const rest = takeNegative(amounts)
        if (rest === undefined) owed.delete(series)
        else owed.set(series, { amounts: rest, sinceMs: owed.get(series)?.sinceMs ?? nowMs })
      }
      forget(nowMs)
      return told
    },
  }
}

function addEvents(into: Overstated, { series, sums }: SeriesAmounts): void {
  const events = Math.max(0, -sums[series.shape.eventsAt])
  if (series.shape === operationShape) into.requests += events
  else into.connections += events
}

/** As one for each series. The amounts are its own from then on. */
export function mergeAmounts(all: readonly SeriesAmounts[]): SeriesAmounts[] {
  const merged = new Map<Series, SeriesAmounts>()
  for (const amounts of all) {
    const sum = merged.get(amounts.series)
    if (sum === undefined) merged.set(amounts.series, amounts)
    else addAmounts(sum, amounts)
  }
  return [...merged.values()]
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
