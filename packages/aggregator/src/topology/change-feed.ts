import type { AnswerMark } from './answer.ts'
import { type AnswerForm, type AnswerScratch, figuresOf, planOf, writerOf } from './answer-text.ts'
import { counterCount } from './counters.ts'
import type { Evaluation } from './evaluate.ts'
import { groupText } from './group-text.ts'
import { JsonText, literal } from './json-text.ts'
import { figuresPerSlot } from './latency-plan.ts'

/**
 * What an answer was about: which edges and nodes were in it, and 64 bits of hash of all figures of each edge. Two
 * answers are told apart by these; neither is kept.
 */
export interface OwnMark extends AnswerMark {
  readonly found: Pick<Evaluation, 'fold' | 'slots' | 'groups'>
  readonly form: AnswerForm
  /** By place in `slots`, two words each. */
  readonly hashes: Int32Array
  readonly idsOf: (slot: number) => string
}

interface Change<T> {
  readonly add: T[]
  readonly update: T[]
  readonly remove: string[]
}

export interface MarkedAnswer {
  readonly mark: OwnMark
  /** The change as JSON: `nodes` and `edges`, each with `add`, `update` and `remove`; undefined if there is none. */
  patchSince(before: OwnMark): Uint8Array<ArrayBuffer> | undefined
}

export function markAnswer(found: Evaluation, form: AnswerForm, scratch: AnswerScratch): MarkedAnswer {
  const figures = figuresOf(found, form, scratch)
  const heads = scratch.headsOf(found.fold)
  const { fold, slots, groups } = found
  const hashes = hashesOf(found, figures, figuresPerSlot(planOf(form)))
  const mark: OwnMark = { isMark: true, found: { fold, slots, groups }, form, hashes, idsOf: heads.idText }
  return {
    mark,
    patchSince(before) {
      const nodes = changedGroups(before, mark, scratch)
      const edges = before.found.fold === fold ? changedSlots(before, mark) : changedIds(before, mark)
      if (isEmpty(nodes) && isEmpty(edges)) return undefined
      const out = new JsonText(4096 + 2000 * (edges.add.length + edges.update.length))
      const writer = writerOf(found, form, figures, scratch)
      out.text('{"nodes":{')
      writeChange(out, nodes, group => {
        const { node } = groupText(fold.groups[group], scratch.groups)
        out.reserve(node.words.length * 8)
        out.literal(node)
      })
      out.text('},"edges":{')
      writeChange(out, edges, slot => writer.write(out, slot))
      out.text('}}')
      return out.finish()
    },
  }
}

function hashesOf({ sums, slots }: Evaluation, figures: Float64Array, perSlot: number): Int32Array {
  const hashes = new Int32Array(slots.length * 2)
  const { counters, openClient, openServer, openJoined, seen, said } = sums
  const words = new Int32Array(counters.buffer, counters.byteOffset, counters.length * 2)
  const figureWords = new Int32Array(figures.buffer, figures.byteOffset, figures.length * 2)
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i]
    hashes[2 * i] = seen[slot] ^ Math.imul(openClient[slot], 0x9e3779b1)
    hashes[2 * i + 1] = openServer[slot] ^ Math.imul(openJoined[slot], 0x85ebca6b)
    if (said) hashes[2 * i + 1] ^= said.hashOf(slot)
    addWords(hashes, 2 * i, words, slot * counterCount * 2, counterCount * 2)
    addWords(hashes, 2 * i, figureWords, slot * perSlot * 2, perSlot * 2)
  }
  return hashes
}

function addWords(hashes: Int32Array, at: number, words: Int32Array, from: number, count: number): void {
  let a = hashes[at]
  let b = hashes[at + 1]
  for (let i = from; i < from + count; i++) {
    a = Math.imul(a ^ words[i], 0x9e3779b1)
    a ^= a >>> 15
    b = Math.imul((b << 5) ^ (b >>> 27) ^ words[i], 0x85ebca6b)
  }
  hashes[at] = a
  hashes[at + 1] = b
}

/** Both answers are of one fold, whose slots stay what they are. */
function changedSlots(before: OwnMark, now: OwnMark): Change<number> {
  const change: Change<number> = { add: [], update: [], remove: [] }
  const { fold, slots } = now.found
  // place before + 1, 0 for a slot that was not there
  const places = new Int32Array(fold.slots)
  before.found.slots.forEach((slot, i) => {
    places[slot] = i + 1
  })
  for (let i = 0; i < slots.length; i++) {
    const place = places[slots[i]] - 1
    if (place < 0) change.add.push(slots[i])
    else if (isOther(before.hashes, place, now.hashes, i)) change.update.push(slots[i])
    places[slots[i]] = 0
  }
  for (const slot of before.found.slots) if (places[slot] !== 0) change.remove.push(before.idsOf(slot))
  return change
}

/** Names changed in between: edges are the same where their ids are. */
function changedIds(before: OwnMark, now: OwnMark): Change<number> {
  const change: Change<number> = { add: [], update: [], remove: [] }
  const places = new Map<string, number>()
  before.found.slots.forEach((slot, i) => {
    places.set(before.idsOf(slot), i)
  })
  now.found.slots.forEach((slot, i) => {
    const id = now.idsOf(slot)
    const place = places.get(id)
    places.delete(id)
    if (place === undefined) change.add.push(slot)
    else if (isOther(before.hashes, place, now.hashes, i)) change.update.push(slot)
  })
  change.remove.push(...places.keys())
  return change
}

function isOther(before: Int32Array, place: number, now: Int32Array, i: number): boolean {
  return before[2 * place] !== now[2 * i] || before[2 * place + 1] !== now[2 * i + 1]
}

function changedGroups(before: OwnMark, now: OwnMark, scratch: AnswerScratch): Change<number> {
  const change: Change<number> = { add: [], update: [], remove: [] }
  const isSameFold = before.found.fold === now.found.fold
  const old = new Map([...before.found.groups].map(g => [before.found.fold.groups[g].id, g]))
  for (const group of now.found.groups) {
    const { id } = now.found.fold.groups[group]
    const was = old.get(id)
    if (was === undefined) change.add.push(group)
    else if (!isSameFold && nodeText(before, was, scratch) !== nodeText(now, group, scratch))
      change.update.push(group)
    old.delete(id)
  }
  change.remove.push(...[...old.keys()].map(id => JSON.stringify(id)))
  return change
}

function nodeText({ found }: OwnMark, group: number, scratch: AnswerScratch): string {
  const { node } = groupText(found.fold.groups[group], scratch.groups)
  return String(new Uint8Array(node.words.buffer))
}

/** Whether the nodes of two answers are of one kind and their edges written in one form, so that a patch makes sense. */
export function isComparable(before: OwnMark, now: OwnMark): boolean {
  const { fold } = before.found
  const other = now.found.fold
  return (
    fold.groupBy === other.groupBy && fold.joinsOutside === other.joinsOutside && before.form === now.form
  )
}

function isEmpty<T>({ add, update, remove }: Change<T>): boolean {
  return add.length + update.length + remove.length === 0
}

function writeChange<T>(out: JsonText, change: Change<T>, write: (item: T) => void): void {
  const writeList = (items: readonly T[]) => {
    items.forEach((item, i) => {
      if (i > 0) out.literal(comma)
      write(item)
    })
  }
  out.text('"add":[')
  writeList(change.add)
  out.text('],"update":[')
  writeList(change.update)
  out.text(`],"remove":[${change.remove.join(',')}]`)
}

const comma = literal(',')
