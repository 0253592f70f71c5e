import type { Owner } from '@skybraid/shared'
import type { EntityId } from '../topology/edge-book.ts'

/** Small integer for a node name, given by `EntitySource.node`. */
export type NodeIndex = number

/**
 * Third word of an IPv4 address in its 16-byte form (::ffff:a.b.c.d, words read little endian): the words are
 * 0, 0, v4MappedWord and the address column of the batch as it is.
 */
export const v4MappedWord = 0xffff0000

/**
 * Where the join gets entities from. Everything returns -1, and counts `cardinality_cap`, where a cap is hit.
 * Addresses are four u32 words: the 16 bytes of the IPv6 form in network order, read little endian. An address
 * entity is what one node calls by that address: loopback is that node itself, and names differ between nodes.
 */
export interface EntitySource {
  /** Interns a node's name: once per batch, not per record. */
  node(name: string): NodeIndex
  /** Interns the owner of a socket: once per owner and batch, not per record. */
  ofOwner(node: NodeIndex, owner: Owner): EntityId
  /**
   * Interns an address as this node sees it, in use at a time: who holds an address changes, so one address can be
   * several entities. Does not allocate for an address seen before.
   */
  ofAddress(node: NodeIndex, w0: number, w1: number, w2: number, w3: number, atMs: number): EntityId
  /**
   * A socket of this owner on this node has this local address: it is one of the node's own, so a connection to it is
   * not a connection to the outside. Call when a connection is first seen; does not allocate for an address seen before.
   */
  learnLocal(
    node: NodeIndex,
    owner: EntityId,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    atMs: number,
  ): void
  /** A DNS answer seen on this node: 4 or 16 bytes of address, time of the answer in Unix milliseconds. */
  learnName(node: NodeIndex, address: Uint8Array, name: string, seenMs: number): void
}
