import type { Labels } from './kube-object.ts'

/** What Kubernetes knows of one end of a connection: all that an answer shows or selects by, and no more. */
export interface KubeIdentity {
  readonly kind: 'pod' | 'service' | 'node'
  /** How an address was found to be its; `kernel` where the socket's own cgroup said so. */
  readonly foundBy: 'kernel' | 'pod-ip' | 'cluster-ip' | 'external-ip' | 'node-address' | 'endpoint' | 'dns'
  readonly namespace: string
  /** Of the pod, service or node. */
  readonly name: string
  readonly node: string
  readonly zone: string
  readonly workloadKind: string
  readonly workload: string
  /** Of a pod: the service it stands behind; empty if none, or if several and none of them is the obvious one. */
  readonly service: string
  readonly container: string
  readonly labels: Labels
}

const kinds = ['pod', 'service', 'node']
const waysToFind = ['kernel', 'pod-ip', 'cluster-ip', 'external-ip', 'node-address', 'endpoint', 'dns']
/** All but the labels, in the order in which they are written. */
const fields = [
  'kind',
  'foundBy',
  'namespace',
  'name',
  'node',
  'zone',
  'workloadKind',
  'workload',
  'service',
  'container',
] as const satisfies readonly Exclude<keyof KubeIdentity, 'labels'>[]

/** Everything but the labels as one text, for segments. */
export function identityText(identity: KubeIdentity): string {
  return JSON.stringify(fields.map(field => identity[field]))
}

export function labelsText(labels: Labels): string {
  return labels.length === 0 ? '' : JSON.stringify(labels)
}

/** Undefined for texts that the two above did not make. */
export function identityOfText(text: string, labels: string): KubeIdentity | undefined {
  const parts = stringsOf(text)
  const pairs = labels === '' ? [] : stringsOf(labels)
  if (parts?.length !== fields.length || !pairs || pairs.length % 2 !== 0) return undefined
  if (!kinds.includes(parts[0]) || !waysToFind.includes(parts[1])) return undefined
  const values = Object.fromEntries(fields.map((field, i) => [field, parts[i]]))
  return { ...(values as unknown as Omit<KubeIdentity, 'labels'>), labels: pairs }
}

function stringsOf(text: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every(v => typeof v === 'string') ? value : undefined
  } catch {
    return undefined
  }
}
