import type { Entity } from '../../../resolve/entity.ts'
import type { KubeIdentity } from '../../../resolve/kube-identity.ts'
import type { EndName } from './end-name.ts'

/** An end as it would be called if names could be of any length. */
export type UnfitEnd = Pick<EndName, 'service' | 'pod' | 'properties'>

/**
 * What Kubernetes knows. A pod is an instance of the service that it stands behind, or of its workload where it stands
 * behind none, or behind several of which none is the obvious one. A service whose backend is not known, and a node,
 * are no instance.
 */
export function endOfIdentity(identity: KubeIdentity): UnfitEnd {
  const { kind, namespace, name, node, zone, service, workload, workloadKind } = identity
  if (kind === 'node') return { service: name, pod: '', properties: [] }
  if (kind === 'service') return { service: `${name}.${namespace}`, pod: '', properties: [] }
  return {
    service: `${service || workload || name}.${namespace}`,
    pod: name,
    properties: filled([
      ['namespace', namespace],
      ['pod', name],
      ['node', node],
      ['zone', zone],
      ['workload', workload === '' ? '' : `${workloadKind}/${workload}`],
    ]),
  }
}

/** What the kernel alone knows. */
export function endOfProcess(entity: Entity): UnfitEnd {
  const where = entity.containerId.slice(0, 12) || entity.unit || entity.host
  return {
    service: entity.process === '' ? where : `${entity.process}.${where}`,
    pod: entity.host,
    properties: filled([
      ['node', entity.host],
      ['process', entity.process],
      ['unit', entity.unit],
      ['container', entity.containerId],
    ]),
  }
}

function filled(properties: EndName['properties']): EndName['properties'] {
  return properties.filter(([, value]) => value !== '')
}
