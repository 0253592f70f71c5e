import type { ByteWriter } from './byte-writer.ts'
import { latencyKeys } from './latency-entries.ts'
import { SaidFlag, saidSumCount } from './said-rows.ts'
import type { SaidColumn, SaidSegment } from './said-segment.ts'

/**
 * What was said, as a section of a segment's bytes:
 *   counts      operations, rows, entries
 *   operations  protocol, name, host (strings of the segment) each
 *   rows        edge (index in the segment's table), status; flags as bytes
 *   columns     operation and each sum: width in bytes, then cells (f64 where the width is 8)
 *   times       rows + 1 offsets, then 16-bit entries
 */
export function writeSaid(
  out: ByteWriter,
  said: SaidSegment | undefined,
  indexOf: (edge: number) => number,
  stringOf: (text: string) => number,
): void {
  out.u32(said?.operations.length ?? 0)
  out.u32(said?.edges.length ?? 0)
  out.u32(said?.entries.length ?? 0)
  if (said === undefined) return
  for (const { protocol, name, host } of said.operations) {
    out.u32(protocol)
    out.u32(stringOf(name))
    out.u32(stringOf(host))
  }
  out.bytes(byteView(said.edges.map(indexOf)))
  out.bytes(byteView(said.status))
  out.bytes(said.flags)
  out.align()
  for (const column of [said.operation, ...said.sums]) {
    out.u32(column.BYTES_PER_ELEMENT)
    out.bytes(byteView(column))
    out.align()
  }
  out.bytes(byteView(said.entryAt))
  out.bytes(byteView(said.entries))
  out.align()
}

/** What a section is read with; each call moves on, and throws beyond the end. */
export interface SaidReader {
  u8(count: number): Uint8Array
  u16(count: number): Uint16Array
  u32(count: number): Uint32Array
  f64(count: number): Float64Array
  align(): void
}

/** As it was written: edges are indexes. `check` throws, and `stringAt` where there is no such string. Undefined where nothing was said. */
export function readSaid(
  reader: SaidReader,
  edgeCount: number,
  stringAt: (index: number) => string,
  check: (isTrue: boolean) => asserts isTrue,
): SaidSegment | undefined {
  const [operationCount, rows, entryCount] = reader.u32(3)
  if (rows === 0) {
    check(operationCount === 0 && entryCount === 0)
    return undefined
  }
  const words = reader.u32(3 * operationCount)
  const operations = Array.from({ length: operationCount }, (_, i) => {
    const [protocol, name, host] = words.subarray(3 * i, 3 * i + 3)
    check(protocol >= 1 && protocol < 32)
    return { protocol, name: stringAt(name), host: stringAt(host) }
  })
  const edges = reader.u32(rows)
  const status = reader.u32(rows)
  const flags = reader.u8(rows)
  reader.align()
  check(
    edges.every(edge => edge < edgeCount) && flags.every(bits => bits <= (SaidFlag.mask | SaidFlag.server)),
  )
  const [operation, ...sums] = Array.from({ length: 1 + saidSumCount }, () => readColumn(reader, rows, check))
  check(operation.every(number => Number.isInteger(number) && number >= 0 && number < operationCount))
  const entryAt = reader.u32(rows + 1)
  const entries = reader.u16(entryCount)
  reader.align()
  checkTimes(entryAt, entries, check)
  return { operations, edges, operation, status, flags, sums, entryAt, entries }
}

function readColumn(
  reader: SaidReader,
  rows: number,
  check: (isTrue: boolean) => asserts isTrue,
): SaidColumn {
  const [width] = reader.u32(1)
  check(width === 1 || width === 2 || width === 4 || width === 8)
  const column = [reader.u8, reader.u16, reader.u32, reader.f64][Math.log2(width)](rows)
  reader.align()
  // a hostile collector can drive sums beyond 2^53, where they are no longer exact, and must not cost us the segment
  check(width < 8 || column.every(Number.isInteger))
  return column
}

function checkTimes(
  entryAt: Uint32Array,
  entries: Uint16Array,
  check: (isTrue: boolean) => asserts isTrue,
): void {
  check(entryAt[0] === 0 && entryAt[entryAt.length - 1] === entries.length)
  for (let row = 0; row + 1 < entryAt.length; row++) {
    check(entryAt[row + 1] >= entryAt[row])
    let last = -1
    for (let i = entryAt[row]; i < entryAt[row + 1]; i++) {
      const slot = entries[i] >> 4
      check(slot > last && slot < latencyKeys / 8)
      last = slot
      if ((entries[i] & 15) === 0) i += 2
      check(i < entryAt[row + 1])
    }
  }
}

function byteView(array: SaidColumn): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
