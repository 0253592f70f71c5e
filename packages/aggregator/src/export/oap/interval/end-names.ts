import { LRUCache } from 'lru-cache'
import type { Entity } from '../../../resolve/entity.ts'
import type { EntityIndex } from '../../../resolve/entity-index.ts'
import type { KubeIdentity } from '../../../resolve/kube-identity.ts'
import type { EntityId } from '../../../topology/edge-book.ts'
import { type EndName, externalService, fitName, isAddress, nameLimits } from './end-name.ts'
import { endOfIdentity, endOfProcess, type UnfitEnd } from './end-of-entity.ts'

/** How entities are called at a time. */
export interface EndNames {
  /** Undefined for an entity that is not known any more. */
  nameOf(id: EntityId, atMs: number): EndName | undefined
  /**
   * The accepting end of what was dialled at an address and port: the service that stood there, and as its instance
   * who answered. Where no service stood there it is `nameOf` the end.
   */
  nameOfDialled(id: EntityId, dialled: EntityId, port: number, atMs: number): EndName | undefined
  /** Outside names that were folded into `external` because there were too many. */
  folded(): number
}

export interface EndNamesOptions {
  readonly index: Pick<EntityIndex, 'entity' | 'group' | 'identity' | 'dialled' | 'isKubernetes' | 'revision'>
  /** Put in front of names of this cluster as `NAME::`; OAP shows it as the group. */
  readonly cluster: string
  /** Different outside names at a time; each costs an edge in OAP. */
  readonly maxOutsideNames?: number
}

type Renewed = Omit<EndName, 'properties'> & { properties: EndName['properties'] }

const nothing: EndName['properties'] = []
const forgetOutsideMs = 60 * 60_000

/**
 * Where Kubernetes knows an end, it is `service.namespace`, or its workload's name where it stands behind no service,
 * and its pod is the instance. Otherwise a process is a service named `program.where`, where is the unit, the container
 * or the machine it runs in, and its machine is the instance: the same unit on several machines is one service. Outside
 * ends have the name that a range, or DNS, gave them, or are `external` together: an address is never a name.
 */
export function createEndNames(options: EndNamesOptions): EndNames {
  const { index, maxOutsideNames = 500 } = options
  const prefix = options.cluster === '' ? '' : `${options.cluster}::`
  const known = new LRUCache<EntityId, EndName>({ max: 65_536 })
  /** By who answered and what was dialled. */
  const knownDialled = new LRUCache<string, EndName>({ max: 65_536 })
  /** One object per name, whatever entities have it; its properties are those that were known last. */
  const named = new LRUCache<string, { readonly end: Renewed; asOfMs: number }>({ max: 65_536 })
  const outside = new Map<string, number>()
  let revision = -1
  let knownMinute = -1
  let folded = 0

  function intern(service: string, pod: string, properties: EndName['properties'], atMs: number): EndName {
    const key = `${service}\n${pod}`
    const kept = named.get(key)
    if (kept === undefined) {
      const end = { service, pod, properties }
      named.set(key, { end, asOfMs: atMs })
      return end
    }
    if (atMs >= kept.asOfMs) {
      kept.end.properties = properties
      kept.asOfMs = atMs
    }
    return kept.end
  }

  function inside({ service, pod, properties }: UnfitEnd, atMs: number): EndName {
    const own = isAddress(service) ? `node-${service}` : service
    return intern(
      prefix + fitName(own, nameLimits.service - prefix.length),
      isAddress(pod) ? `node-${pod}` : fitName(pod, nameLimits.pod),
      properties,
      atMs,
    )
  }

  function outsideNamed(name: string, atMs: number): EndName {
    const external = intern(externalService, '', nothing, atMs)
    if (name === '' || name.trim() !== name || isAddress(name) || name === 'Unknown') return external
    if (!outside.has(name) && outside.size >= maxOutsideNames) {
      for (const [other, seenMs] of outside) if (atMs - seenMs > forgetOutsideMs) outside.delete(other)
      if (outside.size >= maxOutsideNames) {
        folded++
        return external
      }
    }
    outside.set(name, atMs)
    return intern(fitName(name, nameLimits.service), '', nothing, atMs)
  }

  function find(id: EntityId, entity: Entity, atMs: number): EndName {
    const identity = index.identity(id, atMs)
    if (identity !== undefined) return inside(endOfIdentity(identity), atMs)
    if (entity.kind === 'process') return inside(endOfProcess(entity), atMs)
    const group = index.group(id, 'process', atMs)
    if (group.kind === 'host') return inside({ service: group.name, pod: '', properties: nothing }, atMs)
    return outsideNamed(group.foundBy === 'address' ? '' : group.name, atMs)
  }

  function forgetOld(atMs: number): void {
    const minute = Math.floor(atMs / 60_000)
    if (index.revision() === revision && minute === knownMinute) return
    known.clear()
    knownDialled.clear()
    revision = index.revision()
    knownMinute = minute
  }

  function nameOf(id: EntityId, atMs: number): EndName | undefined {
    forgetOld(atMs)
    const kept = known.get(id)
    if (kept !== undefined) return kept
    const entity = index.entity(id)
    if (entity === undefined) return undefined
    const name = find(id, entity, atMs)
    known.set(id, name)
    return name
  }

  /** The service that was dialled counts for more than the one that its backend stands behind by itself. */
  function behind(service: KubeIdentity, own: EndName, atMs: number): EndName {
    const { service: name } = endOfIdentity(service)
    return inside({ service: name, pod: own.pod, properties: own.properties }, atMs)
  }

  return {
    nameOf,
    nameOfDialled(id, dialled, port, atMs) {
      const own = nameOf(id, atMs)
      if (own === undefined || !index.isKubernetes) return own
      const key = `${id} ${dialled} ${port}`
      const kept = knownDialled.get(key)
      if (kept !== undefined) return kept
      const service = index.dialled(dialled, port, atMs)
      const name = service === undefined ? own : behind(service, own, atMs)
      knownDialled.set(key, name)
      return name
    },
    folded: () => folded,
  }
}
