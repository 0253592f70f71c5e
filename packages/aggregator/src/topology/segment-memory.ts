import type { Entity } from '../resolve/entity.ts'
import type { EntityKnowledge } from '../resolve/entity-index.ts'
import { identityOfText } from '../resolve/kube-identity.ts'
import { entityWords } from './segment-bytes.ts'
import { TextTable } from './text-table.ts'

/** An entity of a segment, and what was known of it then. */
export interface KnownEntity {
  readonly entity: Entity
  readonly known: EntityKnowledge
}

/** Where the words of an entity are numbers of texts. */
const textWords = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13]
const mostTexts = 1 << 18
const mostTextBytes = 1 << 25
const mostEntities = 1 << 17
const firstEntities = 1024

/**
 * Texts and entities that segments were about. One minute's are nearly the next one's: the same words give the same
 * object, so that nothing is made anew for them. Bounded: when it is full, everything is forgotten.
 */
export class SegmentMemory {
  texts = new TextTable()
  #words = new Uint32Array(firstEntities * entityWords)
  readonly #scratch = new Uint32Array(entityWords)
  readonly #times = new DataView(this.#scratch.buffer)
  /** Number + 1 by hash, open addressing, at most half full. */
  #slots = new Uint32Array(2 * firstEntities)
  #entities: (KnownEntity | undefined)[] = []

  /** Before a segment is read: numbers of texts hold until the next call. */
  makeRoom(): void {
    const { count, byteLength } = this.texts
    if (count <= mostTexts && byteLength <= mostTextBytes && this.#entities.length <= mostEntities) return
    this.texts = new TextTable()
    this.#entities = []
    this.#slots.fill(0)
  }

  /**
   * The entity of the words from `at` on, whose texts are numbers among `numbers`; undefined if they make no sense.
   */
  entity(words: Uint32Array, at: number, numbers: Uint32Array): KnownEntity | undefined {
    const own = this.#scratch
    for (let word = 0; word < entityWords; word++) own[word] = words[at + word]
    for (let i = 0; i < textWords.length; i++) {
      const index = own[textWords[i]]
      if (index >= numbers.length) return undefined
      own[textWords[i]] = numbers[index]
    }
    const mask = this.#slots.length - 1
    let slot = hashOf(own) & mask
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const number = this.#slots[slot] - 1
      if (this.#is(number)) return this.#entities[number]
    }
    return this.#add(slot)
  }

  #is(number: number): boolean {
    const at = number * entityWords
    for (let word = 0; word < entityWords; word++)
      if (this.#words[at + word] !== this.#scratch[word]) return false
    return true
  }

  #add(slot: number): KnownEntity | undefined {
    const made = this.#make()
    if (made === undefined) return undefined
    const number = this.#entities.push(made) - 1
    if ((number + 1) * entityWords > this.#words.length) {
      const larger = new Uint32Array(2 * this.#words.length)
      larger.set(this.#words)
      this.#words = larger
    }
    this.#words.set(this.#scratch, number * entityWords)
    this.#slots[slot] = number + 1
    if (2 * this.#entities.length > this.#slots.length) this.#growSlots()
    return made
  }

  #growSlots(): void {
    this.#slots = new Uint32Array(2 * this.#slots.length)
    const mask = this.#slots.length - 1
    for (let number = 0; number < this.#entities.length; number++) {
      const words = this.#words.subarray(number * entityWords, (number + 1) * entityWords)
      let slot = hashOf(words) & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = number + 1
    }
  }

  #make(): KnownEntity | undefined {
    const own = this.#scratch
    const text = (word: number) => this.texts.text(own[word])
    const seenMs = this.#times.getFloat64(9 * 4, true)
    const sinceMs = this.#times.getFloat64(14 * 4, true)
    if (own[0] > 1 || !Number.isFinite(seenMs) || !Number.isFinite(sinceMs) || sinceMs < 0) return undefined
    const name = text(8)
    const localTo = text(11)
    const kube = text(12) === '' ? undefined : identityOfText(text(12), text(13))
    if (text(12) !== '' && kube === undefined) return undefined
    return {
      entity: {
        kind: own[0] === 0 ? 'process' : 'address',
        host: text(1),
        process: text(2),
        unit: text(3),
        containerId: text(4),
        podUid: text(5),
        cgroup: text(6),
        address: text(7),
        ...(sinceMs > 0 && { sinceMs }),
      },
      known: {
        ...(name !== '' && { dns: { name, seenMs } }),
        ...(localTo !== '' && { localTo }),
        ...(kube && { kube }),
      },
    }
  }
}

function hashOf(words: Uint32Array): number {
  let h = 0x811c9dc5
  for (let word = 0; word < entityWords; word++) {
    h = Math.imul(h ^ words[word], 0x9e3779b1)
    h ^= h >>> 15
  }
  return h >>> 0
}
