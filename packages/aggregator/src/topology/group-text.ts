import type { Group } from '../resolve/entity.ts'
import type { TopologyNode } from './answer.ts'
import { type Literal, literal } from './json-text.ts'

/** A group as it stands in answers: its whole node, fields as in the contract, and its id alone. */
export interface GroupText {
  readonly id: Literal
  readonly node: Literal
}

/** Texts of the groups that were written before: they are few, and stay. */
export type GroupTexts = WeakMap<Group, GroupText>

export function groupText(group: Group, texts: GroupTexts): GroupText {
  let text = texts.get(group)
  if (!text) {
    const { id, kind, name, namespace, parent, foundBy } = group
    const inNamespace = namespace === undefined ? {} : { namespace }
    const node = { id, kind, name, ...inNamespace, parent, foundBy } satisfies TopologyNode
    text = { id: literal(JSON.stringify(id)), node: literal(JSON.stringify(node)) }
    texts.set(group, text)
  }
  return text
}
