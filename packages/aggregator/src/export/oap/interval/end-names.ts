import { LRUCache } from 'lru-cache'
import type { EntityIndex } from '../../../resolve/entity-index.ts'
import type { EntityId } from '../../../topology/edge-book.ts'
import { type EndName, externalService, fitName, isAddress, nameLimits } from './end-name.ts'

/** How entities are called at a time. */
export interface EndNames {
  /** Undefined for an entity that is not known any more. */
  nameOf(id: EntityId, atMs: number): EndName | undefined
  /** Outside names that were folded into `external` because there were too many. */
  folded(): number
}

export interface EndNamesOptions {
  readonly index: Pick<EntityIndex, 'entity' | 'group' | 'revision'>
  /** Put in front of names of this cluster as `NAME::`; OAP shows it as the group. */
  readonly cluster: string
  /** Different outside names at a time; each costs an edge in OAP. */
  readonly maxOutsideNames?: number
}

const nothing: EndName['properties'] = []
const forgetOutsideMs = 60 * 60_000

/**
 * A process is a service named `program.where`, where is the unit, the container or the machine it runs in, and its
 * machine is the instance: the same unit on several machines is one service. Outside ends have the name that DNS gave
 * them, or are `external` together: an address is never a name.
 */
export function createEndNames(options: EndNamesOptions): EndNames {
  const { index, maxOutsideNames = 500 } = options
  const prefix = options.cluster === '' ? '' : `${options.cluster}::`
  const known = new LRUCache<EntityId, EndName>({ max: 65_536 })
  /** One object per name, whatever entities have it. */
  const named = new LRUCache<string, EndName>({ max: 65_536 })
  const outside = new Map<string, number>()
  let revision = -1
  let knownMinute = -1
  let folded = 0

  function intern(service: string, pod: string, properties: EndName['properties']): EndName {
    const key = `${service}\n${pod}`
    const kept = named.get(key)
    if (kept !== undefined) return kept
    const name = { service, pod, properties }
    named.set(key, name)
    return name
  }

  function inside(service: string, pod: string, properties: EndName['properties']): EndName {
    const own = isAddress(service) ? `node-${service}` : service
    return intern(
      prefix + fitName(own, nameLimits.service - prefix.length),
      isAddress(pod) ? `node-${pod}` : fitName(pod, nameLimits.pod),
      properties,
    )
  }

  function outsideNamed(name: string, atMs: number): EndName {
    const external = intern(externalService, '', nothing)
    if (name === '' || name.trim() !== name || isAddress(name) || name === 'Unknown') return external
    if (!outside.has(name) && outside.size >= maxOutsideNames) {
      for (const [other, seenMs] of outside) if (atMs - seenMs > forgetOutsideMs) outside.delete(other)
      if (outside.size >= maxOutsideNames) {
        folded++
        return external
      }
    }
    outside.set(name, atMs)
    return intern(fitName(name, nameLimits.service), '', nothing)
  }

  function find(id: EntityId, atMs: number): EndName | undefined {
    const entity = index.entity(id)
    if (entity === undefined) return undefined
    const group = index.group(id, 'process', atMs)
    if (entity.kind === 'address') {
      if (group.kind === 'host') return inside(group.name, '', nothing)
      return outsideNamed(group.foundBy === 'address' ? '' : group.name, atMs)
    }
    const where = entity.containerId.slice(0, 12) || entity.unit || entity.host
    const service = entity.process === '' ? where : `${entity.process}.${where}`
    const properties = [
      ['node', entity.host],
      ['process', entity.process],
      ['unit', entity.unit],
      ['container', entity.containerId],
    ].filter(([, value]) => value !== '') as [string, string][]
    return inside(service, entity.host, properties)
  }

  return {
    nameOf(id, atMs) {
      const minute = Math.floor(atMs / 60_000)
      if (index.revision() !== revision || minute !== knownMinute) {
        known.clear()
        revision = index.revision()
        knownMinute = minute
      }
      const kept = known.get(id)
      if (kept !== undefined) return kept
      const name = find(id, atMs)
      if (name !== undefined) known.set(id, name)
      return name
    },
    folded: () => folded,
  }
}
