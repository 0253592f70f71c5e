import { byteText, readNameKey } from './body-fields.ts'
import { type BodyRows, rowWord, rowWords, wideWord } from './body-rows.ts'
import { type U32Column, type U64Column, u32ColumnFields, u64ColumnFields } from './columns.ts'
import { isV6, Kind } from './kind.ts'
import { L7Frame } from './l7-frame.ts'
import { batchLimits } from './limits.ts'
import { ProtoWriter } from './proto-writer.ts'

/** The column that is being written. */
const scratch = new Uint32Array(2 * batchLimits.records)

/** What one frame holds beside its head. */
export interface BodyPart {
  readonly recordCount: number
  /** Fields 20, 21 and 32 to 76 of the batch. */
  readonly body: Uint8Array
}

/** A frame's body, as large as the native encoder makes it. */
export const largestBodyBytes = 46 * 1024
/** Of one frame, so that names nobody refers to never crowd out records. */
const nameBytes = 8 * 1024
/** Tag and length of a field. */
const fieldHead = 6

interface Column {
  readonly field: number
  readonly word: number
  readonly wordCount: 1 | 2
}

const columns: readonly Column[] = [
  ...(Object.keys(u32ColumnFields) as U32Column[])
    .filter(name => name !== 'wideAt' && name !== 'wideHigh')
    .map(name => ({ field: u32ColumnFields[name], word: rowWord[name], wordCount: 1 as const })),
  ...(Object.keys(u64ColumnFields) as U64Column[]).map(name => ({
    field: u64ColumnFields[name],
    word: rowWord[name],
    wordCount: 2 as const,
  })),
].sort((left, right) => left.field - right.field)

/** Names by address and text; of equal ones the latest. */
export type Names = Map<string, { readonly address: string; readonly bytes: Uint8Array }>

export function addName(names: Names, bytes: Uint8Array): void {
  const { address, name } = readNameKey(bytes)
  names.set(`${address}\n${name}`, { address, bytes })
}

/**
 * The records in their order as bodies within the limits, each with the owners, names and addresses that it refers to.
 * Undefined if names remain for which there is no room.
 */
export function writeBodies(rows: BodyRows, live: Int32Array, names: Names): BodyPart[] | undefined {
  const pending = [...names.values()]
  const byAddress = new Map<string, Uint8Array[]>()
  for (const { address, bytes } of pending) byAddress.set(address, [...(byAddress.get(address) ?? []), bytes])
  const parts: BodyPart[] = []
  const written = new Set<Uint8Array>()
  let next = 0
  while (next < live.length) {
    const frame = new FrameWriter(rows, byAddress)
    for (const { bytes } of pending)
      if (!written.has(bytes) && frame.takeName(bytes, nameBytes)) written.add(bytes)
    while (next < live.length && frame.take(live[next])) next++
    for (const bytes of frame.names) written.add(bytes)
    parts.push(frame.finish())
  }
  return pending.every(({ bytes }) => written.has(bytes)) ? parts : undefined
}

/** One frame that fills. */
class FrameWriter {
  readonly names = new Set<Uint8Array>()
  readonly #rows: BodyRows
  readonly #byAddress: ReadonlyMap<string, readonly Uint8Array[]>
  readonly #taken: number[] = []
  readonly #owners = new Map<number, number>()
  readonly #addresses = new Map<number, number>()
  readonly #used = new Uint8Array(columns.length)
  #bytesPerRecord = 0
  #partBytes = 0
  #wideCount = 0
  readonly #l7: L7Frame | undefined

  constructor(rows: BodyRows, byAddress: ReadonlyMap<string, readonly Uint8Array[]>) {
    this.#rows = rows
    this.#l7 = rows.l7 === undefined ? undefined : new L7Frame(rows.l7)
    this.#byAddress = byAddress
  }

  takeName(bytes: Uint8Array, limit: number): boolean {
    if (this.names.has(bytes)) return true
    const cost = bytes.length + fieldHead
    if (this.#partBytes + cost > limit || this.names.size >= batchLimits.names) return false
    this.names.add(bytes)
    this.#partBytes += cost
    return true
  }

  /** Takes a record with all it refers to, unless the frame would grow too large; an empty one takes any. */
  take(row: number): boolean {
    const at = row * rowWords
    const { words } = this.#rows
    const names = this.#namesOf(at).filter(bytes => !this.names.has(bytes))
    const newBytes = this.#newColumns(at)
    const partBytes = this.#newParts(at) + names.reduce((sum, bytes) => sum + bytes.length + fieldHead, 0)
    const wides = this.#widesOf(at)
    const bytes = this.#bytes(1, newBytes, partBytes, wides) + (this.#l7?.bytesWith(row) ?? 0)
    const isFull = this.#taken.length >= batchLimits.records || bytes > largestBodyBytes
    if (isFull && this.#taken.length > 0) return false
    columns.forEach(({ word, wordCount }, c) => {
      if (words[at + word] !== 0 || (wordCount === 2 && words[at + word + 1] !== 0)) this.#used[c] = 1
    })
    for (const bytes of names) this.names.add(bytes)
    this.#note(this.#owners, words[at + rowWord.owner])
    if (isV6(words[at + rowWord.kind])) {
      this.#note(this.#addresses, words[at + rowWord.localAddress])
      this.#note(this.#addresses, words[at + rowWord.remoteAddress])
    }
    this.#partBytes += partBytes
    this.#bytesPerRecord += newBytes
    this.#wideCount += wides
    this.#l7?.take(row, this.#taken.length)
    this.#taken.push(at)
    return true
  }

  finish(): BodyPart {
    const writer = new ProtoWriter(this.#bytes(0, 0, 0, 0))
    const { owners, addresses } = this.#rows
    for (const number of this.#owners.keys()) writer.bytesField(20, owners.list[number])
    for (const name of this.names) writer.bytesField(21, name)
    for (const column of columns) this.#writeColumn(writer, column)
    this.#writeWide(writer)
    if (this.#addresses.size > 0) {
      const bytes = new Uint8Array(16 * this.#addresses.size)
      let at = 0
      for (const number of this.#addresses.keys()) {
        bytes.set(addresses.list[number], at)
        at += 16
      }
      writer.bytesField(62, bytes)
    }
    this.#l7?.write(writer)
    return { recordCount: this.#taken.length, body: writer.finish() }
  }

  /** Of the body with so much more in it, at most. */
  #bytes(records: number, bytesPerRecord: number, partBytes: number, wides: number): number {
    const heads = fieldHead * (columns.length + 3)
    const perRecord = this.#bytesPerRecord + bytesPerRecord
    const parts = this.#partBytes + partBytes + 8 * (this.#wideCount + wides)
    return heads + parts + (this.#taken.length + records) * perRecord
  }

  #note(numbers: Map<number, number>, number: number): void {
    if (!numbers.has(number)) numbers.set(number, numbers.size)
  }

  /** Bytes per record of the columns that this record is the first to use. */
  #newColumns(at: number): number {
    const { words } = this.#rows
    let bytes = 0
    for (let c = 0; c < columns.length; c++) {
      const { word, wordCount } = columns[c]
      if (this.#used[c] === 1) continue
      if (words[at + word] !== 0 || (wordCount === 2 && words[at + word + 1] !== 0)) bytes += 4 * wordCount
    }
    return bytes
  }

  #newParts(at: number): number {
    const { words, owners } = this.#rows
    const owner = words[at + rowWord.owner]
    let bytes = this.#owners.has(owner) ? 0 : owners.list[owner].length + fieldHead
    if (!isV6(words[at + rowWord.kind])) return bytes
    for (const name of ['localAddress', 'remoteAddress'] as const)
      if (!this.#addresses.has(words[at + rowWord[name]])) bytes += 16
    return bytes
  }

  #widesOf(at: number): number {
    let count = 0
    for (let delta = 0; delta < 8; delta++) if (this.#rows.words[at + wideWord + delta] !== 0) count++
    return count
  }

  /** A record that tells of a flow anew brings the names of its remote address along, as the native encoder has it. */
  #namesOf(at: number): readonly Uint8Array[] {
    if (this.#byAddress.size === 0) return []
    const { words, addresses } = this.#rows
    const kind = words[at + rowWord.kind]
    if ((kind & (Kind.first | Kind.announcedAgain)) === 0) return []
    const remote = words[at + rowWord.remoteAddress]
    const bytes = isV6(kind)
      ? addresses.list[remote]
      : Uint8Array.of(remote, remote >>> 8, remote >>> 16, remote >>> 24)
    return this.#byAddress.get(byteText(bytes)) ?? []
  }

  #writeColumn(writer: ProtoWriter, { field, word, wordCount }: Column): void {
    const { words } = this.#rows
    const column = scratch.subarray(0, wordCount * this.#taken.length)
    this.#taken.forEach((at, i) => {
      const value = this.#valueOf(at, field, words[at + word])
      column[wordCount * i] = value
      if (wordCount === 2) column[2 * i + 1] = words[at + word + 1]
    })
    writer.columnField(field, column)
  }

  /** Numbers of the common tables become those of this frame. */
  #valueOf(at: number, field: number, value: number): number {
    if (field === u32ColumnFields.owner) return this.#owners.get(value)!
    const isAddress = field === u32ColumnFields.localAddress || field === u32ColumnFields.remoteAddress
    if (isAddress && isV6(this.#rows.words[at + rowWord.kind])) return this.#addresses.get(value)!
    return value
  }

  #writeWide(writer: ProtoWriter): void {
    if (this.#wideCount === 0) return
    const at = new Uint32Array(this.#wideCount)
    const high = new Uint32Array(this.#wideCount)
    let count = 0
    this.#taken.forEach((row, i) => {
      for (let delta = 0; delta < 8; delta++) {
        const value = this.#rows.words[row + wideWord + delta]
        if (value === 0) continue
        at[count] = (i << 8) | (u32ColumnFields.bytesSent + delta)
        high[count++] = value
      }
    })
    writer.wordsField(u32ColumnFields.wideAt, at)
    writer.wordsField(u32ColumnFields.wideHigh, high)
  }
}
