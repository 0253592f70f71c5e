import type { EntityId } from '../topology/edge-book.ts'
import type { AddressClaim } from './name-source.ts'

/**
 * One address as one node calls it, in use over time. Whoever holds an address changes, so that it is several entities:
 * one per holder known when it was used, and one per minute where that was not known or may have been over already. An
 * entity is named after a holder only if that one held the address all the time in which it was used.
 */
export interface AddressUses {
  /** The entity among those of `head` that a use belongs to; -1 if it takes a new one. */
  find(head: EntityId, claim: AddressClaim | undefined, isBrief: boolean, atMs: number): EntityId
  /** Notes the first use of an entity; `head` is -1 where it is the first of its address. */
  begin(id: EntityId, head: EntityId, claim: AddressClaim | undefined, isBrief: boolean, atMs: number): void
  /** Unix milliseconds. */
  from(id: EntityId): number
  to(id: EntityId): number
  /** Tells entities of one address apart, also in segments. */
  since(id: EntityId): number
  /** Unlinks what is not kept; false if nothing is left, the head included. */
  keep(head: EntityId, isKept: (id: EntityId) => boolean): boolean
}

const minuteMs = 60_000

export function createAddressUses(): AddressUses {
  const claims: (AddressClaim | undefined)[] = []
  const brief: boolean[] = []
  const from: number[] = []
  const to: number[] = []
  const since: number[] = []
  const next: EntityId[] = []

  function isTaken(head: EntityId, ms: number): boolean {
    for (let id = head; id >= 0; id = next[id]) if (since[id] === ms) return true
    return false
  }

  return {
    find(head, claim, isBrief, atMs) {
      for (let id = head; id >= 0; id = next[id]) {
        if (claims[id] !== claim || brief[id] !== isBrief) continue
        if (isBrief && Math.floor(from[id] / minuteMs) !== Math.floor(atMs / minuteMs)) continue
        if (atMs < from[id]) from[id] = atMs
        else if (atMs > to[id]) to[id] = atMs
        return id
      }
      return -1
    },
    begin(id, head, claim, isBrief, atMs) {
      let ms = Math.max(1, Math.floor(atMs))
      while (isTaken(head, ms)) ms++
      claims[id] = claim
      brief[id] = isBrief
      from[id] = atMs
      to[id] = atMs
      since[id] = claim !== undefined || isBrief ? ms : 0
      next[id] = head >= 0 ? next[head] : -1
      if (head >= 0) next[head] = id
    },
    from: id => from[id],
    to: id => to[id],
    since: id => since[id],
    keep(head, isKept) {
      let isAny = isKept(head)
      for (let before = head; next[before] >= 0; ) {
        if (isKept(next[before])) {
          isAny = true
          before = next[before]
        } else next[before] = next[next[before]]
      }
      return isAny
    },
  }
}
