import { LRUCache } from 'lru-cache'
import type { Entity } from '../../resolve/entity.ts'
import type { EntityIndex } from '../../resolve/entity-index.ts'
import type { KubeIdentity } from '../../resolve/kube-identity.ts'
import type { EntityId } from '../../topology/edge-book.ts'
import { externalService, isAddress } from '../oap/interval/end-name.ts'
import type { Attributes } from './attribute-bytes.ts'

/** One end of a conversation, as OpenTelemetry names it: a workload, not its pods. */
export interface OtlpEnd {
  /** Equal for equal ends. */
  readonly key: string
  readonly name: string
  readonly namespace: string
  readonly resource: Attributes
}

/** How entities are called at a time. */
export interface OtlpEnds {
  /** Undefined for an entity that is not known any more. */
  of(id: EntityId, atMs: number): OtlpEnd | undefined
}

/** All ends that are too many to tell apart. */
export const otherEnd = endOf('{other}', '', [])

const workloadKeys: Readonly<Record<string, string>> = {
  Deployment: 'k8s.deployment.name',
  StatefulSet: 'k8s.statefulset.name',
  DaemonSet: 'k8s.daemonset.name',
  ReplicaSet: 'k8s.replicaset.name',
  Job: 'k8s.job.name',
  CronJob: 'k8s.cronjob.name',
}

/**
 * In Kubernetes an end is its workload; otherwise a program in its unit or container, on its machine. What is outside
 * has the name of its range, or the one DNS gave it, or is `external`: an address is never a name.
 */
export function createOtlpEnds(
  index: Pick<EntityIndex, 'entity' | 'group' | 'identity' | 'revision'>,
): OtlpEnds {
  const known = new LRUCache<EntityId, OtlpEnd>({ max: 65_536 })
  let revision = -1
  let minute = -1

  function find(id: EntityId, entity: Entity, atMs: number): OtlpEnd {
    const identity = index.identity(id, atMs)
    if (identity !== undefined) return endOfIdentity(identity)
    if (entity.kind === 'process') return endOfProcess(entity)
    const { kind, name, foundBy } = index.group(id, 'process', atMs)
    if (kind === 'host') return endOf(name, '', [['host.name', name]])
    const isNamed = foundBy !== 'address' && name !== '' && !isAddress(name)
    return endOf(isNamed ? name : externalService, '', [])
  }

  return {
    of(id, atMs) {
      const at = Math.floor(atMs / 60_000)
      if (index.revision() !== revision || at !== minute) known.clear()
      revision = index.revision()
      minute = at
      const kept = known.get(id)
      if (kept !== undefined) return kept
      const entity = index.entity(id)
      if (entity === undefined) return undefined
      const end = find(id, entity, atMs)
      known.set(id, end)
      return end
    },
  }
}

function endOfIdentity(identity: KubeIdentity): OtlpEnd {
  const { kind, namespace, name, workload, workloadKind, service } = identity
  if (kind === 'node') return endOf(name, '', [['k8s.node.name', name]])
  const own = kind === 'service' ? name : workload || service || name
  const key = kind === 'pod' && workload !== '' ? workloadKeys[workloadKind] : undefined
  return endOf(own, namespace, [
    ['k8s.namespace.name', namespace],
    ...(key === undefined ? [] : [[key, workload] as const]),
  ])
}

function endOfProcess({ process, containerId, unit, host }: Entity): OtlpEnd {
  const where = containerId.slice(0, 12) || unit
  return endOf(process || where || host, process === '' ? '' : where, [['host.name', host]])
}

function endOf(name: string, namespace: string, own: Attributes): OtlpEnd {
  const resource: Attributes = [
    ['service.name', name] as const,
    ['service.namespace', namespace] as const,
    ...own,
  ].filter(([, value]) => value !== '')
  return { key: JSON.stringify(resource), name, namespace, resource }
}
