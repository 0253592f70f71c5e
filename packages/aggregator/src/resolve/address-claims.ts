import { createAddressTable } from './address-table.ts'
import { wordsOfText } from './address-text.ts'

/**
 * Somebody's hold of an address. Certain from `certainMs` until `endsMs`; possible from `fromMs` and until `untilMs`.
 * Times may be mended as more is learned; claims are compared by reference.
 */
export interface Claim<Holder> {
  readonly holder: Holder
  fromMs: number
  certainMs: number
  endsMs: number
  untilMs: number
  /** It ended by itself at `endsMs`; otherwise its end was only noticed then, and may have been before. */
  isEndKnown: boolean
}

/** Who held which address when. Names nobody where two could have held it: an address is never guessed. */
export interface AddressClaims<Holder> {
  /** False if the text is no address. */
  add(address: string, claim: Claim<Holder>): boolean
  /** Drops claims that are not kept. */
  keep(isKept: (claim: Claim<Holder>) => boolean): void
  at(w0: number, w1: number, w2: number, w3: number, atMs: number): Claim<Holder> | undefined
  /** The one that held it at every moment of a time, both ends included. */
  over(
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    fromMs: number,
    toMs: number,
  ): Claim<Holder> | undefined
  /** True if somebody is known ever to have held it. */
  has(w0: number, w1: number, w2: number, w3: number): boolean
  readonly size: number
}

export function createAddressClaims<Holder>(): AddressClaims<Holder> {
  let table = createAddressTable()
  let lists: Claim<Holder>[][] = []
  /** Four words for each list. */
  let keys: number[] = []
  let size = 0

  function listOf(w0: number, w1: number, w2: number, w3: number): readonly Claim<Holder>[] | undefined {
    const at = table.find(0, w0, w1, w2, w3)
    return at < 0 ? undefined : lists[at]
  }

  return {
    get size() {
      return size
    },
    add(address, claim) {
      const words = wordsOfText(address)
      if (!words) return false
      const { w0, w1, w2, w3 } = words
      const at = table.find(0, w0, w1, w2, w3)
      if (at >= 0) lists[at].push(claim)
      else {
        table.add(0, w0, w1, w2, w3, lists.length)
        lists.push([claim])
        keys.push(w0, w1, w2, w3)
      }
      size++
      return true
    },
    keep(isKept) {
      const old = lists
      const oldKeys = keys
      table = createAddressTable()
      lists = []
      keys = []
      size = 0
      for (const [i, list] of old.entries()) {
        const kept = list.filter(isKept)
        if (kept.length === 0) continue
        const [w0, w1, w2, w3] = oldKeys.slice(4 * i, 4 * i + 4)
        table.add(0, w0, w1, w2, w3, lists.length)
        lists.push(kept)
        keys.push(w0, w1, w2, w3)
        size += kept.length
      }
    },
    at(w0, w1, w2, w3, atMs) {
      const list = listOf(w0, w1, w2, w3)
      return list && holderAt(list, atMs)
    },
    over(w0, w1, w2, w3, fromMs, toMs) {
      const list = listOf(w0, w1, w2, w3)
      if (!list) return undefined
      const first = holderAt(list, fromMs)
      if (!first || (list.length === 1 && toMs < first.untilMs)) return first
      // who holds it changes only where somebody's time begins or ends
      for (const claim of list)
        for (const turn of [claim.fromMs, claim.certainMs, claim.endsMs, claim.untilMs])
          if (turn > fromMs && turn <= toMs && holderAt(list, turn) !== first) return undefined
      return holderAt(list, toMs) === first ? first : undefined
    },
    has: (w0, w1, w2, w3) => table.find(0, w0, w1, w2, w3) >= 0,
  }
}

function holderAt<Holder>(list: readonly Claim<Holder>[], atMs: number): Claim<Holder> | undefined {
  let certain: Claim<Holder> | undefined
  let isTied = false
  for (const claim of list) {
    if (claim.certainMs > atMs || claim.endsMs <= atMs) continue
    // who got it later has it: the end of the one before was not seen
    if (certain && claim.certainMs === certain.certainMs && claim.holder !== certain.holder) isTied = true
    if (!certain || claim.certainMs > certain.certainMs) {
      certain = claim
      isTied = false
    }
  }
  if (isTied) return undefined
  let possible: Claim<Holder> | undefined
  for (const claim of list) {
    if (claim.fromMs > atMs || claim.untilMs <= atMs || (claim.certainMs <= atMs && claim.endsMs > atMs))
      continue
    // the end of an earlier one, while a later one has it for certain
    if (certain && (claim.fromMs <= certain.fromMs || certain.isEndKnown)) continue
    if (certain || (possible && possible.holder !== claim.holder)) return undefined
    possible = claim
  }
  return certain ?? possible
}
