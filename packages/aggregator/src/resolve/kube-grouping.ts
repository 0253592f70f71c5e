import type { Entity, Group, GroupBy } from './entity.ts'
import { hostGroup, processGroup } from './entity-grouping.ts'
import type { KubeIdentity } from './kube-identity.ts'
import { idSegment } from './readable-id.ts'

/**
 * What an end is folded into where Kubernetes knows it. From fine to coarse: process, container, pod, workload (or
 * service), namespace; and node, zone. A service whose backend is not known stands for itself.
 */
export function kubeGroup(identity: KubeIdentity, entity: Entity, groupBy: GroupBy): Group {
  if (identity.kind === 'node') return nodeEndGroup(identity.name, identity.zone, groupBy, identity.foundBy)
  if (groupBy === 'namespace') return namespaceGroup(identity)
  if (identity.kind === 'service') return serviceGroup(identity, identity.name)
  if (groupBy === 'host') return hostGroup(identity.node)
  if (groupBy === 'node') return nodeGroup(identity.node, identity.zone, identity.foundBy)
  if (groupBy === 'zone') return zoneGroup(identity.zone, identity.foundBy)
  if (groupBy === 'service' && identity.service !== '') return serviceGroup(identity, identity.service)
  if (groupBy === 'service' || groupBy === 'workload') return workloadGroup(identity)
  const pod = podGroup(identity)
  if (groupBy === 'pod') return pod
  const container = identity.container === '' ? undefined : partOf(pod, 'container', identity.container)
  if (groupBy !== 'process' || entity.process === '') return container ?? pod
  const around = container ?? { ...pod, id: `${pod.id}/-` }
  return { ...partOf(around, 'process', entity.process), parent: container?.id ?? pod.id }
}

/** A process of a node that belongs to no pod: the node's own services, and what people started there. */
export function nodeProcessGroup(entity: Entity, zone: string, groupBy: GroupBy): Group {
  if (groupBy === 'process' || groupBy === 'container' || groupBy === 'unit' || groupBy === 'host')
    return processGroup(entity, groupBy)
  const isNamed = entity.unit !== '' || entity.containerId !== ''
  if (isNamed && (groupBy === 'pod' || groupBy === 'workload' || groupBy === 'service'))
    return processGroup(entity, 'unit')
  return nodeEndGroup(entity.host, zone, groupBy, 'kernel')
}

/** A node itself as an end. */
export function nodeEndGroup(name: string, zone: string, groupBy: GroupBy, foundBy: Group['foundBy']): Group {
  if (groupBy === 'zone') return zoneGroup(zone, foundBy)
  if (groupBy === 'namespace')
    return { id: 'node', kind: 'node', name: 'all nodes', parent: '', foundBy: 'kernel' }
  if (groupBy === 'process' || groupBy === 'container' || groupBy === 'unit' || groupBy === 'host')
    return { ...hostGroup(name), foundBy }
  return nodeGroup(name, zone, foundBy)
}

function partOf(around: Group, kind: 'container' | 'process', name: string): Group {
  return { ...around, id: `${around.id}/${idSegment(name)}`, kind, name, parent: around.id }
}

function podGroup(identity: KubeIdentity): Group {
  const { namespace, name, foundBy } = identity
  return {
    id: `pod/${idSegment(namespace)}/${idSegment(name)}`,
    kind: 'pod',
    name,
    namespace,
    parent: workloadId(identity),
    foundBy,
  }
}

function workloadId({ namespace, workloadKind, workload }: KubeIdentity): string {
  return `workload/${idSegment(namespace)}/${idSegment(workloadKind)}/${idSegment(workload)}`
}

function workloadGroup(identity: KubeIdentity): Group {
  const { namespace, workload, foundBy } = identity
  return {
    id: workloadId(identity),
    kind: 'workload',
    name: workload,
    namespace,
    parent: namespaceId(namespace),
    foundBy,
  }
}

function serviceGroup({ namespace, foundBy }: KubeIdentity, name: string): Group {
  return {
    id: `service/${idSegment(namespace)}/${idSegment(name)}`,
    kind: 'service',
    name,
    namespace,
    parent: namespaceId(namespace),
    foundBy,
  }
}

function namespaceId(namespace: string): string {
  return `namespace/${idSegment(namespace)}`
}

function namespaceGroup({ namespace, foundBy }: KubeIdentity): Group {
  return { id: namespaceId(namespace), kind: 'namespace', name: namespace, namespace, parent: '', foundBy }
}

function nodeGroup(name: string, zone: string, foundBy: Group['foundBy']): Group {
  const parent = zone === '' ? '' : `zone/${idSegment(zone)}`
  return { id: `node/${idSegment(name)}`, kind: 'node', name, parent, foundBy }
}

function zoneGroup(zone: string, foundBy: Group['foundBy']): Group {
  return { id: `zone/${idSegment(zone)}`, kind: 'zone', name: zone, parent: '', foundBy }
}
