import type { OpenMinute } from './open-minute.ts'
import { SaidChains } from './said-chains.ts'
import { SaidRows, saidSumCount } from './said-rows.ts'
import { addSaidRow, type SaidSegment } from './said-segment.ts'
import type { SaidOfEdge } from './said-view.ts'
import type { Segment } from './segment.ts'

/**
 * What a range says by slot of a fold, kept from one answer to the next. Closed segments are summed by slot and
 * protocol: those that left the range are taken out, those that came are added. Rows of open minutes change all the
 * time; what is kept of them is only which ones a slot has.
 */
export interface KeptSaid {
  closed: SaidChains
  readonly segments: Set<Segment>
  readonly open: WeakMap<SaidRows, SaidChains>
}

export function createKeptSaid(): KeptSaid {
  return { closed: new SaidChains(new SaidRows()), segments: new Set(), open: new WeakMap() }
}

/** What was said in a range, by slot. */
export interface SaidSums {
  /** Adds up what was said on a slot; false where nothing was. */
  take(slot: number, into: SaidOfEdge): boolean
  /** Changes with every figure of a slot. */
  hashOf(slot: number): number
}

/** Undefined where nothing was said at all. */
export function sumSaid(
  segments: readonly Segment[],
  open: readonly OpenMinute[],
  slotOf: Int32Array,
  slots: number,
  kept: KeptSaid,
): SaidSums | undefined {
  takeSegments(kept, segments, slotOf)
  kept.closed.link(slots)
  const all = [kept.closed]
  for (const { said } of open) if (said !== undefined) all.push(chainsOf(kept, said, slotOf, slots))
  if (all.every(({ rows }) => rows.rowCount === 0)) return undefined
  return {
    take: (slot, into) => takeSlot(all, slot, into),
    hashOf: slot => hashOf(all, slot),
  }
}

function chainsOf(kept: KeptSaid, said: SaidRows, slotOf: Int32Array, slots: number): SaidChains {
  const chains = kept.open.get(said) ?? new SaidChains(said)
  kept.open.set(said, chains)
  chains.link(slots, slotOf)
  return chains
}

function takeSegments(kept: KeptSaid, segments: readonly Segment[], slotOf: Int32Array): void {
  const wanted = new Set(segments.filter(({ said }) => said !== undefined))
  for (const segment of kept.segments)
    if (!wanted.has(segment)) {
      addBySlot(kept.closed.rows, segment.said!, slotOf, -1)
      kept.segments.delete(segment)
    }
  if (kept.segments.size === 0 && kept.closed.rows.rowCount > 0) kept.closed = new SaidChains(new SaidRows())
  for (const segment of wanted)
    if (!kept.segments.has(segment)) {
      addBySlot(kept.closed.rows, segment.said!, slotOf, 1)
      kept.segments.add(segment)
    }
}

function addBySlot(into: SaidRows, said: SaidSegment, slotOf: Int32Array, sign: 1 | -1): void {
  // stands for all operations of a protocol
  const whole = said.operations.map(({ protocol }) => into.operation({ protocol, name: '*', host: '' }))
  for (let at = 0; at < said.edges.length; at++) {
    const slot = slotOf[said.edges[at]]
    if (slot === 0) continue
    const row = into.row(slot, whole[said.operation[at]], said.status[at], said.flags[at])
    addSaidRow(into, row, said, at, sign)
  }
}

function takeSlot(all: readonly SaidChains[], slot: number, into: SaidOfEdge): boolean {
  into.clear()
  for (let i = 0; i < all.length; i++) {
    const chains = all[i]
    for (let row = chains.first(slot); row >= 0; row = chains.next(row)) into.add(chains.rows, row)
  }
  return into.isSaid
}

/** Order does not matter, and whether a row is counted as closed or open neither. */
function hashOf(all: readonly SaidChains[], slot: number): number {
  let hash = 0
  for (const chains of all)
    for (let row = chains.first(slot); row >= 0; row = chains.next(row))
      hash = (hash + hashOfRow(chains.rows, row)) | 0
  return hash
}

function hashOfRow(rows: SaidRows, row: number): number {
  const key = Math.imul(rows.protocolOf(row), 0x9e3779b1) ^ Math.imul(rows.statusOf(row), 0x85ebca6b)
  let hash = 0
  for (let sum = 0; sum < saidSumCount; sum++) {
    const amount = rows.sums[row * saidSumCount + sum]
    hash = (hash + Math.imul(key ^ (sum + 1) ^ Math.imul(rows.flagsOf(row) + 1, 0xc2b2ae35), amount | 0)) | 0
  }
  rows.eachBucket(row, (slot, count) => {
    hash = (hash + Math.imul(key ^ (slot << 8), count)) | 0
  })
  return hash
}
