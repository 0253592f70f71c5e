import { counterNames } from './counters.ts'
import { latencyKeys } from './latency-entries.ts'
import { lossPlaceCount } from './open-minute.ts'
import { readSaid } from './said-bytes.ts'
import type { SaidSegment } from './said-segment.ts'
import type { SegmentColumn, SegmentHead } from './segment.ts'
import {
  checksumOf,
  edgeWords,
  entityWords,
  headerWords,
  SegmentFlag,
  segmentHeader,
  segmentMagic,
  segmentVersion,
} from './segment-bytes.ts'
import { type KnownEntity, SegmentMemory } from './segment-memory.ts'
import type { TextTable } from './text-table.ts'

export type SegmentRefusal = 'truncated' | 'not_a_segment' | 'unknown_version' | 'checksum' | 'inconsistent'

/** A segment whose entities and edges are still the bytes' own indexes. */
export interface DecodedSegment {
  readonly head: SegmentHead
  readonly entities: readonly KnownEntity[]
  /** Words of `edgeWords` per edge: client, server, via + 1, protocol << 16 | port, via's port. The first `rows` are those of the rows. */
  readonly edges: Uint32Array
  readonly rows: number
  readonly gauges: Uint32Array
  readonly losses: Float64Array
  readonly columns: readonly SegmentColumn[]
  readonly entryAt: Uint32Array
  readonly entries: Uint16Array
  /** Its edges are indexes, too. */
  readonly said: SaidSegment | undefined
}

export type SegmentDecodeResult =
  | { readonly ok: true; readonly segment: DecodedSegment }
  | { readonly ok: false; readonly reason: SegmentRefusal }

/**
 * Checks everything before it is used: whatever the bytes are, the answer is a sound segment or a reason. With the
 * memory of earlier segments, entities that these were about are the same objects.
 */
export function decodeSegment(bytes: Uint8Array, memory = new SegmentMemory()): SegmentDecodeResult {
  if (bytes.length < headerWords * 4) return { ok: false, reason: 'truncated' }
  const reader = createReader(bytes)
  const field = (name: keyof typeof segmentHeader) => reader.view.getUint32(segmentHeader[name] * 4, true)
  if (field('magic') !== segmentMagic) return { ok: false, reason: 'not_a_segment' }
  if (field('version') !== segmentVersion) return { ok: false, reason: 'unknown_version' }
  if (field('byteLength') !== bytes.length || bytes.length % 4 !== 0)
    return { ok: false, reason: 'truncated' }
  if (field('checksum') !== checksumOf(bytes)) return { ok: false, reason: 'checksum' }
  try {
    return { ok: true, segment: readSections(reader, field, memory) }
  } catch (error) {
    if (error instanceof Inconsistent) return { ok: false, reason: 'inconsistent' }
    throw error
  }
}

class Inconsistent extends Error {}

function check(isTrue: boolean): asserts isTrue {
  if (!isTrue) throw new Inconsistent()
}

interface Reader {
  readonly view: DataView
  /** Each copies `count` values and moves on; refuses to read beyond the end. */
  u8(count: number): Uint8Array<ArrayBuffer>
  u16(count: number): Uint16Array<ArrayBuffer>
  u32(count: number): Uint32Array<ArrayBuffer>
  f64(count: number): Float64Array<ArrayBuffer>
  align(): void
  atEnd(): boolean
}

function createReader(bytes: Uint8Array): Reader {
  let at = headerWords * 4
  const take = (count: number, size: number) => {
    const length = count * size
    check(length <= bytes.length - at)
    at += length
    return bytes.slice(at - length, at).buffer as ArrayBuffer
  }
  return {
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    u8: count => new Uint8Array(take(count, 1)),
    u16: count => new Uint16Array(take(count, 2)),
    u32: count => new Uint32Array(take(count, 4)),
    f64: count => new Float64Array(take(count, 8)),
    align: () => {
      at += (4 - (at % 4)) % 4
    },
    atEnd: () => at === bytes.length,
  }
}

type Field = (name: keyof typeof segmentHeader) => number

function readSections(reader: Reader, field: Field, memory: SegmentMemory): DecodedSegment {
  memory.makeRoom()
  const { texts } = memory
  const head = readHead(field)
  const rows = field('rows')
  const numbers = readStrings(reader, field('strings'), field('stringBytes'), texts)
  const stringAt = (index: number) => {
    check(index < numbers.length)
    return texts.text(numbers[index])
  }
  const entities = readEntities(reader, field('entities'), numbers, memory)
  const edges = readEdges(reader, field('edges'), entities.length)
  check(rows <= field('edges'))
  const gauges = readGauges(reader, field('gauges'), field('edges'))
  check(field('losses') === lossPlaceCount)
  const losses = reader.f64(lossPlaceCount)
  check(losses.every(Number.isSafeInteger))
  const columns = readColumns(reader, field('columns'), rows, stringAt)
  const entryAt = reader.u32(rows + 1)
  const entries = reader.u16(field('entries'))
  reader.align()
  checkEntries(entryAt, entries)
  const said = readSaid(reader, field('edges'), stringAt, check)
  check(reader.atEnd())
  return { head, entities, edges, rows, gauges, losses, columns, entryAt, entries, said }
}

function readHead(field: Field): SegmentHead {
  const minutes = field('minutes')
  const present = field('present')
  check(minutes === 1 || minutes === 10)
  check(present < 2 ** minutes && present > 0 && (field('flags') & 0xffff) < 4)
  // unix minutes until the year 9000: dates that JavaScript can hold
  check(field('fromMinute') < 3_700_000_000)
  return {
    fromMinute: field('fromMinute'),
    minutes,
    partition: field('flags') >>> SegmentFlag.partitionShift,
    number: field('number'),
    isPartial: (field('flags') & SegmentFlag.partial) !== 0,
    isCorrection: (field('flags') & SegmentFlag.correction) !== 0,
    present,
    expected: field('expected'),
    reporting: field('reporting'),
  }
}

/** Their numbers in the table. */
function readStrings(reader: Reader, count: number, byteLength: number, texts: TextTable): Uint32Array {
  const ends = reader.u32(count)
  const bytes = reader.u8(byteLength)
  reader.align()
  const numbers = new Uint32Array(count)
  let from = 0
  for (let i = 0; i < count; i++) {
    const end = ends[i]
    check(end >= from && end <= byteLength)
    numbers[i] = texts.numberOf(bytes, from, end)
    from = end
  }
  return numbers
}

function readEntities(
  reader: Reader,
  count: number,
  numbers: Uint32Array,
  memory: SegmentMemory,
): DecodedSegment['entities'] {
  const words = reader.u32(count * entityWords)
  const entities: KnownEntity[] = []
  for (let i = 0; i < count; i++) {
    const entity = memory.entity(words, i * entityWords, numbers)
    check(entity !== undefined)
    entities.push(entity)
  }
  return entities
}

function readEdges(reader: Reader, count: number, entities: number): Uint32Array {
  const words = reader.u32(count * edgeWords)
  for (let at = 0; at < words.length; at += edgeWords) {
    const protocol = words[at + 3] >>> 16
    check(words[at] < entities && words[at + 1] < entities && words[at + 2] <= entities)
    check((protocol === 1 || protocol === 2) && words[at + 4] <= 0xffff)
  }
  return words
}

function readGauges(reader: Reader, count: number, edges: number): Uint32Array {
  const words = reader.u32(count * 4)
  for (let at = 0; at < words.length; at += 4) check(words[at] < edges)
  return words
}

function readColumns(
  reader: Reader,
  count: number,
  rows: number,
  stringAt: (index: number) => string,
): SegmentColumn[] {
  check(count <= counterNames.length)
  const seen = new Set<number>()
  return Array.from({ length: count }, () => {
    const [name, width, wide] = reader.u32(3)
    check(wide <= rows)
    const counter = counterNames.indexOf(stringAt(name) as (typeof counterNames)[number])
    check(counter >= 0 && !seen.has(counter))
    seen.add(counter)
    const cells = readCells(reader, width, rows)
    reader.align()
    const wideRows = reader.u32(wide)
    const wideValues = reader.f64(wide)
    checkWide(wideRows, wideValues, rows)
    return { counter, cells, wideRows, wideValues }
  })
}

function checkWide(wideRows: Uint32Array, wideValues: Float64Array, rows: number): void {
  let last = -1
  for (let i = 0; i < wideRows.length; i++) {
    check(wideRows[i] > last && wideRows[i] < rows && Number.isSafeInteger(wideValues[i]))
    last = wideRows[i]
  }
}

function readCells(reader: Reader, width: number, rows: number): SegmentColumn['cells'] {
  if (width === 0) return undefined
  if (width === 1) return reader.u8(rows)
  if (width === 2) return reader.u16(rows)
  check(width === 4)
  return reader.u32(rows)
}

function checkEntries(entryAt: Uint32Array, entries: Uint16Array): void {
  check(entryAt[0] === 0 && entryAt[entryAt.length - 1] === entries.length)
  for (let row = 0; row + 1 < entryAt.length; row++) {
    check(entryAt[row + 1] >= entryAt[row])
    let lastKey = -1
    for (let i = entryAt[row]; i < entryAt[row + 1]; i++) {
      const key = entries[i] >> 4
      check(key > lastKey && key < latencyKeys)
      lastKey = key
      if ((entries[i] & 15) === 0) i += 2
      check(i < entryAt[row + 1])
    }
  }
}
