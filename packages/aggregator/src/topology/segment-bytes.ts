import type { Entity } from '../resolve/entity.ts'
import type { EntityKnowledge } from '../resolve/entity-index.ts'
import { identityText, labelsText } from '../resolve/kube-identity.ts'
import { ByteWriter } from './byte-writer.ts'
import { counterNames } from './counters.ts'
import type { EdgeId, EntityId } from './edge-book.ts'
import { writeSaid } from './said-bytes.ts'
import type { Segment, SegmentColumn } from './segment.ts'

/**
 * A segment as bytes: little endian, every section a multiple of four bytes.
 *   header    20 words, see `segmentHeader`
 *   strings   end offset of each string, then all of them in UTF-8
 *   entities  16 words each: kind, seven strings, DNS name and when it was seen (f64), host whose address it is,
 *             what Kubernetes knows of it, its labels, since when it is (f64)
 *   edges     5 words each: client, server, via + 1, protocol << 16 | port, via's port; row r is edge r, then
 *             the edges that only have a gauge, or on which only something was said
 *   gauges    4 words each: edge, client, server, joined
 *   losses    f64 per loss place
 *   columns   name, cell width, wide values; then cells, rows of wide values, wide values (f64)
 *   latencies rows + 1 offsets, then 16-bit entries
 *   said      see `writeSaid`
 * Counters go by name, so that adding one does not change what older bytes mean.
 */
export const segmentHeader = {
  magic: 0,
  version: 1,
  byteLength: 2,
  checksum: 3,
  fromMinute: 4,
  minutes: 5,
  number: 6,
  flags: 7,
  present: 8,
  expected: 9,
  reporting: 10,
  strings: 11,
  stringBytes: 12,
  entities: 13,
  rows: 14,
  edges: 15,
  gauges: 16,
  losses: 17,
  columns: 18,
  entries: 19,
} as const
export const headerWords = 20
export const segmentMagic = 0x47534253 // "SBSG"
/** No release wrote an earlier one. */
export const segmentVersion = 4
/** The upper half of the flags is the partition. */
export const SegmentFlag = { partial: 1, correction: 2, partitionShift: 16 } as const
export const entityWords = 16
export const edgeWords = 5

export interface NamedEdge {
  readonly client: EntityId
  readonly server: EntityId
  readonly via: EntityId
  readonly viaPort: number
  readonly protocol: number
  readonly port: number
}

/** What the bytes say about edges and entities: everything a process needs that has never seen them. */
export interface EdgeNames {
  edge(id: EdgeId): NamedEdge
  entity(id: EntityId): Entity
  knowledge(id: EntityId): EntityKnowledge
}

/** Rows' worth of work that a section of a segment of `rows` rows is, about. */
const sectionShare = 8
/** An entity with its strings takes about as long as a row. */
const entitiesPerStep = 500

/** The bytes, made section by section: each step yields how many rows' worth of work it was. */
export function* encodeInSteps(segment: Segment, names: EdgeNames): Generator<number, Uint8Array> {
  const out = new ByteWriter(headerWords * 4 + segment.edges.length * 160 + 1024)
  const strings = new Map<string, number>()
  const stringOf = (text: string) => {
    const known = strings.get(text)
    if (known !== undefined) return known
    strings.set(text, strings.size)
    return strings.size - 1
  }
  const work = Math.ceil(segment.edges.length / sectionShare)
  const edgeIds = edgesOf(segment)
  const entities = new Map<EntityId, number>()
  const edgeTable = edgeSection(edgeIds, names, entities)
  yield work
  const entitySection = new ByteWriter(entities.size * entityWords * 4)
  let written = 0
  for (const id of entities.keys()) {
    writeEntity(entitySection, names.entity(id), names.knowledge(id), stringOf)
    if (++written % entitiesPerStep === 0) yield entitiesPerStep
  }
  const columnNames = segment.columns.map(c => stringOf(counterNames[c.counter]))
  const saidSection = new ByteWriter(64 * (segment.said?.edges.length ?? 1))
  const places = new Map(segment.said && edgeIds.map((id, i) => [id, i]))
  writeSaid(saidSection, segment.said, edge => places.get(edge)!, stringOf)
  yield work

  out.skip(headerWords * 4)
  const stringBytes = writeStrings(out, [...strings.keys()])
  yield work
  out.bytes(entitySection.finish())
  out.bytes(byteView(edgeTable))
  writeGauges(out, segment, edgeIds)
  out.bytes(byteView(segment.losses))
  for (const [i, column] of segment.columns.entries()) writeColumn(out, column, columnNames[i])
  out.bytes(byteView(segment.entryAt))
  out.bytes(byteView(segment.entries))
  out.align()
  out.bytes(saidSection.finish())
  yield work

  const bytes = out.finish()
  writeHeader(bytes, segment, {
    strings: strings.size,
    stringBytes,
    entities: entities.size,
    edges: edgeIds.length,
  })
  yield work
  return bytes
}

/** Edges of the rows, in their order, then those that only have a gauge or something that was said. */
function edgesOf(segment: Segment): EdgeId[] {
  const ids = Array.from(segment.edges)
  const { open, said } = segment
  if (open.edges.length === 0 && said === undefined) return ids
  const listed = new Set(ids)
  for (const edges of [open.edges, said?.edges ?? []])
    for (const edge of edges) {
      if (listed.has(edge)) continue
      listed.add(edge)
      ids.push(edge)
    }
  return ids
}

function edgeSection(ids: readonly EdgeId[], names: EdgeNames, entities: Map<EntityId, number>): Uint32Array {
  const words = new Uint32Array(ids.length * edgeWords)
  const indexOf = (id: EntityId) => {
    const known = entities.get(id)
    if (known !== undefined) return known
    entities.set(id, entities.size)
    return entities.size - 1
  }
  ids.forEach((id, i) => {
    const { client, server, via, viaPort, protocol, port } = names.edge(id)
    const at = i * edgeWords
    words[at] = indexOf(client)
    words[at + 1] = indexOf(server)
    words[at + 2] = via < 0 ? 0 : indexOf(via) + 1
    words[at + 3] = (protocol << 16) | port
    words[at + 4] = viaPort
  })
  return words
}

function writeEntity(
  out: ByteWriter,
  e: Entity,
  known: EntityKnowledge,
  stringOf: (text: string) => number,
): void {
  out.u32(e.kind === 'process' ? 0 : 1)
  for (const text of [e.host, e.process, e.unit, e.containerId, e.podUid, e.cgroup, e.address])
    out.u32(stringOf(text))
  out.u32(stringOf(known.dns?.name ?? ''))
  out.f64(known.dns?.seenMs ?? 0)
  out.u32(stringOf(known.localTo ?? ''))
  out.u32(stringOf(known.kube ? identityText(known.kube) : ''))
  out.u32(stringOf(known.kube ? labelsText(known.kube.labels) : ''))
  out.f64(e.sinceMs ?? 0)
}

function writeStrings(out: ByteWriter, strings: readonly string[]): number {
  const text = strings.join('')
  const whole = encoder.encode(text)
  // as many bytes as characters: then all are ASCII, and each string is as long as it looks
  const isPlain = whole.length === text.length
  let end = 0
  for (const string of strings) {
    end += isPlain ? string.length : encoder.encode(string).length
    out.u32(end)
  }
  if (isPlain) out.bytes(whole)
  else for (const string of strings) out.bytes(encoder.encode(string))
  out.align()
  return end
}

const encoder = new TextEncoder()

function writeGauges(out: ByteWriter, { open }: Segment, edgeIds: readonly EdgeId[]): void {
  if (open.edges.length === 0) return
  const indexes = new Map(edgeIds.map((id, i) => [id, i]))
  for (let i = 0; i < open.edges.length; i++) {
    out.u32(indexes.get(open.edges[i])!)
    out.u32(open.client[i])
    out.u32(open.server[i])
    out.u32(open.joined[i])
  }
}

function writeColumn(out: ByteWriter, column: SegmentColumn, name: number): void {
  out.u32(name)
  out.u32(column.cells?.BYTES_PER_ELEMENT ?? 0)
  out.u32(column.wideRows.length)
  if (column.cells) out.bytes(byteView(column.cells))
  out.align()
  out.bytes(byteView(column.wideRows))
  out.bytes(byteView(column.wideValues))
}

interface Sizes {
  readonly strings: number
  readonly stringBytes: number
  readonly entities: number
  readonly edges: number
}

function writeHeader(bytes: Uint8Array, segment: Segment, sizes: Sizes): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const flags =
    (segment.isPartial ? SegmentFlag.partial : 0) |
    (segment.isCorrection ? SegmentFlag.correction : 0) |
    (segment.partition << SegmentFlag.partitionShift)
  const fields: { readonly [F in keyof typeof segmentHeader]: number } = {
    magic: segmentMagic,
    version: segmentVersion,
    byteLength: bytes.length,
    checksum: 0,
    fromMinute: segment.fromMinute,
    minutes: segment.minutes,
    number: segment.number,
    flags,
    present: segment.present,
    expected: segment.expected,
    reporting: segment.reporting,
    ...sizes,
    rows: segment.edges.length,
    gauges: segment.open.edges.length,
    losses: segment.losses.length,
    columns: segment.columns.length,
    entries: segment.entries.length,
  }
  for (const [field, value] of Object.entries(fields))
    view.setUint32(segmentHeader[field as keyof typeof segmentHeader] * 4, value, true)
  view.setUint32(segmentHeader.checksum * 4, checksumOf(bytes), true)
}

/**
 * Of all words but the checksum itself, four by four in sums of their own, which a processor works out side by side;
 * every single flipped bit changes it.
 */
export function checksumOf(bytes: Uint8Array): number {
  const words = wordsOf(bytes)
  const own = segmentHeader.checksum
  let [a, b, c, d] = [0x811c9dc5, 0x1b873593, 0xcc9e2d51, 0x38495ab5]
  const whole = words.length & ~3
  for (let i = 0; i < whole; i += 4) {
    a = mixed(a, words[i])
    b = mixed(b, words[i + 1])
    c = mixed(c, words[i + 2])
    d = mixed(d, i + 3 === own ? 0 : words[i + 3])
  }
  for (let i = whole; i < words.length; i++) a = mixed(a, words[i])
  return mixed(mixed(mixed(a, b), c), d) >>> 0
}

/** One to one in both arguments. */
function mixed(h: number, word: number): number {
  const product = Math.imul(h ^ word, 0x9e3779b1)
  return product ^ (product >>> 15)
}

/** Whole words of the bytes: where they lie if they are aligned, otherwise copied. */
function wordsOf(bytes: Uint8Array): Int32Array {
  const whole = bytes.length >>> 2
  if (bytes.byteOffset % 4 === 0) return new Int32Array(bytes.buffer, bytes.byteOffset, whole)
  return new Int32Array(bytes.slice(0, whole * 4).buffer)
}

function byteView(array: Uint8Array | Uint16Array | Uint32Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
