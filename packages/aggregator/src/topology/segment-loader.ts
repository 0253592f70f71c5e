import type { EntityIndex } from '../resolve/entity-index.ts'
import type { EdgeTable } from './edge-table.ts'
import type { SaidSegment } from './said-segment.ts'
import { narrowest } from './said-segment.ts'
import type { OpenGauges, Segment, SegmentHead } from './segment.ts'
import type { SegmentArchive } from './segment-archive.ts'
import { edgeWords } from './segment-bytes.ts'
import { type DecodedSegment, decodeSegment, type SegmentRefusal } from './segment-decode.ts'
import { SegmentMemory } from './segment-memory.ts'

export type LoadResult =
  | { readonly ok: true; readonly segment: Segment }
  | { readonly ok: false; readonly reason: LoadRefusal }

export type LoadRefusal =
  | SegmentRefusal
  | 'cardinality_cap'
  | 'already_loaded'
  | 'already_merged'
  | 'other_partition'

export interface SegmentLoaderDeps {
  readonly index: EntityIndex
  readonly edges: EdgeTable
  readonly archive: SegmentArchive
  readonly onLoaded: (segment: Segment) => void
}

/** Brings segments of an earlier process into this one: its entities and edges get this process' numbers. */
export interface SegmentLoader {
  /** With a partition, only a part of one of its minutes is taken, and only while its minute can be added to. */
  load(bytes: Uint8Array, partition?: number): LoadResult
  refused(): Readonly<Record<string, number>>
}

export function createSegmentLoader({ index, edges, archive, onLoaded }: SegmentLoaderDeps): SegmentLoader {
  const refused: Record<string, number> = {}
  const memory = new SegmentMemory()

  function refuse(reason: LoadRefusal): LoadResult {
    refused[reason] = (refused[reason] ?? 0) + 1
    return { ok: false, reason }
  }

  /** This process' edge ids by the bytes' own indexes; undefined at a cap. */
  function internEdges(decoded: DecodedSegment): Uint32Array | undefined {
    const { head } = decoded
    const endMs = (head.fromMinute + head.minutes) * 60_000
    const entities = decoded.entities.map(({ entity, known }) => {
      const id = index.ofEntity(entity)
      if (id >= 0) index.recall(id, known, Math.min(endMs, head.fromMinute * 60_000))
      return id
    })
    const words = decoded.edges
    const ids = new Uint32Array(words.length / edgeWords)
    let id = -1
    for (let i = 0; i < ids.length; i++) {
      const at = i * edgeWords
      const client = entities[words[at]]
      const server = entities[words[at + 1]]
      const via = words[at + 2] === 0 ? -1 : entities[words[at + 2] - 1]
      const kind = words[at + 3]
      if (client < 0 || server < 0) return undefined
      id = edges.internAfter(id, client, server, kind >>> 16, kind & 0xffff, via, words[at + 4])
      if (id < 0) return undefined
      ids[i] = id
    }
    return ids
  }

  return {
    load(bytes, partition) {
      const result = decodeSegment(bytes, memory)
      if (!result.ok) return refuse(result.reason)
      const decoded = result.segment
      const { head } = decoded
      if (partition !== undefined && (head.partition !== partition || head.minutes !== 1))
        return refuse('other_partition')
      if (partition !== undefined && archive.isMergedOnly(head.fromMinute)) return refuse('already_merged')
      if (isLoaded(archive, head)) return refuse('already_loaded')
      const ids = internEdges(decoded)
      if (!ids) return refuse('cardinality_cap')
      if (hasRepeated(ids)) return refuse('inconsistent')
      const said = decoded.said && adoptSaid(decoded.said, ids)
      const segment = { ...adopt(decoded, ids), ...(said && { said }) }
      archive.add(segment)
      onLoaded(segment)
      return { ok: true, segment }
    },
    refused: () => ({ ...refused }),
  }
}

function isLoaded(archive: SegmentArchive, { fromMinute, minutes, partition, number }: SegmentHead): boolean {
  if (minutes > 1) return archive.hasBlock(fromMinute)
  return archive.parts(fromMinute).some(p => p.partition === partition && p.number === number)
}

function hasRepeated(ids: Uint32Array): boolean {
  if (isRising(ids)) return false
  const sorted = ids.slice().sort()
  for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) return true
  return false
}

function isRising(ids: Uint32Array): boolean {
  for (let i = 1; i < ids.length; i++) if (ids[i] <= ids[i - 1]) return false
  return true
}

/** The segment with its rows in order of this process' edge ids. */
function adopt(decoded: DecodedSegment, ids: Uint32Array): Segment {
  const { rows, entryAt, entries, columns, losses } = decoded
  const idsOfRows = ids.subarray(0, rows)
  const open = adoptGauges(decoded.gauges, ids)
  if (isRising(idsOfRows))
    return { ...decoded.head, edges: idsOfRows.slice(), columns, entryAt, entries, open, losses }
  const order = orderOf(idsOfRows)
  const rowAt = new Uint32Array(rows)
  const newEntryAt = new Uint32Array(rows + 1)
  const newEntries = new Uint16Array(entries.length)
  for (let at = 0; at < rows; at++) {
    const row = order[at]
    rowAt[row] = at
    let to = newEntryAt[at]
    for (let from = entryAt[row]; from < entryAt[row + 1]; from++) newEntries[to++] = entries[from]
    newEntryAt[at + 1] = to
  }
  return {
    ...decoded.head,
    edges: Uint32Array.from(order, row => ids[row]),
    columns: columns.map(c => ({
      ...c,
      cells: reordered(c.cells, order),
      wideRows: c.wideRows.map(r => rowAt[r]),
    })),
    entryAt: newEntryAt,
    entries: newEntries,
    open,
    losses,
  }
}

/** Rows in order of this process' edge ids. */
function adoptSaid(said: SaidSegment, ids: Uint32Array): SaidSegment {
  const edges = said.edges.map(index => ids[index])
  if (isRisingOrEqual(edges)) return { ...said, edges }
  const order = orderOf(edges)
  const column = (of: SaidSegment['operation']) => narrowest(Float64Array.from(order, row => of[row]))
  const entryAt = new Uint32Array(order.length + 1)
  const entries = new Uint16Array(said.entries.length)
  order.forEach((row, at) => {
    const taken = said.entries.subarray(said.entryAt[row], said.entryAt[row + 1])
    entries.set(taken, entryAt[at])
    entryAt[at + 1] = entryAt[at] + taken.length
  })
  return {
    operations: said.operations,
    edges: Uint32Array.from(order, row => edges[row]),
    operation: column(said.operation),
    status: Uint32Array.from(order, row => said.status[row]),
    flags: Uint8Array.from(order, row => said.flags[row]),
    sums: said.sums.map(column),
    entryAt,
    entries,
  }
}

function isRisingOrEqual(ids: Uint32Array): boolean {
  for (let i = 1; i < ids.length; i++) if (ids[i] < ids[i - 1]) return false
  return true
}

/** Rows in order of their ids. Both together fit a whole number, and numbers sort without a comparison function. */
function orderOf(ids: Uint32Array): Uint32Array {
  const keys = new Float64Array(ids.length)
  for (let row = 0; row < ids.length; row++) keys[row] = ids[row] * ids.length + row
  keys.sort()
  return Uint32Array.from(keys, key => key % ids.length)
}

function reordered<C extends Uint8Array | Uint16Array | Uint32Array>(
  cells: C | undefined,
  order: Uint32Array,
): C | undefined {
  if (!cells) return undefined
  const moved = cells.slice() as C
  for (let at = 0; at < order.length; at++) moved[at] = cells[order[at]]
  return moved
}

function adoptGauges(words: Uint32Array, ids: Uint32Array): OpenGauges {
  const count = words.length / 4
  const column = (of: number) => {
    const values = new Uint32Array(count)
    for (let i = 0; i < count; i++) values[i] = words[i * 4 + of]
    return values
  }
  const edges = column(0)
  for (let i = 0; i < count; i++) edges[i] = ids[edges[i]]
  return { edges, client: column(1), server: column(2), joined: column(3) }
}
