import type { Fold } from './fold.ts'
import { bucketsPerHistogram, clearHistogram, createLatencySums } from './latency-entries.ts'
import type { LatencyPlan } from './latency-plan.ts'
import { createLatencyReader } from './latency-reader.ts'
import { createLatencyTable } from './latency-table.ts'
import type { OpenMinute } from './open-minute.ts'
import type { RangeParts } from './range-sums.ts'
import type { Segment } from './segment.ts'

/** Latency figures of a range that is asked for again and again, brought up to date by what is new. */
export interface LiveLatencies {
  /** Count and quantiles as the plan says, by slot of the fold. */
  figures(parts: RangeParts): Float64Array
}

/** A part that is in the sums: closed, or open and read up to a place in its log. */
interface Included {
  readonly segment?: Segment
  readonly open?: OpenMinute
  read: number
}

export function createLiveLatencies(fold: Fold, plan: LatencyPlan): LiveLatencies {
  let table = createLatencyTable(plan)
  // by what the parts hold: a minute that was packed since holds the same
  const included = new Map<object, Included>()
  const sums = createLatencySums()
  const rows = { part: new Uint16Array(0), row: new Int32Array(0) }
  const keyLimit = plan.histograms * bucketsPerHistogram

  function addSegment({ edges, entries, entryAt }: Segment, sign: 1 | -1): void {
    const { slotOf } = fold
    for (let row = 0; row < edges.length; row++)
      addEntries(entries, entryAt[row], entryAt[row + 1], slotOf[edges[row]], sign)
  }

  function addEntries(entries: Uint16Array, from: number, to: number, slot: number, sign: 1 | -1): void {
    for (let i = from; i < to; i++) {
      const entry = entries[i]
      if (entry >> 4 >= keyLimit) return
      let count = entry & 15
      if (count === 0) {
        count = entries[i + 1] | (entries[i + 2] << 16)
        i += 2
      }
      table.add(slot, entry >> 4, sign * count)
    }
  }

  function addOpen({ edges, rows, latencies }: OpenMinute, sign: 1 | -1): void {
    const { slotOf } = fold
    for (let i = 0; i < edges.length; i++) {
      latencies.addTo(rows[i], sums, keyLimit)
      drainInto(slotOf[edges[i]], sign)
    }
  }

  function drainInto(slot: number, sign: 1 | -1): void {
    const { counts, low, high } = sums
    for (let histogram = 0; histogram < low.length; histogram++) {
      for (let key = low[histogram]; key <= high[histogram]; key++)
        if (counts[key] !== 0) table.add(slot, key, sign * counts[key])
      clearHistogram(sums, histogram)
    }
  }

  /** False if what is new can't be told any more. */
  function readLog(part: Included): boolean {
    if (!part.open) return true
    const { log } = part.open
    const { edges, keys, noted, forgotten } = log
    if (part.read < forgotten) return false
    const { slotOf } = fold
    for (let i = part.read - forgotten; i < noted - forgotten; i++)
      table.add(slotOf[edges[i]], Math.abs(keys[i]) - 1, keys[i] < 0 ? -1 : 1)
    part.read = noted
    return true
  }

  function include(part: Segment | OpenMinute): void {
    if ('entries' in part) addSegment(part, 1)
    else addOpen(part, 1)
    note(part)
  }

  /** Notes that all of a part is in the sums. */
  function note(part: Segment | OpenMinute): void {
    if ('entries' in part) included.set(contentOf(part), { segment: part, read: 0 })
    else {
      part.log.isOn = true
      included.set(part.content, { open: part, read: part.log.noted })
    }
  }

  function exclude(content: object, { segment, open }: Included): void {
    const packed = segment ?? open?.packed
    if (packed) addSegment(packed, -1)
    else if (open) addOpen(open, -1)
    included.delete(content)
  }

  function startOver(parts: RangeParts): void {
    table = createLatencyTable(plan)
    included.clear()
    const reader = createLatencyReader(parts, fold.slotOf, fold.slots, keyLimit, rows)
    for (let slot = 1; slot < fold.slots; slot++) {
      reader.addTo(slot, sums)
      table.take(slot, sums)
    }
    for (const part of [...parts.segments, ...parts.open]) note(part)
  }

  /** Makes the sums those of exactly these parts; false if that can't be done from what they are. */
  function update(wanted: ReadonlyMap<object, Segment | OpenMinute>): boolean {
    for (const part of included.values()) if (!readLog(part)) return false
    for (const [content, part] of included) {
      const now = wanted.get(content)
      if (now === undefined) exclude(content, part)
      // packed since
      else if (part.open && 'entries' in now) note(now)
    }
    for (const [content, part] of wanted) if (!included.has(content)) include(part)
    return true
  }

  return {
    figures(parts) {
      const all = [...parts.segments, ...parts.open]
      const wanted = new Map(all.map(part => [contentOf(part), part]))
      let kept = 0
      for (const content of included.keys()) if (wanted.has(content)) kept++
      if (kept * 2 < included.size || !update(wanted)) startOver(parts)
      return table.figures(fold.slots)
    },
  }
}

function contentOf(part: Segment | OpenMinute): object {
  return part.content ?? part
}
