import type { BodyFields } from './body-fields.ts'
import { byteText } from './body-fields.ts'
import { type U32Column, type U64Column, u32ColumnFields, u64ColumnFields } from './columns.ts'
import { isV6, Kind, State, stateOf } from './kind.ts'
import type { L7Rows } from './l7-rows.ts'

type NarrowColumn = Exclude<U32Column, 'wideAt' | 'wideHigh'>

const narrowColumns = (Object.keys(u32ColumnFields) as U32Column[]).filter(
  (name): name is NarrowColumn => name !== 'wideAt' && name !== 'wideHigh',
)
const longColumns = Object.keys(u64ColumnFields) as U64Column[]
const deltaCount = 8
const firstDeltaField = u32ColumnFields.bytesSent

/** Words of one record: a word per 32-bit column, two per 64-bit column, the high halves of the eight deltas. */
export const rowWords = narrowColumns.length + 2 * longColumns.length + deltaCount

/** Where a column's word lies in a row; the low one of a 64-bit column. */
export const rowWord = Object.fromEntries([
  ...narrowColumns.map((name, index) => [name, index]),
  ...longColumns.map((name, index) => [name, narrowColumns.length + 2 * index]),
]) as { readonly [C in NarrowColumn | U64Column]: number }

/** Where the high half of the first delta lies; the other seven follow. */
export const wideWord = narrowColumns.length + 2 * longColumns.length

/** Records of several bodies with common tables of owners, names and addresses; indexes are into those. */
export interface BodyRows {
  readonly words: Uint32Array
  count: number
  readonly owners: Interned
  readonly addresses: Interned
  /** What was said on them; undefined where nothing was. */
  readonly l7: L7Rows | undefined
}

/** Stretches of bytes by number, each kept once. */
export class Interned {
  readonly list: Uint8Array[] = []
  readonly #numbers = new Map<string, number>()

  number(bytes: Uint8Array): number {
    const key = byteText(bytes)
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    this.#numbers.set(key, this.list.length)
    return this.list.push(bytes) - 1
  }
}

/** `words` is used if it is large enough, and then holds zeros. */
export function createBodyRows(capacity: number, words?: Uint32Array, l7?: L7Rows): BodyRows {
  const fits = words !== undefined && words.length >= capacity * rowWords
  return {
    words: fits ? words.fill(0, 0, capacity * rowWords) : new Uint32Array(capacity * rowWords),
    count: 0,
    owners: new Interned(),
    addresses: new Interned(),
    l7,
  }
}

/** Adds a body's records behind the others, which must leave room for them. */
export function appendRows(rows: BodyRows, fields: BodyFields, recordCount: number): void {
  const { words } = rows
  const first = rows.count * rowWords
  for (const name of narrowColumns) {
    const column = checkedColumn(fields, name, recordCount)
    if (column === undefined) continue
    for (let i = 0; i < recordCount; i++) words[first + i * rowWords + rowWord[name]] = column[i]
  }
  for (const name of longColumns) {
    const column = checkedColumn(fields, name, 2 * recordCount)
    if (column === undefined) continue
    for (let i = 0; i < recordCount; i++) {
      words[first + i * rowWords + rowWord[name]] = column[2 * i]
      words[first + i * rowWords + rowWord[name] + 1] = column[2 * i + 1]
    }
  }
  appendWide(words, first, fields)
  renumber(rows, first, fields, recordCount)
  rows.count += recordCount
}

function checkedColumn(
  fields: BodyFields,
  name: U32Column | U64Column,
  wordCount: number,
): Uint32Array | undefined {
  const column = fields.column(name)
  if (column !== undefined && column.length !== wordCount)
    throw new RangeError(`column ${name} of a frame has ${column.length} words instead of ${wordCount}`)
  return column
}

function appendWide(words: Uint32Array, first: number, fields: BodyFields): void {
  const at = fields.column('wideAt')?.slice()
  const high = fields.column('wideHigh')
  if (at === undefined || high === undefined) return
  for (let i = 0; i < at.length; i++) {
    words[first + (at[i] >>> 8) * rowWords + wideWord + (at[i] & 0xff) - firstDeltaField] = high[i]
  }
}

/** Owners and IPv6 addresses get their numbers in the common tables. */
function renumber(rows: BodyRows, first: number, fields: BodyFields, recordCount: number): void {
  const { words } = rows
  const owners = fields.owners.map(owner => rows.owners.number(owner))
  const addresses: number[] = []
  for (let at = 0; at < fields.v6Addresses.length; at += 16)
    addresses.push(rows.addresses.number(fields.v6Addresses.subarray(at, at + 16)))
  for (let i = 0; i < recordCount; i++) {
    const row = first + i * rowWords
    words[row + rowWord.owner] = numberOf(owners, words[row + rowWord.owner])
    if (!isV6(words[row + rowWord.kind])) continue
    words[row + rowWord.localAddress] = numberOf(addresses, words[row + rowWord.localAddress])
    words[row + rowWord.remoteAddress] = numberOf(addresses, words[row + rowWord.remoteAddress])
  }
}

function numberOf(numbers: readonly number[], index: number): number {
  const number = numbers[index]
  if (number === undefined) throw new RangeError('a record of a frame refers to what is not in it')
  return number
}

const sameInBoth = [
  'flowId',
  'diallerIsn',
  'acceptorIsn',
  'networkNamespace',
  'localAddress',
  'remoteAddress',
  'ports',
  'owner',
] as const
/** Bits of `kind` that may differ from one reading of a flow to the next; all others say how it is known. */
const readingBits =
  (Kind.stateMask << Kind.stateShift) |
  (Kind.reasonMask << Kind.reasonShift) |
  Kind.first |
  Kind.quiet |
  Kind.announcedAgain |
  (Kind.l7Mask << Kind.l7Shift)

/**
 * Joins the record at word `b` into the earlier one at `a`, if together they say the same as apart: one flow, known in
 * the same way, `a` open, and `b` beginning where `a` ended. False, and nothing changed, if not.
 */
export function joinRows(words: Uint32Array, a: number, b: number): boolean {
  if (!areAdjacent(words, a, b)) return false
  const kindA = words[a + rowWord.kind]
  const kindB = words[b + rowWord.kind]
  const announced = kindA & kindB & Kind.announcedAgain
  const ageMs = joinedAge(words, a, b)
  addDeltas(words, a, b)
  for (const name of ['srttUs', 'minRttUs'] as const) {
    if (words[b + rowWord[name]] !== 0) words[a + rowWord[name]] = words[b + rowWord[name]]
  }
  for (const name of readings) words[a + rowWord[name]] = words[b + rowWord[name]]
  for (const name of totals) {
    words[a + rowWord[name]] = words[b + rowWord[name]]
    words[a + rowWord[name] + 1] = words[b + rowWord[name] + 1]
  }
  words[a + rowWord.ageMs] = ageMs
  words[a + rowWord.kind] = ((kindB & ~Kind.announcedAgain) | (kindA & Kind.first) | announced) >>> 0
  return true
}

const readings = [
  'atMs',
  'dataSegmentsSentTotal',
  'dataSegmentsReceivedTotal',
  'retransmittedSegmentsTotal',
] as const
const totals = ['bytesSentTotal', 'bytesReceivedTotal'] as const

function areAdjacent(words: Uint32Array, a: number, b: number): boolean {
  const kindA = words[a + rowWord.kind]
  const kindB = words[b + rowWord.kind]
  if (((kindA ^ kindB) & ~readingBits) !== 0) return false
  if (stateOf(kindA) !== State.open || (kindB & Kind.first) !== 0) return false
  if (stateOf(kindB) !== State.open && stateOf(kindB) !== State.closed) return false
  if (words[b + rowWord.handshakeUs] !== 0) return false
  for (const name of sameInBoth) if (words[a + rowWord[name]] !== words[b + rowWord[name]]) return false
  if (words[a + rowWord.flowId + 1] !== words[b + rowWord.flowId + 1]) return false
  return continues(words, a, b, 'bytesSentTotal', 0) && continues(words, a, b, 'bytesReceivedTotal', 1)
}

/** Total of b = total of a + delta of b, modulo 2^64. */
function continues(words: Uint32Array, a: number, b: number, total: U64Column, delta: number): boolean {
  const low = words[a + rowWord[total]] + words[b + rowWord.bytesSent + delta]
  const carry = low > 0xffff_ffff ? 1 : 0
  const high = words[a + rowWord[total] + 1] + words[b + wideWord + delta] + carry
  return low >>> 0 === words[b + rowWord[total]] && high >>> 0 === words[b + rowWord[total] + 1]
}

/** The flow keeps the earlier of the two times at which it says that it was opened. */
function joinedAge(words: Uint32Array, a: number, b: number): number {
  const atMs = words[b + rowWord.atMs]
  const openedByA = words[a + rowWord.atMs] - words[a + rowWord.ageMs]
  return Math.min(0xffff_ffff, Math.max(words[b + rowWord.ageMs], atMs - openedByA))
}

function addDeltas(words: Uint32Array, a: number, b: number): void {
  for (let delta = 0; delta < deltaCount; delta++) {
    const low = words[a + rowWord.bytesSent + delta] + words[b + rowWord.bytesSent + delta]
    words[a + rowWord.bytesSent + delta] = low
    words[a + wideWord + delta] += words[b + wideWord + delta] + (low > 0xffff_ffff ? 1 : 0)
  }
}
