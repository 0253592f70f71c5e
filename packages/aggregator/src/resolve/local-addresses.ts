import { createAddressTable } from './address-table.ts'
import { isShared } from './address-text.ts'

/** Which nodes use which addresses as their own, over time. Bounded; what is over the bound is refused and counted. */
export interface LocalAddresses {
  learn(node: number, w0: number, w1: number, w2: number, w3: number, atMs: number): void
  /**
   * Whose address it is, seen from a node: its own comes first, otherwise that of the one node that used it last.
   * -1 if no node used it by then, or if several use it at the same time and nothing tells them apart.
   */
  ownerOf(node: number, w0: number, w1: number, w2: number, w3: number, atMs: number): number
  /** Grows whenever an answer of `ownerOf` may have changed. */
  revision(): number
  refused(): number
}

const anyNode = 0

export function createLocalAddresses(maxClaims: number): LocalAddresses {
  const claimOfNode = createAddressTable()
  const firstClaim = createAddressTable()
  const nodes: number[] = []
  const firstSeen: number[] = []
  const lastSeen: number[] = []
  const nextClaim: number[] = []
  let revision = 0
  let refused = 0

  function addClaim(node: number, w0: number, w1: number, w2: number, w3: number, atMs: number): void {
    if (nodes.length >= maxClaims) {
      refused++
      return
    }
    const claim = nodes.length
    nodes.push(node)
    firstSeen.push(atMs)
    lastSeen.push(atMs)
    nextClaim.push(-1)
    claimOfNode.add(node, w0, w1, w2, w3, claim)
    const first = firstClaim.find(anyNode, w0, w1, w2, w3)
    if (first < 0) firstClaim.add(anyNode, w0, w1, w2, w3, claim)
    else {
      nextClaim[claim] = nextClaim[first]
      nextClaim[first] = claim
    }
    revision++
  }

  function newestClaim(first: number, atMs: number): number {
    let newest = -1
    for (let c = first; c >= 0; c = nextClaim[c])
      if (firstSeen[c] <= atMs && (newest < 0 || firstSeen[c] > firstSeen[newest])) newest = c
    for (let c = first; c >= 0; c = nextClaim[c])
      if (c !== newest && firstSeen[c] <= atMs && lastSeen[c] >= firstSeen[newest]) return -1
    return newest
  }

  /** True if using the address until `atMs` makes it shared with a node that began to use it before then. */
  function overtakes(claim: number, w0: number, w1: number, w2: number, w3: number, atMs: number): boolean {
    for (let c = firstClaim.find(anyNode, w0, w1, w2, w3); c >= 0; c = nextClaim[c])
      if (c !== claim && firstSeen[c] > lastSeen[claim] && firstSeen[c] <= atMs) return true
    return false
  }

  return {
    learn(node, w0, w1, w2, w3, atMs) {
      const claim = claimOfNode.find(node, w0, w1, w2, w3)
      if (claim < 0) {
        if (!isShared(w0, w1, w2, w3)) addClaim(node, w0, w1, w2, w3, atMs)
        return
      }
      if (atMs < firstSeen[claim]) {
        firstSeen[claim] = atMs
        revision++
      } else if (atMs > lastSeen[claim]) {
        if (overtakes(claim, w0, w1, w2, w3, atMs)) revision++
        lastSeen[claim] = atMs
      }
    },
    ownerOf(node, w0, w1, w2, w3, atMs) {
      const own = claimOfNode.find(node, w0, w1, w2, w3)
      if (own >= 0 && firstSeen[own] <= atMs) return node
      const first = firstClaim.find(anyNode, w0, w1, w2, w3)
      const claim = first < 0 ? -1 : newestClaim(first, atMs)
      return claim < 0 ? -1 : nodes[claim]
    },
    revision: () => revision,
    refused: () => refused,
  }
}
