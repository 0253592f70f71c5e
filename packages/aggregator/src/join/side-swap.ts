import type { ConnectionStore } from './connection-store.ts'
import type { MissingBytes } from './missing-bytes.ts'
import { Head, headWords, reachedAt, SlotFlag, sideWords } from './slot-layout.ts'
import { slotStart } from './slot-pool.ts'

/**
 * Makes the client's view the server's and the other way round, for a TCP connection whose ends both claimed one
 * role. Nothing of it may be booked meanwhile.
 */
export function swapSides(store: ConnectionStore, missing: MissingBytes, slot: number): void {
  const words = store.words(slot)
  const start = slotStart(slot)
  const first = start + headWords
  const second = first + sideWords
  const client = words.slice(first, second)
  words.copyWithin(first, second, second + sideWords)
  words.set(client, second)
  const doubles = store.doubles(slot)
  const reached = doubles.slice(reachedAt(start, 0), reachedAt(start, 1))
  doubles.copyWithin(reachedAt(start, 0), reachedAt(start, 1), reachedAt(start, 2))
  doubles.set(reached, reachedAt(start, 1))
  const flags = words[start + Head.flags]
  words[start + Head.flags] = swapPair(swapPair(flags, SlotFlag.present), SlotFlag.complete)
  for (const each of [missing, store.wideSums]) {
    each.move(slot * 2, -1)
    each.move(slot * 2 + 1, slot * 2)
    each.move(-1, slot * 2 + 1)
  }
}

function swapPair(flags: number, bit: number): number {
  const low = flags & bit
  const high = flags & (bit << 1)
  return (flags & ~(bit * 3)) | (low << 1) | (high >>> 1)
}
