import type { FlowQuery, FlowView } from '../topology/answer.ts'
import type { FlowRing } from './flow-ring.ts'
import {
  type CurrentBoot,
  type FlowNames,
  type FlowSource,
  hasPort,
  isSelected,
  observedOf,
  protocolOfFlow,
  searchText,
  shownEnds,
  stateOfFlow,
  viewFlow,
} from './flow-view.ts'
import type { JoinTable } from './join-table.ts'
import { Cold, coldSideAt, Head } from './slot-layout.ts'
import { chunkOf, coldStart, slotStart } from './slot-pool.ts'

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
const cursorForm = /^([eol])(\d{1,15})\.(\d{1,15})(?:\.(\d{1,15}))?$/

/**
 * Flows that match: those that ended, newest first, then the open ones, then those that ended since the first page was
 * asked for: whatever was there then is listed, however much begins and ends meanwhile; what ends in between may come
 * twice, open and then ended. A page can be short, or empty, and still have a cursor: then there is more to look at.
 * Throws a RangeError for a cursor that was not given by this function.
 */
export function listFlows(
  lists: FlowLists,
  query: FlowQuery,
  nowMs: number,
): { flows: FlowView[]; nextCursor?: string } {
  const page: Page = { flows: [], examined: 0 }
  const { ring } = lists
  const from = parseCursor(query.cursor) ?? { part: 'e', at: ring.next, slot: 0, newest: ring.next }
  const { newest } = from
  let next: string | undefined
  if (from.part === 'e' && query.state !== 'open') {
    next = cursorOf('e', listEnded(lists, query, from.at, 0, page), newest)
  }
  if (next === undefined && from.part !== 'l' && (query.state === undefined || query.state === 'open')) {
    const [table, slot] = from.part === 'o' ? [from.at, from.slot] : [0, 0]
    next = listOpen(lists, query, table, slot, newest, page, nowMs)
  }
  if (next === undefined && query.state !== 'open') {
    const at = from.part === 'l' ? from.at : ring.next
    next = cursorOf('l', listEnded(lists, query, at, newest, page), newest)
  }
  return next === undefined ? { flows: page.flows } : { flows: page.flows, nextCursor: next }
}

/** Where a page begins: among the ended ones, the open ones, or those that ended later. */
interface Cursor {
  readonly part: 'e' | 'o' | 'l'
  /** Number in the ring, or of the table. */
  readonly at: number
  readonly slot: number
  /** The flow that had ended last when the first page was asked for. */
  readonly newest: number
}

function parseCursor(cursor: string | undefined): Cursor | undefined {
  if (cursor === undefined) return undefined
  const match = cursorForm.exec(cursor)
  if (match === null || (match[1] === 'o') !== (match[4] !== undefined))
    throw new RangeError('unknown cursor')
  const [, part, newest, at, slot] = match
  return { part: part as Cursor['part'], newest: Number(newest), at: Number(at), slot: Number(slot ?? 0) }
}

function cursorOf(part: 'e' | 'l', at: number, newest: number): string | undefined {
  return at === 0 ? undefined : `${part}${newest}.${at}`
}

/** From copy `from` down to the one after `until`; answers where to go on, or 0 if there is nothing more. */
function listEnded(lists: FlowLists, query: FlowQuery, from: number, until: number, page: Page): number {
  const { ring } = lists
  for (let number = Math.min(from, ring.next); number > until && ring.has(number); number--) {
    if (isFull(page, query)) return number
    page.examined++
    take(ringSource(ring, number), lists, query, page)
  }
  return 0
}

function listOpen(
  lists: FlowLists,
  query: FlowQuery,
  fromTable: number,
  fromSlot: number,
  newest: number,
  page: Page,
  nowMs: number,
): string | undefined {
  for (let index = fromTable; index < lists.tables.length; index++) {
    const { top } = lists.tables[index].store.slots
    for (let slot = index === fromTable ? fromSlot : 0; slot < top; slot++) {
      if (isFull(page, query)) return `o${newest}.${index}.${slot}`
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
  const shown = shownEnds(source, lists.names, query.scope)
  if (!shown[0] && !shown[1]) return
  if (query.port !== undefined && !hasPort(source, query.port, shown)) return
  if (query.ends !== undefined && !isSelected(source, lists.names, query.ends, query.scope)) return
  if (query.match !== undefined && !searchText(source, lists.names, shown).includes(query.match)) return
  page.flows.push(viewFlow(source, lists.names, lists.nodes, shown))
}

function tableSource(table: JoinTable, slot: number, nearMs: number): FlowSource {
  const { store } = table
  const words = store.slots.words[chunkOf(slot)]
  const cold = coldStart(slot)
  return {
    words,
    start: slotStart(slot),
    cold,
    nearMs,
    wideSum: (side, sum) => store.wideSums.of(slot * 2 + side, sum),
    v6Word(side, end, index) {
      const at = cold + coldSideAt(side) + (end === 'local' ? Cold.local : Cold.remote)
      return store.addresses.word(words[at], index)
    },
  }
}

function ringSource(ring: FlowRing, number: number): FlowSource {
  const at = ring.position(number)
  return {
    ...ring.slotAt(at),
    wideSum: (side, sum) => ring.wideSums.of(at * 2 + side, sum),
    nearMs: ring.writtenMs[at],
    v6Word: (side, end, index) => ring.addresses[at * 16 + side * 8 + (end === 'local' ? 0 : 4) + index],
  }
}
