import type { KubeIdentity } from './kube-identity.ts'
import { type LabelSelector, matchesLabels } from './label-selector.ts'

/** Which ends of connections are asked for: an edge is in the answer if one of its ends is. */
export interface EndFilter {
  /** One of these; any if empty. */
  readonly namespaces: readonly string[]
  readonly labels: LabelSelector
}

/** What Kubernetes does not know is in no namespace and has no labels. */
export function isSelected(filter: EndFilter, identity: KubeIdentity | undefined): boolean {
  if (!identity) return false
  const { namespaces, labels } = filter
  if (namespaces.length > 0 && !namespaces.includes(identity.namespace)) return false
  // services and nodes are not looked for by the labels of pods
  return labels.length === 0 || (identity.kind === 'pod' && matchesLabels(labels, identity.labels))
}
