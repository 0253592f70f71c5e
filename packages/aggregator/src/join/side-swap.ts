import type { ConnectionStore } from './connection-store.ts'
import type { MissingBytes } from './missing-bytes.ts'
import { Head, SlotFlag, sideStretches } from './slot-layout.ts'
import { coldStart, slotStart } from './slot-pool.ts'

/**
 * Makes the client's view the server's and the other way round, for a TCP connection whose ends both claimed one
 * role. Nothing of it may be booked meanwhile.
 */
export function swapSides(store: ConnectionStore, missing: MissingBytes, slot: number): void {
  const words = store.words(slot)
  const start = slotStart(slot)
  const client = sideStretches(words, start, coldStart(slot), 0)
  const server = sideStretches(words, start, coldStart(slot), 1)
  client.forEach((stretch, i) => {
    const kept = stretch.slice()
    stretch.set(server[i])
    server[i].set(kept)
  })
  const flags = words[start + Head.flags]
  words[start + Head.flags] = [SlotFlag.present, SlotFlag.complete, SlotFlag.quiet].reduce(swapPair, flags)
  for (const each of [missing, store.wideSums, store.said]) {
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
