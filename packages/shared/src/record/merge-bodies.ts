import { readBodyFields } from './body-fields.ts'
import { appendRows, type BodyRows, createBodyRows, joinRows, rowWord, rowWords } from './body-rows.ts'
import { addName, type BodyPart, largestBodyBytes, type Names, writeBodies } from './body-writer.ts'
import { appendL7Rows, canJoinL7, createL7Rows, foldL7, joinL7 } from './l7-rows.ts'

/** Fewer but larger bodies are no gain by themselves. */
const worthwhile = 15 / 16

/**
 * Joins adjacent records of one flow over several bodies of one partition and minute, given in order. What they add up
 * to per flow and minute stays the same, and so does what was said on it; what goes is that it was read in between. Answers fewer bytes than it was
 * given, or undefined if there is nothing to gain. Throws a RangeError for a body that our encoder can't have made.
 * Some 150 bytes of memory per record while it works: `workspace`, if that is large enough.
 */
export function mergeBodies(parts: readonly BodyPart[], workspace?: Uint32Array): BodyPart[] | undefined {
  const records = parts.reduce((sum, part) => sum + part.recordCount, 0)
  const bodies = parts.map(({ body }) => readBodyFields(body))
  const rows = createBodyRows(records, workspace, createL7Rows(bodies, records))
  const names: Names = new Map()
  bodies.forEach((fields, index) => {
    for (const name of fields.names) addName(names, name)
    const { recordCount } = parts[index]
    if (rows.l7 !== undefined) appendL7Rows(rows.l7, fields, rows.count, recordCount)
    appendRows(rows, fields, recordCount)
  })
  const live = joinAll(rows)
  if (rows.l7 !== undefined) for (const row of live) foldL7(rows.l7, row)
  const areLarge = bytesOf(parts) > (parts.length * largestBodyBytes) / 4
  if (live.length > worthwhile * records && areLarge) return undefined
  const merged = writeBodies(rows, live, names)
  return merged !== undefined && bytesOf(merged) < worthwhile * bytesOf(parts) ? merged : undefined
}

/** Words of memory that merging so many records takes. */
export function mergeWorkspace(records: number): Uint32Array {
  return new Uint32Array(records * rowWords)
}

/** Rows that are left, in order. A flow's rows keep their order: what can't be joined begins anew. */
function joinAll(rows: BodyRows): Int32Array {
  const { words, count } = rows
  const live = new Int32Array(count)
  const slots = slotsFor(count)
  const mask = slots.length - 1
  let liveCount = 0
  for (let row = 0; row < count; row++) {
    const at = row * rowWords
    let slot = hashOf(words, at) & mask
    while (slots[slot] !== 0 && !isSameFlow(words, (slots[slot] - 1) * rowWords, at)) slot = (slot + 1) & mask
    if (slots[slot] !== 0 && join(rows, slots[slot] - 1, row)) continue
    slots[slot] = row + 1
    live[liveCount++] = row
  }
  return live.subarray(0, liveCount)
}

function join({ words, l7 }: BodyRows, a: number, b: number): boolean {
  if (l7 !== undefined && !canJoinL7(l7, a, b)) return false
  if (!joinRows(words, a * rowWords, b * rowWords)) return false
  if (l7 !== undefined) joinL7(l7, a, b)
  return true
}

/** Row + 1 by flow, at most half full. */
function slotsFor(count: number): Int32Array {
  let size = 16
  while (size < 2 * count) size *= 2
  return new Int32Array(size)
}

function isSameFlow(words: Uint32Array, a: number, b: number): boolean {
  const id = rowWord.flowId
  return words[a + id] === words[b + id] && words[a + id + 1] === words[b + id + 1]
}

function hashOf(words: Uint32Array, at: number): number {
  const low = Math.imul(words[at + rowWord.flowId], 0x9e3779b1)
  const mixed = Math.imul(low ^ words[at + rowWord.flowId + 1] ^ (low >>> 15), 0x85ebca6b)
  return (mixed ^ (mixed >>> 13)) >>> 0
}

function bytesOf(parts: readonly BodyPart[]): number {
  return parts.reduce((sum, { body }) => sum + body.length, 0)
}
