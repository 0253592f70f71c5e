import type { IngestStatus } from '../topology/answer.ts'
import type { NodeLog } from './node-log.ts'
import { nodeStatus } from './node-status.ts'

/** Records of one ingest, by what became of them. */
export interface IngestTotals {
  readonly received: number
  readonly applied: number
  readonly duplicates: number
  readonly lost: Readonly<Record<string, number>>
}

/** What one ingest knows, as far as a status is made of it. */
export interface IngestFigures extends IngestTotals {
  readonly nodes: Iterable<NodeLog>
}

/** Who reports and whether the numbers add up, over ingests of different partitions: of all there are, unless told. */
export function ingestStatus(
  all: readonly IngestFigures[],
  nowMs: number,
  readsAll = true,
): Pick<IngestStatus, 'nodes' | 'identity'> {
  const logs = new Map<string, NodeLog[]>()
  for (const { nodes } of all)
    for (const node of nodes) {
      const known = logs.get(node.name)
      if (known) known.push(node)
      else logs.set(node.name, [node])
    }
  const nodes = [...logs.values()].flatMap(list => nodeStatus(list, nowMs, readsAll) ?? [])
  const { received, applied, duplicates, lost } = addedTotals(all)
  const sum = applied + duplicates + Object.values(lost).reduce((a, b) => a + b, 0)
  return { nodes, identity: { received, applied, duplicates, lost, holds: received === sum } }
}

export function addedTotals(all: readonly IngestTotals[]): IngestTotals {
  const lost: Record<string, number> = {}
  for (const totals of all)
    for (const [place, records] of Object.entries(totals.lost)) lost[place] = (lost[place] ?? 0) + records
  const sum = (of: (totals: IngestTotals) => number) => all.reduce((total, each) => total + of(each), 0)
  return {
    received: sum(t => t.received),
    applied: sum(t => t.applied),
    duplicates: sum(t => t.duplicates),
    lost,
  }
}
