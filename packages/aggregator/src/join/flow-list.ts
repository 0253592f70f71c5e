import type { FlowQuery, FlowView } from '../topology/answer.ts'
import type { FlowRing } from './flow-ring.ts'
import {
  type CurrentBoot,
  type FlowNames,
  type FlowSource,
  hasPort,
  observedOf,
  protocolOfFlow,
  searchText,
  stateOfFlow,
  viewFlow,
} from './flow-view.ts'
import type { JoinTable } from './join-table.ts'
import { Head, Side, sideAt, slotWords } from './slot-layout.ts'
import { chunkOf, slotStart } from './slot-pool.ts'

export interface FlowLists {
  readonly tables: readonly JoinTable[]
  readonly ring: FlowRing
  readonly nodes: ReadonlyMap<number, CurrentBoot>
  readonly names: FlowNames
}

interface Page {
  readonly flows: FlowView[]
  examined: number
}

/** A request looks at no more flows than this; the rest is behind the cursor. */
const examineLimit = 100_000
const ended = /^e(\d+)$/
const open = /^o(\d+)\.(\d+)$/

/**
 * Flows that match: those that ended, newest first, then the open ones. A page can be short, or empty, and still have
 * a cursor: then there is more to look at. Throws a RangeError for a cursor that was not given by this function.
 */
export function listFlows(
  lists: FlowLists,
  query: FlowQuery,
  nowMs: number,
): { flows: FlowView[]; nextCursor?: string } {
  const page: Page = { flows: [], examined: 0 }
  const from = parseCursor(query.cursor)
  let next: string | undefined
  if (from.kind === 'ended') {
    next = query.state === 'open' ? undefined : listEnded(lists, query, from.number, page)
    next ??= listOpen(lists, query, 0, 0, page, nowMs)
  } else {
    next = listOpen(lists, query, from.table, from.slot, page, nowMs)
  }
  return next === undefined ? { flows: page.flows } : { flows: page.flows, nextCursor: next }
}

type Cursor = { kind: 'ended'; number: number } | { kind: 'open'; table: number; slot: number }

function parseCursor(cursor: string | undefined): Cursor {
  if (cursor === undefined) return { kind: 'ended', number: Number.POSITIVE_INFINITY }
  const endedMatch = ended.exec(cursor)
  if (endedMatch !== null) return { kind: 'ended', number: Number(endedMatch[1]) }
  const openMatch = open.exec(cursor)
  if (openMatch === null) throw new RangeError('unknown cursor')
  return { kind: 'open', table: Number(openMatch[1]), slot: Number(openMatch[2]) }
}

function listEnded(lists: FlowLists, query: FlowQuery, from: number, page: Page): string | undefined {
  const { ring } = lists
  for (let number = Math.min(from, ring.next); ring.has(number); number--) {
    if (isFull(page, query)) return `e${number}`
    page.examined++
    take(ringSource(ring, number), lists, query, page)
  }
  return undefined
}

function listOpen(
  lists: FlowLists,
  query: FlowQuery,
  fromTable: number,
  fromSlot: number,
  page: Page,
  nowMs: number,
): string | undefined {
  if (query.state !== undefined && query.state !== 'open') return undefined
  for (let index = fromTable; index < lists.tables.length; index++) {
    const { top } = lists.tables[index].store.slots
    for (let slot = index === fromTable ? fromSlot : 0; slot < top; slot++) {
      if (isFull(page, query)) return `o${index}.${slot}`
      page.examined++
      const source = tableSource(lists.tables[index], slot, nowMs)
      const isListed = source.words[source.start + Head.flags] !== 0 && stateOfFlow(source) === 'open'
      if (isListed) take(source, lists, query, page)
    }
  }
  return undefined
}

function isFull(page: Page, query: FlowQuery): boolean {
  return page.flows.length >= query.limit || page.examined >= examineLimit
}

function take(source: FlowSource, lists: FlowLists, query: FlowQuery, page: Page): void {
  if (query.state !== undefined && stateOfFlow(source) !== query.state) return
  if (query.protocol !== undefined && protocolOfFlow(source) !== query.protocol) return
  if (query.observed !== undefined && observedOf(source) !== query.observed) return
  if (query.port !== undefined && !hasPort(source, query.port)) return
  if (query.match !== undefined && !searchText(source, lists.names).includes(query.match)) return
  page.flows.push(viewFlow(source, lists.names, lists.nodes))
}

function tableSource(table: JoinTable, slot: number, nearMs: number): FlowSource {
  const { store } = table
  const words = store.slots.words[chunkOf(slot)]
  const start = slotStart(slot)
  return {
    words,
    start,
    nearMs,
    wideSum: (side, sum) => store.wideSums.of(slot * 2 + side, sum),
    v6Word(side, end, index) {
      const at = start + sideAt(side) + (end === 'local' ? Side.local : Side.remote)
      return store.addresses.word(words[at], index)
    },
  }
}

function ringSource(ring: FlowRing, number: number): FlowSource {
  const at = ring.position(number)
  return {
    words: ring.words,
    wideSum: (side, sum) => ring.wideSums.of(at * 2 + side, sum),
    start: at * slotWords,
    nearMs: ring.writtenMs[at],
    v6Word: (side, end, index) => ring.addresses[at * 16 + side * 8 + (end === 'local' ? 0 : 4) + index],
  }
}
