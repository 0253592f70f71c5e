import type { Group, GroupBy } from '../resolve/entity.ts'
import { groupingsFrom } from '../resolve/entity-grouping.ts'
import type { EntityIndex } from '../resolve/entity-index.ts'
import { hiddenGroupId } from '../resolve/view-scope.ts'
import type { TopologyQuery } from './answer.ts'
import type { ClosedSums } from './closed-sums.ts'
import type { EntityId } from './edge-book.ts'
import type { EdgeTable } from './edge-table.ts'
import { bytesOf } from './edge-view.ts'
import { withinReach } from './focus.ts'
import type { Fold } from './fold.ts'
import type { FoldCache } from './fold-cache.ts'
import {
  addGauge,
  addGauges,
  type RangeParts,
  type RangeSums,
  type SumsScratch,
  sumRange,
} from './range-sums.ts'
import type { OpenGauges } from './segment.ts'

/** What a query finds, before it is written: the fold, its sums, and which slots and groups are in the answer. */
export interface Evaluation {
  readonly fold: Fold
  readonly sums: RangeSums
  /** In order of edge id. */
  readonly slots: Int32Array
  /** In order of node id. */
  readonly groups: Int32Array
  readonly notes: readonly string[]
}

export interface EvaluationSource {
  readonly edges: EdgeTable
  readonly index: EntityIndex
  readonly folds: FoldCache
  readonly parts: RangeParts
  /** Gauges at the end of the range, to be added, those of the edges right now among them or not. */
  readonly gauges: readonly OpenGauges[]
  readonly isLive: boolean
  readonly scratch: SumsScratch
  /** Closed sums kept for this fold and this length of range. */
  readonly closedOf: (fold: Fold) => ClosedSums
}

interface Level {
  readonly groupBy: GroupBy
  readonly joinsOutside: boolean
}

/** The first grouping, from the one asked for to coarser ones, whose nodes are not too many. */
export function evaluate(source: EvaluationSource, query: TopologyQuery): Evaluation {
  const levels = levelsFrom(query.groupBy, source.index.isKubernetes)
  const last = levels.at(-1)!
  let found = evaluateAt(source, query, levels[0])
  for (const level of levels.slice(1)) {
    if (found.groups.length <= query.limit) return found
    // folding the outside alone is only worth it where it suffices
    if (level.joinsOutside && insideCount(found) + 1 > query.limit && level !== last) continue
    found = withNote(evaluateAt(source, query, level), query, level, found.groups.length, level === last)
  }
  return found
}

function levelsFrom(groupBy: GroupBy, isKubernetes: boolean): Level[] {
  return groupingsFrom(groupBy, isKubernetes).flatMap(g =>
    [false, true].map(joinsOutside => ({ groupBy: g, joinsOutside })),
  )
}

function insideCount({ fold, groups }: Evaluation): number {
  return groups.reduce((n, g) => (fold.groups[g].kind === 'outside' ? n : n + 1), 0)
}

function withNote(
  found: Evaluation,
  query: TopologyQuery,
  level: Level,
  nodes: number,
  isCoarsest: boolean,
): Evaluation {
  const grouping =
    level.groupBy === query.groupBy ? '' : ` grouped by ${level.groupBy} instead of ${query.groupBy}`
  const outside = level.joinsOutside
    ? `${grouping === '' ? '' : ', and'} all outside addresses are one node`
    : ''
  const note = `${nodes} nodes would be more than the limit of ${query.limit}: the answer is${grouping}${outside}.`
  const text = grouping === '' ? note.replace('the answer is all', 'all') : note
  const kept = found.notes.filter(n => !n.includes('more than the limit'))
  const still = `${found.groups.length} nodes are left, still more than the limit: there is no coarser grouping.`
  const isLast = isCoarsest && found.groups.length > query.limit
  return { ...found, notes: [...kept, text, ...(isLast ? [still] : [])] }
}

function evaluateAt(source: EvaluationSource, query: TopologyQuery, level: Level): Evaluation {
  const fold = source.folds.get({
    ...level,
    atMs: query.toMs,
    ...(query.ends && { filter: query.ends }),
    ...(query.scope && { scope: query.scope }),
  })
  const sums = sumRange(source.parts, fold.slotOf, fold.slots, source.closedOf(fold), source.scratch)
  for (const gauges of source.gauges) addGauges(sums, gauges, fold.slotOf)
  if (source.isLive) addLiveGauges(sums, source.edges, fold.slotOf)
  const passes = edgeFilter(fold, sums, query)
  let slots: Int32Array = fold.order.filter(passes)
  const notes: string[] = []
  if (query.focus !== undefined) {
    const group = focusGroup(source, fold, query, query.focus)
    if (group < 0) notes.push(`There is no node ${JSON.stringify(query.focus)} in this window.`)
    slots = group < 0 ? new Int32Array(0) : withinReach(fold, slots, group, query.depth ?? 1)
  }
  return { fold, sums, slots, groups: groupsOf(fold, slots), notes }
}

/** Whether an edge is in the answer, apart from how far it is from the focus. */
export function edgeFilter(fold: Fold, sums: RangeSums, query: TopologyQuery): (slot: number) => boolean {
  const protocol = query.protocol && (query.protocol === 'tcp' ? 1 : 2)
  const minBytes = query.minBytes ?? 0
  const { seen } = sums
  const { protocol: protocols } = fold
  return slot => {
    if (seen[slot] === 0 || (protocol !== undefined && protocols[slot] !== protocol)) return false
    return minBytes === 0 || bytesOf(sums, slot) >= minBytes
  }
}

/** The group of the focus: by its id, or where the answer is coarser than asked for, the group it was folded into. */
export function focusGroup(
  source: Pick<EvaluationSource, 'edges' | 'index'>,
  fold: Fold,
  query: TopologyQuery,
  focus: string,
): number {
  const found = fold.groups.findIndex(g => g.id === focus)
  if (found >= 0) return found
  const { edges, index } = source
  const isFocus = (entity: EntityId, group: Group) =>
    // what was folded away for its namespace is not to be found by its name
    group.id !== hiddenGroupId && index.group(entity, query.groupBy, query.toMs).id === focus
  for (let edge = 0; edge < edges.limit; edge++) {
    const slot = fold.slotOf[edge]
    if (slot === 0) continue
    const [from, to] = [fold.source[slot], fold.target[slot]]
    if (isFocus(edges.client[edge], fold.groups[from])) return from
    if (isFocus(edges.server[edge], fold.groups[to])) return to
  }
  return -1
}

export function groupsOf(fold: Fold, slots: Int32Array): Int32Array {
  const isUsed = new Uint8Array(fold.groups.length)
  const { source, target } = fold
  for (let i = 0; i < slots.length; i++) {
    isUsed[source[slots[i]]] = 1
    isUsed[target[slots[i]]] = 1
  }
  return fold.groupOrder.filter(g => isUsed[g] === 1)
}

function addLiveGauges(sums: RangeSums, edges: EdgeTable, slotOf: Int32Array): void {
  const { openClient, openServer, openJoined } = edges
  for (let edge = 0; edge < edges.limit; edge++)
    if (openClient[edge] !== 0 || openServer[edge] !== 0 || openJoined[edge] !== 0)
      addGauge(sums, slotOf[edge], openClient[edge], openServer[edge], openJoined[edge])
}
