import type { EntityIndex } from '../resolve/entity-index.ts'
import type { EdgeTable } from './edge-table.ts'
import type { OpenGauges, Segment } from './segment.ts'
import type { SegmentArchive } from './segment-archive.ts'
import { edgeWords } from './segment-bytes.ts'
import { type DecodedSegment, decodeSegment, type SegmentRefusal } from './segment-decode.ts'

export type LoadResult =
  | { readonly ok: true; readonly segment: Segment }
  | { readonly ok: false; readonly reason: LoadRefusal }

export type LoadRefusal = SegmentRefusal | 'cardinality_cap' | 'already_loaded'

export interface SegmentLoaderDeps {
  readonly index: EntityIndex
  readonly edges: EdgeTable
  readonly archive: SegmentArchive
  readonly onLoaded: (segment: Segment) => void
}

/** Brings segments of an earlier process into this one: its entities and edges get this process' numbers. */
export interface SegmentLoader {
  load(bytes: Uint8Array): LoadResult
  refused(): Readonly<Record<string, number>>
}

export function createSegmentLoader({ index, edges, archive, onLoaded }: SegmentLoaderDeps): SegmentLoader {
  const refused: Record<string, number> = {}

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
    const ids = new Uint32Array(decoded.edges.length / edgeWords)
    for (let i = 0; i < ids.length; i++) {
      const [client, server, via, kind, viaPort] = decoded.edges.subarray(i * edgeWords, (i + 1) * edgeWords)
      const viaEntity = via === 0 ? -1 : entities[via - 1]
      if (entities[client] < 0 || entities[server] < 0) return undefined
      const id = edges.intern(
        entities[client],
        entities[server],
        kind >>> 16,
        kind & 0xffff,
        viaEntity,
        viaPort,
      )
      if (id < 0) return undefined
      ids[i] = id
    }
    return ids
  }

  return {
    load(bytes) {
      const result = decodeSegment(bytes)
      if (!result.ok) return refuse(result.reason)
      const decoded = result.segment
      const { head } = decoded
      if (isLoaded(archive, head.fromMinute, head.minutes, head.number)) return refuse('already_loaded')
      const ids = internEdges(decoded)
      if (!ids) return refuse('cardinality_cap')
      if (new Set(ids).size !== ids.length) return refuse('inconsistent')
      const segment = adopt(decoded, ids)
      archive.add(segment)
      onLoaded(segment)
      return { ok: true, segment }
    },
    refused: () => ({ ...refused }),
  }
}

function isLoaded(archive: SegmentArchive, minute: number, minutes: number, number: number): boolean {
  if (minutes > 1) return archive.hasBlock(minute)
  return archive.parts(minute).some(p => p.number === number)
}

/** The segment with its rows in order of this process' edge ids. */
function adopt(decoded: DecodedSegment, ids: Uint32Array): Segment {
  const { rows, entryAt, entries, columns, gauges } = decoded
  const order = Array.from({ length: rows }, (_, r) => r).sort((a, b) => ids[a] - ids[b])
  const rowAt = new Uint32Array(rows)
  order.forEach((row, at) => {
    rowAt[row] = at
  })
  const newEntryAt = new Uint32Array(rows + 1)
  const newEntries = new Uint16Array(entries.length)
  order.forEach((row, at) => {
    newEntries.set(entries.subarray(entryAt[row], entryAt[row + 1]), newEntryAt[at])
    newEntryAt[at + 1] = newEntryAt[at] + entryAt[row + 1] - entryAt[row]
  })
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
    open: adoptGauges(gauges, ids),
    losses: decoded.losses,
  }
}

function reordered<C extends Uint8Array | Uint16Array | Uint32Array>(
  cells: C | undefined,
  order: readonly number[],
): C | undefined {
  if (!cells) return undefined
  const moved = cells.slice() as C
  for (let at = 0; at < order.length; at++) moved[at] = cells[order[at]]
  return moved
}

function adoptGauges(words: Uint32Array, ids: Uint32Array): OpenGauges {
  const count = words.length / 4
  const column = (of: number) => Uint32Array.from({ length: count }, (_, i) => words[i * 4 + of])
  return { edges: column(0).map(i => ids[i]), client: column(1), server: column(2), joined: column(3) }
}
