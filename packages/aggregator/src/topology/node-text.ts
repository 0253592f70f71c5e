import type { Group } from '../resolve/entity.ts'
import type { TopologyNode } from './answer.ts'

/** JSON text of a node, fields in the order of the contract. */
export function nodeJson(group: Group): string {
  const { id, kind, name, parent, foundBy } = group
  return JSON.stringify({ id, kind, name, parent, foundBy } satisfies TopologyNode)
}
