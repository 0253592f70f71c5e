import type { Group, GroupBy } from '../resolve/entity.ts'
import type { EntityIndex } from '../resolve/entity-index.ts'
import type { EdgeId, EntityId } from './edge-book.ts'
import { createEdgeTable, type EdgeTable } from './edge-table.ts'

/**
 * Edges as an answer shows them: entities folded into groups, and edges that become equal folded into one slot. Slots
 * count from 1 in order of edge id, so they change when edges are added; slot 0 is for edges that are not in use.
 * Valid for one grouping and one state of the names.
 */
export interface Fold {
  readonly groupBy: GroupBy
  readonly groups: readonly Group[]
  readonly slots: number
  readonly slotOf: Int32Array
  /** By slot: group of the client's and of the server's end, protocol, port, number of the dialled address. */
  readonly source: Int32Array
  readonly target: Int32Array
  readonly protocol: Uint8Array
  readonly port: Uint16Array
  readonly via: Int32Array
  readonly vias: readonly string[]
  /** Groups in order of id. */
  readonly groupOrder: readonly number[]
  /** Slots in the order in which their edges came: how rows lie in memory. */
  readonly slotsByAge: Int32Array
  /** Folds edges that were interned since. */
  extend(): void
}

export interface FoldRequest {
  readonly groupBy: GroupBy
  /** Fold all outside addresses into one group. */
  readonly joinsOutside: boolean
  readonly atMs: number
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
  const table = createEdgeTable(Number.MAX_SAFE_INTEGER)
  table.intern(-1, -1, 1, 0, -1, 0) // slot 0
  const groups: Group[] = []
  const groupIndexes = new Map<string, number>()
  const groupOf: number[] = []
  const vias: string[] = ['']
  const viaIndexes = new Map<string, number>()
  // number in the table by edge
  let numberOf = new Int32Array(0)
  let folded = 0
  let slots = numberSlots(table, numberOf, 0, groups, vias)
  let groupOrder: number[] = []

  function groupIndexOf(entity: EntityId): number {
    const known = groupOf[entity]
    if (known !== undefined) return known
    const found = index.group(entity, request.groupBy, request.atMs)
    const group = request.joinsOutside && found.kind === 'outside' ? wholeOutside : found
    let at = groupIndexes.get(group.id)
    if (at === undefined) {
      at = groups.push(group) - 1
      groupIndexes.set(group.id, at)
    }
    groupOf[entity] = at
    return at
  }

  function viaIndexOf(entity: EntityId, port: number): number {
    if (entity < 0) return 0
    const address = index.entity(entity)?.address ?? ''
    // two nodes that call the same address are one answer
    const text = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
    let at = viaIndexes.get(text)
    if (at === undefined) {
      at = vias.push(text) - 1
      viaIndexes.set(text, at)
    }
    return at
  }

  function numberOfEdge(edge: EdgeId): number {
    if (edges.protocol[edge] === 0) return 0
    const source = groupIndexOf(edges.client[edge])
    const target = groupIndexOf(edges.server[edge])
    const via = viaIndexOf(edges.via[edge], edges.viaPort[edge])
    return table.intern(source, target, edges.protocol[edge], edges.port[edge], via, 0)
  }

  function extend(): void {
    if (folded === edges.limit) return
    const groupsBefore = groups.length
    if (numberOf.length < edges.limit) numberOf = grown(numberOf, edges.limit)
    for (; folded < edges.limit; folded++) numberOf[folded] = numberOfEdge(folded)
    if (groups.length > groupsBefore) groupOrder = sortedIndexes(groups.map(g => g.id))
    slots = numberSlots(table, numberOf, folded, groups, vias)
  }

  extend()
  return {
    groupBy: request.groupBy,
    groups,
    vias,
    get slots() {
      return table.limit
    },
    get slotOf() {
      return slots.slotOf
    },
    get source() {
      return slots.source
    },
    get target() {
      return slots.target
    },
    get protocol() {
      return slots.protocol
    },
    get port() {
      return slots.port
    },
    get via() {
      return slots.via
    },
    get groupOrder() {
      return groupOrder
    },
    get slotsByAge() {
      return slots.slotsByAge
    },
    extend,
  }
}

type Slots = Pick<Fold, 'slotOf' | 'source' | 'target' | 'protocol' | 'port' | 'via' | 'slotsByAge'>

/** Numbers folded edges by their order. */
function numberSlots(
  table: EdgeTable,
  numberOf: Int32Array,
  edges: number,
  groups: readonly Group[],
  vias: readonly string[],
): Slots {
  const order = sortSlots(table, groups, vias)
  const slotOfNumber = new Int32Array(table.limit)
  order.forEach((number, i) => {
    slotOfNumber[number] = i + 1
  })
  const bySlot = [0, ...order]
  return {
    slotOf: numberOf.subarray(0, edges).map(number => slotOfNumber[number]),
    source: Int32Array.from(bySlot, n => table.client[n]),
    target: Int32Array.from(bySlot, n => table.server[n]),
    protocol: Uint8Array.from(bySlot, n => table.protocol[n]),
    port: Uint16Array.from(bySlot, n => table.port[n]),
    via: Int32Array.from(bySlot, n => table.via[n]),
    slotsByAge: slotOfNumber.subarray(1),
  }
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
  return texts.map((_, i) => i).sort((a, b) => (texts[a] < texts[b] ? -1 : texts[a] > texts[b] ? 1 : 0))
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
function sortSlots(table: EdgeTable, groups: readonly Group[], vias: readonly string[]): number[] {
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
  return countingSort(sorted, groups.length, s => bySource[source[s]])
}

function countingSort(items: readonly number[], keys: number, keyOf: (item: number) => number): number[] {
  const starts = new Int32Array(keys + 1)
  for (const item of items) starts[keyOf(item) + 1]++
  for (let k = 0; k < keys; k++) starts[k + 1] += starts[k]
  const sorted = new Array<number>(items.length)
  for (const item of items) sorted[starts[keyOf(item)]++] = item
  return sorted
}
