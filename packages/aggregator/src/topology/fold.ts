import type { EndFilter } from '../resolve/end-filter.ts'
import type { Group, GroupBy } from '../resolve/entity.ts'
import type { EntityIndex } from '../resolve/entity-index.ts'
import { kubeGroup } from '../resolve/kube-grouping.ts'
import { hiddenGroup, isInScope, isOutsideAll, type ViewScope } from '../resolve/view-scope.ts'
import type { EdgeId, EntityId } from './edge-book.ts'
import { createEdgeTable, type EdgeTable } from './edge-table.ts'
import { compareTexts, withInserted } from './sorted-order.ts'

/**
 * Edges as an answer shows them: entities folded into groups, and edges that become equal folded into one slot. Slots
 * count from 1 in the order in which they came and stay what they are; slot 0 is for edges that are not in use. Valid
 * for one grouping and one state of the names.
 */
export interface Fold {
  readonly groupBy: GroupBy
  readonly joinsOutside: boolean
  readonly groups: readonly Group[]
  /** Slots are below it. */
  readonly slots: number
  readonly slotOf: Int32Array
  /** By slot: group of the client's and of the server's end, protocol, port, number of the dialled address. */
  readonly source: Int32Array
  readonly target: Int32Array
  readonly protocol: Uint8Array
  readonly port: Uint16Array
  readonly via: Int32Array
  readonly vias: readonly string[]
  /** All slots but 0 in order of edge id. */
  readonly order: Int32Array
  /** Groups in order of id. */
  readonly groupOrder: Int32Array
  /** Of what goes on among hidden ends, whose sums may be told and nothing that was said. */
  isHidden(slot: number): boolean
  /** Folds edges that were interned since. */
  extend(): void
}

export interface FoldRequest {
  readonly groupBy: GroupBy
  /** Fold all outside addresses into one group. */
  readonly joinsOutside: boolean
  readonly atMs: number
  /** Only edges with such an end; all if absent. */
  readonly filter?: EndFilter
  /**
   * An end outside of it is hidden, unless it is an outside address and the edge has something inside. An edge of which
   * neither an end nor the service that was dialled is inside counts among all hidden ones of its protocol.
   */
  readonly scope?: ViewScope
}

const protocolNames = ['', 'tcp', 'udp'] as const

export function protocolName(protocol: number): 'tcp' | 'udp' {
  return protocol === 2 ? 'udp' : 'tcp'
}

/** The last part of an edge's id: `tcp/443`, with the dialled address where it is not the server's own. */
export function edgeSuffix(protocol: number, port: number, via: string): string {
  return `${protocolNames[protocol]}/${port}${via === '' ? '' : `@${via}`}`
}

export function edgeIdText(source: Group, target: Group, suffix: string): string {
  return `${source.id}->${target.id}#${suffix}`
}

export const outsideGroupId = 'outside'

export function createFold(edges: EdgeTable, index: EntityIndex, request: FoldRequest): Fold {
  const { scope } = request
  let table = emptyTable()
  const groups: Group[] = []
  const groupIndexes = new Map<string, number>()
  const groupOf: number[] = []
  const vias: string[] = ['']
  const viaIndexes = new Map<string, number>()
  let slotOf = new Int32Array(0)
  let folded = 0
  // a fold does not outlive the sweep that frees ids, so the list only grows
  let againFolded = edges.givenAgain.length
  let order = new Int32Array(0)
  let groupOrder = new Int32Array(0)

  function groupIndexOf(entity: EntityId): number {
    const known = groupOf[entity]
    if (known !== undefined) return known
    const found = index.group(entity, request.groupBy, request.atMs)
    const isHidden = !isShown(entity) && !isOutsideAll(found)
    const at = indexOfGroup(
      isHidden ? hiddenGroup : request.joinsOutside && found.kind === 'outside' ? wholeOutside : found,
    )
    groupOf[entity] = at
    return at
  }

  function indexOfGroup(group: Group): number {
    const known = groupIndexes.get(group.id)
    if (known !== undefined) return known
    groupIndexes.set(group.id, groups.length)
    return groups.push(group) - 1
  }

  function isShown(entity: EntityId): boolean {
    return !scope || isInScope(scope, index.identity(entity, request.atMs))
  }

  function viaIndexOf(entity: EntityId, port: number): number {
    if (entity < 0) return 0
    const address = index.entity(entity)?.address ?? ''
    const service = index.dialled(entity, port, request.atMs)
    if (scope && service && !isInScope(scope, service)) return 0
    // two nodes that call the same address are one answer
    const text = service
      ? `${kubeGroup(service, index.entity(entity)!, 'service').id}:${port}`
      : address.includes(':')
        ? `[${address}]:${port}`
        : `${address}:${port}`
    let at = viaIndexes.get(text)
    if (at === undefined) {
      at = vias.push(text) - 1
      viaIndexes.set(text, at)
    }
    return at
  }

  function isWanted(edge: EdgeId): boolean {
    const { filter, atMs } = request
    const isAsked = (entity: EntityId) =>
      // a filter that tells hidden ends apart would name them
      index.isSelected(entity, filter!, atMs) && isShown(entity)
    return !filter || isAsked(edges.client[edge]) || isAsked(edges.server[edge])
  }

  /** Whoever dials a loopback address dials itself, and in a pod that is not the node. */
  function isToItself(edge: EdgeId): boolean {
    return (
      index.isKubernetes &&
      index.isThisMachine(edges.server[edge]) &&
      index.identity(edges.client[edge], request.atMs) !== undefined
    )
  }

  /** Neither of its ends, nor the service that was dialled, may be seen. */
  function isHidden(edge: EdgeId): boolean {
    if (!scope || isShown(edges.client[edge])) return false
    if (!isToItself(edge) && isShown(edges.server[edge])) return false
    const via = edges.via[edge]
    return via < 0 || !isInScope(scope, index.dialled(via, edges.viaPort[edge], request.atMs))
  }

  /** The service that was dialled counts for more than the one that its backend stands behind by itself. */
  function targetOf(edge: EdgeId, source: number): number {
    const via = edges.via[edge]
    if (isToItself(edge)) return source
    if (request.groupBy === 'service' && via >= 0 && index.dialled(via, edges.viaPort[edge], request.atMs)) {
      const dialled = groupIndexOf(via)
      if (groups[dialled].kind === 'service') return dialled
    }
    return groupIndexOf(edges.server[edge])
  }

  function slotOfEdge(edge: EdgeId): number {
    if (edges.protocol[edge] === 0) return 0
    if (!isWanted(edge)) return 0
    if (isHidden(edge)) {
      const hidden = indexOfGroup(hiddenGroup)
      return table.intern(hidden, hidden, edges.protocol[edge], 0, 0, 0)
    }
    const source = groupIndexOf(edges.client[edge])
    const target = targetOf(edge, source)
    const via = viaIndexOf(edges.via[edge], edges.viaPort[edge])
    return table.intern(source, target, edges.protocol[edge], edges.port[edge], via, 0)
  }

  function extend(): void {
    const { givenAgain } = edges
    if (folded === edges.limit && againFolded === givenAgain.length) return
    for (; againFolded < givenAgain.length; againFolded++) {
      const edge = givenAgain[againFolded]
      if (edge < folded) slotOf[edge] = slotOfEdge(edge)
    }
    if (slotOf.length < edges.limit) slotOf = grown(slotOf, edges.limit)
    for (; folded < edges.limit; folded++) slotOf[folded] = slotOfEdge(folded)
    const newGroups = numbersFrom(groupOrder.length, groups.length)
    if (newGroups.length > 0) groupOrder = withInserted(groupOrder, newGroups, g => groups[g].id)
    sortNewSlots()
  }

  function sortNewSlots(): void {
    const fresh = numbersFrom(order.length + 1, table.limit)
    if (fresh.length === 0) return
    if (fresh.length > 64 + order.length / 16) {
      order = sortSlots(table, groups, vias)
      return
    }
    const { client: source, server: target, protocol, port, via } = table
    order = withInserted(order, fresh, s =>
      edgeIdText(groups[source[s]], groups[target[s]], edgeSuffix(protocol[s], port[s], vias[via[s]])),
    )
  }

  /** Numbers the first slots by their order: who goes through them in order finds them side by side in memory. */
  function numberInOrder(): void {
    const newSlots = new Int32Array(table.limit)
    const sorted = emptyTable()
    const { client, server, protocol, port, via } = table
    for (const slot of order)
      newSlots[slot] = sorted.intern(client[slot], server[slot], protocol[slot], port[slot], via[slot], 0)
    for (let edge = 0; edge < folded; edge++) slotOf[edge] = newSlots[slotOf[edge]]
    for (let i = 0; i < order.length; i++) order[i] = i + 1
    table = sorted
  }

  extend()
  numberInOrder()
  return {
    groupBy: request.groupBy,
    joinsOutside: request.joinsOutside,
    groups,
    vias,
    get slots() {
      return table.limit
    },
    get slotOf() {
      return slotOf
    },
    get source() {
      return table.client
    },
    get target() {
      return table.server
    },
    get protocol() {
      return table.protocol
    },
    get port() {
      return table.port
    },
    get via() {
      return table.via
    },
    get order() {
      return order
    },
    get groupOrder() {
      return groupOrder
    },
    isHidden(slot) {
      const isHiddenEnd = (group: number) => groups[group] === hiddenGroup
      // with a dialled address it was said to a service that may be seen
      return isHiddenEnd(table.client[slot]) && isHiddenEnd(table.server[slot]) && table.via[slot] === 0
    },
    extend,
  }
}

/** A table in which slot 0 is taken. */
function emptyTable(): EdgeTable {
  const table = createEdgeTable(Number.MAX_SAFE_INTEGER)
  table.intern(-1, -1, 1, 0, -1, 0)
  return table
}

function numbersFrom(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
}

const wholeOutside: Group = {
  id: outsideGroupId,
  kind: 'outside',
  name: 'all outside addresses',
  parent: '',
  foundBy: 'address',
}

function grown(old: Int32Array, atLeast: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(old.length * 2, atLeast))
  larger.set(old)
  return larger
}

function sortedIndexes(texts: readonly string[]): number[] {
  return texts.map((_, i) => i).sort((a, b) => compareTexts(texts[a], texts[b]))
}

/** Where each text comes in the order of all of them. */
function ranks(texts: readonly string[]): Int32Array {
  const rank = new Int32Array(texts.length)
  sortedIndexes(texts).forEach((text, i) => {
    rank[text] = i
  })
  return rank
}

/**
 * Slots in the order of their id texts, without building those: the parts are ranked with the separators that follow
 * them, and as no id contains a separator, ordering part by part is ordering the whole.
 */
function sortSlots(
  table: EdgeTable,
  groups: readonly Group[],
  vias: readonly string[],
): Int32Array<ArrayBuffer> {
  const { client: source, server: target, protocol, port, via, limit: slots } = table
  const suffixes = new Map<string, number>()
  const suffixOf = new Int32Array(slots)
  for (let s = 1; s < slots; s++) {
    const text = edgeSuffix(protocol[s], port[s], vias[via[s]])
    const known = suffixes.get(text)
    suffixOf[s] = known ?? suffixes.size
    if (known === undefined) suffixes.set(text, suffixes.size)
  }
  const bySource = ranks(groups.map(g => `${g.id}->`))
  const byTarget = ranks(groups.map(g => `${g.id}#`))
  const bySuffix = ranks([...suffixes.keys()])
  let sorted = Array.from({ length: slots - 1 }, (_, i) => i + 1)
  sorted = countingSort(sorted, suffixes.size, s => bySuffix[suffixOf[s]])
  sorted = countingSort(sorted, groups.length, s => byTarget[target[s]])
  return Int32Array.from(countingSort(sorted, groups.length, s => bySource[source[s]]))
}

function countingSort(items: readonly number[], keys: number, keyOf: (item: number) => number): number[] {
  const starts = new Int32Array(keys + 1)
  for (const item of items) starts[keyOf(item) + 1]++
  for (let k = 0; k < keys; k++) starts[k + 1] += starts[k]
  const sorted = new Array<number>(items.length)
  for (const item of items) sorted[starts[keyOf(item)]++] = item
  return sorted
}
