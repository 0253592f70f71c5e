import type { SaidBlock, SaidBlockName } from './answer.ts'
import type { OpenMinute } from './open-minute.ts'
import { SaidRows, saidSumCount } from './said-rows.ts'
import { addSaidRow, type SaidSegment } from './said-segment.ts'
import { blockOf, type SaidPlace, saidBlock, saidBlockNames } from './said-view.ts'
import type { Segment } from './segment.ts'

/**
 * What closed segments say, summed by slot of a fold and protocol, kept from one answer to the next: segments that left
 * the range are taken out, those that came are added.
 */
export interface ClosedSaid {
  rows: SaidRows
  readonly segments: Set<Segment>
  /** Rows by slot; rows are only added. */
  readonly bySlot: Map<number, number[]>
  indexed: number
}

export function createClosedSaid(): ClosedSaid {
  return { rows: new SaidRows(), segments: new Set(), bySlot: new Map(), indexed: 0 }
}

/** What was said in a range, by slot. */
export interface SaidSums {
  /** By name of the block; undefined where nothing was said on a slot. */
  blocksOf(slot: number): Partial<Record<SaidBlockName, SaidBlock>> | undefined
  /** Changes with every figure of a slot. */
  hashOf(slot: number): number
}

/** Undefined where nothing was said at all. */
export function sumSaid(
  segments: readonly Segment[],
  open: readonly OpenMinute[],
  slotOf: Int32Array,
  closed: ClosedSaid,
): SaidSums | undefined {
  bringUpToDate(closed, segments, slotOf)
  const now = new SaidRows()
  for (const { said } of open) if (said !== undefined) addOpenBySlot(now, said, slotOf)
  if (closed.segments.size === 0 && now.rowCount === 0) return undefined
  const nowBySlot = new Map<number, number[]>()
  index(now, nowBySlot, 0)
  const placesOf = (slot: number): SaidPlace[] => [
    ...(closed.bySlot.get(slot) ?? []).map(row => ({ rows: closed.rows, row })),
    ...(nowBySlot.get(slot) ?? []).map(row => ({ rows: now, row })),
  ]
  return {
    blocksOf: slot => blocksOf(placesOf(slot)),
    hashOf: slot => hashOf(placesOf(slot)),
  }
}

function bringUpToDate(closed: ClosedSaid, segments: readonly Segment[], slotOf: Int32Array): void {
  const wanted = new Set(segments.filter(({ said }) => said !== undefined))
  for (const segment of closed.segments)
    if (!wanted.has(segment)) {
      addBySlot(closed.rows, segment.said!, slotOf, -1)
      closed.segments.delete(segment)
    }
  if (closed.segments.size === 0 && closed.rows.rowCount > 0) {
    closed.rows = new SaidRows()
    closed.bySlot.clear()
    closed.indexed = 0
  }
  for (const segment of wanted)
    if (!closed.segments.has(segment)) {
      addBySlot(closed.rows, segment.said!, slotOf, 1)
      closed.segments.add(segment)
    }
  index(closed.rows, closed.bySlot, closed.indexed)
  closed.indexed = closed.rows.rowCount
}

/** Stands for all operations of a protocol. */
function wholeOf(into: SaidRows, protocol: number): number {
  return into.operation({ protocol, name: '*', host: '' })
}

function addBySlot(into: SaidRows, said: SaidSegment, slotOf: Int32Array, sign: 1 | -1): void {
  const whole = said.operations.map(({ protocol }) => wholeOf(into, protocol))
  for (let at = 0; at < said.edges.length; at++) {
    const slot = slotOf[said.edges[at]]
    if (slot === 0) continue
    addSaidRow(
      into,
      into.row(slot, whole[said.operation[at]], said.status[at], said.flags[at]),
      said,
      at,
      sign,
    )
  }
}

function addOpenBySlot(into: SaidRows, said: SaidRows, slotOf: Int32Array): void {
  const whole = said.operations.map(({ protocol }) => wholeOf(into, protocol))
  for (let at = 0; at < said.rowCount; at++) {
    const slot = slotOf[said.edgeOf(at)]
    if (slot === 0) continue
    addOpenRow(
      into,
      into.row(slot, whole[said.operationOf(at)], said.statusOf(at), said.flagsOf(at)),
      said,
      at,
    )
  }
}

/** Adds the sums and buckets of one row to a row. */
export function addOpenRow(into: SaidRows, row: number, said: SaidRows, at: number): void {
  for (let sum = 0; sum < saidSumCount; sum++) into.add(row, sum, said.sums[at * saidSumCount + sum])
  said.eachBucket(at, (slot, count) => into.addBucket(row, slot, count))
}

function index(rows: SaidRows, bySlot: Map<number, number[]>, from: number): void {
  for (let row = from; row < rows.rowCount; row++) {
    const slot = rows.edgeOf(row)
    const known = bySlot.get(slot)
    if (known === undefined) bySlot.set(slot, [row])
    else known.push(row)
  }
}

function blocksOf(places: readonly SaidPlace[]): Partial<Record<SaidBlockName, SaidBlock>> | undefined {
  if (places.length === 0) return undefined
  const found: Partial<Record<SaidBlockName, SaidBlock>> = {}
  for (const name of saidBlockNames) {
    const own = places.filter(({ rows, row }) => blockOfRow(rows, row) === name)
    if (own.length === 0) continue
    const block = saidBlock(own)
    if (block !== undefined) found[name] = block
  }
  return Object.keys(found).length === 0 ? undefined : found
}

function blockOfRow(rows: SaidRows, row: number): SaidBlockName {
  return blockOf(rows.operations[rows.operationOf(row)].protocol)
}

/** Order does not matter, and whether a row is counted as closed or open neither. */
function hashOf(places: readonly SaidPlace[]): number {
  let hash = 0
  for (const { rows, row } of places) {
    const key =
      Math.imul(rows.operations[rows.operationOf(row)].protocol, 0x9e3779b1) ^
      Math.imul(rows.statusOf(row), 0x85ebca6b)
    for (let sum = 0; sum < saidSumCount; sum++) {
      const amount = rows.sums[row * saidSumCount + sum]
      hash =
        (hash + Math.imul(key ^ (sum + 1) ^ Math.imul(rows.flagsOf(row) + 1, 0xc2b2ae35), amount | 0)) | 0
    }
    rows.eachBucket(row, (slot, count) => {
      hash = (hash + Math.imul(key ^ (slot << 8), count)) | 0
    })
  }
  return hash
}
