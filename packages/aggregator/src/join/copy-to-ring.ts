import { Kind } from '@skybraid/shared'
import type { ConnectionStore } from './connection-store.ts'
import type { FlowRing } from './flow-ring.ts'
import { Cold, coldSideAt, coldWords, Head, hotWords, Side, sideAt } from './slot-layout.ts'
import { coldStart, slotStart } from './slot-pool.ts'

/** Copies a slot among the ended flows, or its copy there anew. */
export function copyToRing(store: ConnectionStore, ring: FlowRing, slot: number, nowMs: number): void {
  const words = store.words(slot)
  const start = slotStart(slot)
  const number = ring.placeFor(words[start + Head.ring])
  words[start + Head.ring] = number
  const at = ring.position(number)
  const cold = coldStart(slot)
  const to = ring.slotAt(at)
  copyWords(words, start, ring.words, to.start, hotWords)
  copyWords(words, cold, ring.words, to.cold, coldWords)
  ring.writtenMs[at] = nowMs
  for (let side = 0; side < 2; side++) {
    store.wideSums.copy(slot * 2 + side, ring.wideSums, at * 2 + side)
    if ((words[start + sideAt(side) + Side.flags] & Kind.v6) === 0) continue
    const c = cold + coldSideAt(side)
    for (let word = 0; word < 4; word++) {
      const into = at * 16 + side * 8 + word
      ring.addresses[into] = store.addresses.word(words[c + Cold.local], word)
      ring.addresses[into + 4] = store.addresses.word(words[c + Cold.remote], word)
    }
  }
}

// a loop, because views to copy from would be made for each flow that ends
function copyWords(from: Uint32Array, at: number, into: Uint32Array, to: number, count: number): void {
  for (let word = 0; word < count; word++) into[to + word] = from[at + word]
}
