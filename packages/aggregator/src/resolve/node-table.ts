import type { NodeIndex } from './entity-source.ts'

/** Names of nodes by number. A number is given once: what is still known under one can't become another node's. */
export interface NodeTable {
  /** The number of a node, which is entered if it is new; -1 if there are too many. */
  index(name: string): NodeIndex
  /** Undefined for a number that was freed, or never given. */
  name(index: NodeIndex): string | undefined
  /** Frees those that are not in use and that nobody asked for since the previous sweep. */
  sweep(inUse: ReadonlySet<NodeIndex>): void
  size(): number
  /** From here on it is time to sweep. */
  isCrowded(): boolean
}

/** What a connection has room for. */
const mostNumbers = 2 ** 24
const crowdedShare = 0.75

export function createNodeTable(maxNodes: number): NodeTable {
  /** No node has number 0. */
  const names = new Map<NodeIndex, string>([[0, '']])
  const indexes = new Map<string, NodeIndex>([['', 0]])
  let asked = new Set<NodeIndex>()
  let next = 1
  const size = () => indexes.size - 1

  function enter(name: string): NodeIndex {
    if (size() >= maxNodes || next >= mostNumbers) return -1
    names.set(next, name)
    indexes.set(name, next)
    return next++
  }

  return {
    index(name) {
      const index = indexes.get(name) ?? enter(name)
      if (index > 0) asked.add(index)
      return index
    },
    name: index => names.get(index),
    sweep(inUse) {
      for (const [name, index] of indexes) {
        if (index === 0 || inUse.has(index) || asked.has(index)) continue
        indexes.delete(name)
        names.delete(index)
      }
      asked = new Set()
    },
    size,
    isCrowded: () => size() > crowdedShare * maxNodes,
  }
}
