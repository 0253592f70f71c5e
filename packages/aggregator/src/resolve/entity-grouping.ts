import type { Entity, FoundBy, Group, GroupBy } from './entity.ts'
import { idSegment } from './readable-id.ts'

/** Groupings that the kernel alone can tell, from fine to coarse: each folds groups of the one before it. */
export const kernelGroupings = ['process', 'container', 'unit', 'host'] as const
export type KernelGrouping = (typeof kernelGroupings)[number]

const inKubernetes: readonly GroupBy[] = ['process', 'container', 'pod', 'workload', 'namespace']

/** A grouping and the coarser ones that can take its place, each folding groups of the one before it. */
export function groupingsFrom(groupBy: GroupBy, isKubernetes: boolean): readonly GroupBy[] {
  if (!isKubernetes) return kernelGroupings.slice(kernelGroupings.indexOf(kernelGrouping(groupBy)))
  if (groupBy === 'service') return ['service', 'namespace']
  if (groupBy === 'node') return ['node', 'zone']
  if (inKubernetes.includes(groupBy)) return inKubernetes.slice(inKubernetes.indexOf(groupBy))
  return groupBy === 'unit' ? ['unit', 'host'] : [groupBy]
}

/** What stands for a grouping where there is no Kubernetes. */
export function kernelGrouping(groupBy: GroupBy): KernelGrouping {
  if (groupBy === 'pod' || groupBy === 'workload' || groupBy === 'service') return 'unit'
  if (groupBy === 'node' || groupBy === 'zone' || groupBy === 'namespace') return 'host'
  return groupBy
}

const shownContainerId = 12

export function hostId(node: string): string {
  return `host/${idSegment(node)}`
}

export function hostGroup(node: string): Group {
  return { id: hostId(node), kind: 'host', name: node, parent: '', foundBy: 'kernel' }
}

/** `text` is a DNS name or an address; neither needs more escaping than any other name, but `:` stays readable. */
export function outsideGroup(text: string, foundBy: FoundBy): Group {
  const id = `outside/${text
    .split(':')
    .map(part => (part === '' ? '' : idSegment(part)))
    .join(':')}`
  return { id, kind: 'outside', name: text, parent: '', foundBy }
}

/**
 * What a process is folded into, as the kernel alone knows it.
 * - process: `host/<node>/<unit or container>/<process>`, with `-` where it runs in neither;
 * - container: its container; a process in none stays itself;
 * - unit: its systemd unit; a container in no unit stays a container, a process in neither stays itself;
 * - host: its node.
 * A socket whose process is not known is folded into its container or unit, or into its node.
 */
export function processGroup(entity: Entity, grouping: GroupBy): Group {
  const groupBy = kernelGrouping(grouping)
  const host = hostGroup(entity.host)
  if (groupBy === 'host') return host
  const container = containerGroup(entity, host)
  const unit = unitGroup(entity, host)
  if (groupBy === 'unit' && unit) return unit
  if (groupBy !== 'process' && container) return container
  const around = container ?? unit ?? host
  if (entity.process === '') return around
  const id = `${around === host ? `${host.id}/-` : around.id}/${idSegment(entity.process)}`
  return { id, kind: 'process', name: entity.process, parent: around.id, foundBy: 'kernel' }
}

function containerGroup(entity: Entity, host: Group): Group | undefined {
  if (entity.containerId === '') return undefined
  const name = entity.containerId.slice(0, shownContainerId)
  return {
    id: `${host.id}/container:${idSegment(name)}`,
    kind: 'container',
    name,
    parent: host.id,
    foundBy: 'kernel',
  }
}

function unitGroup(entity: Entity, host: Group): Group | undefined {
  if (entity.unit === '') return undefined
  return {
    id: `${host.id}/${idSegment(entity.unit)}`,
    kind: 'unit',
    name: entity.unit,
    parent: host.id,
    foundBy: 'kernel',
  }
}
