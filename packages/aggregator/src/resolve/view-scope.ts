import type { Group } from './entity.ts'
import type { KubeIdentity } from './kube-identity.ts'

/**
 * What somebody may see: what is in these namespaces, and the addresses outside of Kubernetes that it talks to. All
 * else is one group, without a name. Whoever may see everything has no scope.
 */
export interface ViewScope {
  /** Sorted, each once. */
  readonly namespaces: readonly string[]
}

/** True for what Kubernetes knows to be in a namespace of the scope; what it does not know is in none. */
export function isInScope(scope: ViewScope, identity: KubeIdentity | undefined): boolean {
  return identity !== undefined && identity.namespace !== '' && hasName(scope.namespaces, identity.namespace)
}

/** By halves: there may be thousands, and every edge asks. */
function hasName(sorted: readonly string[], name: string): boolean {
  let from = 0
  let to = sorted.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if (sorted[middle] < name) from = middle + 1
    else to = middle
  }
  return sorted[from] === name
}

export const hiddenGroupId = 'hidden'

export const hiddenGroup: Group = {
  id: hiddenGroupId,
  kind: 'hidden',
  name: 'other namespaces',
  parent: '',
  foundBy: 'kernel',
}

const clusterDomain = /\.svc(?:\.|$)/

/**
 * True for what may be shown beside an end that is in scope: an address outside. A name that only the cluster's own DNS
 * gives tells of a namespace, whether its service is still known or not.
 */
export function isOutsideAll(group: Group): boolean {
  return group.kind === 'outside' && !(group.foundBy === 'dns' && clusterDomain.test(group.name))
}
