import type { Entity, FoundBy, Group, GroupBy } from './entity.ts'
import { idSegment } from './readable-id.ts'

/** Groupings from fine to coarse: each one folds groups of the one before it, and never splits them. */
export const groupings: readonly GroupBy[] = ['process', 'container', 'unit', 'host']

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
export function processGroup(entity: Entity, groupBy: GroupBy): Group {
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
