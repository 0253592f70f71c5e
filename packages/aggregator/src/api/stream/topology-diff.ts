import type { TopologyAnswer } from '../../topology/answer.ts'

export interface ListChange<T> {
  readonly add: T[]
  readonly update: T[]
  readonly remove: string[]
}

export interface TopologyChange {
  readonly nodes: ListChange<TopologyAnswer['nodes'][number]>
  readonly edges: ListChange<TopologyAnswer['edges'][number]>
}

interface Identified {
  readonly id: string
}

/** What turns the nodes and edges of one answer into those of the next; undefined if nothing does. */
export function topologyDiff(before: TopologyAnswer, after: TopologyAnswer): TopologyChange | undefined {
  const nodes = listDiff(before.nodes, after.nodes)
  const edges = listDiff(before.edges, after.edges)
  return isEmpty(nodes) && isEmpty(edges) ? undefined : { nodes, edges }
}

function listDiff<T extends Identified>(before: readonly T[], after: readonly T[]): ListChange<T> {
  const old = new Map(before.map(item => [item.id, item]))
  const change: ListChange<T> = { add: [], update: [], remove: [] }
  for (const item of after) {
    const was = old.get(item.id)
    if (was === undefined) change.add.push(item)
    else if (JSON.stringify(was) !== JSON.stringify(item)) change.update.push(item)
    old.delete(item.id)
  }
  change.remove.push(...old.keys())
  return change
}

function isEmpty(change: ListChange<Identified>): boolean {
  return change.add.length + change.update.length + change.remove.length === 0
}
