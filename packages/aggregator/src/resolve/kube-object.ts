/**
 * Objects of the Kubernetes API, trimmed to what names are made from. Times are Unix milliseconds; the API writes whole
 * seconds, cut off, so what it says happened at a time happened within the second after it.
 */

/** Keys and values in turn, sorted by key; equal label sets are one array. */
export type Labels = readonly string[]

export interface OwnerReference {
  readonly kind: string
  readonly name: string
  readonly uid: string
}

export interface KubePod {
  readonly kind: 'pod'
  readonly uid: string
  /** resourceVersion: of two states of one object the one with the higher number is newer. */
  readonly version: string
  readonly namespace: string
  readonly name: string
  readonly node: string
  /** Shares its node's addresses and network namespace. */
  readonly hostNetwork: boolean
  readonly addresses: readonly string[]
  readonly labels: Labels
  /** The controller, if it has one. */
  readonly owner: OwnerReference | undefined
  /** Of a static pod: what its cgroup is named after instead of the UID. */
  readonly configHash: string
  /** Ids and names in turn, of containers that run or ran. */
  readonly containers: readonly string[]
  readonly deleting: boolean
  /** Ends by itself, so that its address can go to another pod without a deletion before. */
  readonly runsToCompletion: boolean
  /** Accepted by its node: it had no address before. */
  readonly startedMs: number | undefined
  /** A container was running, so it had its addresses. */
  readonly runningMs: number | undefined
  /** All containers had ended. */
  readonly endedMs: number | undefined
}

export interface KubeService {
  readonly kind: 'service'
  readonly uid: string
  readonly version: string
  readonly namespace: string
  readonly name: string
  readonly clusterAddresses: readonly string[]
  readonly externalAddresses: readonly string[]
  readonly externalName: string
  readonly nodePorts: readonly number[]
  readonly createdMs: number
}

/** An EndpointSlice: what stands behind a service. */
export interface KubeSlice {
  readonly kind: 'slice'
  readonly uid: string
  readonly version: string
  readonly namespace: string
  readonly service: string
  readonly podUids: readonly string[]
  /** Addresses of backends that are no pods. */
  readonly addresses: readonly string[]
  readonly createdMs: number
}

export interface KubeNode {
  readonly kind: 'node'
  readonly uid: string
  readonly version: string
  readonly name: string
  readonly zone: string
  readonly addresses: readonly string[]
  readonly podRanges: readonly string[]
  readonly createdMs: number
}

/** Something between a pod and its workload: a ReplicaSet or a Job. */
export interface KubeOwner {
  readonly kind: 'owner'
  readonly uid: string
  readonly version: string
  readonly owner: OwnerReference | undefined
}

export type KubeObject = KubePod | KubeService | KubeSlice | KubeNode | KubeOwner
export type KubeKind = KubeObject['kind']

/** True if `a` is a later state than `b`. Numbers of any length, as texts. */
export function isNewer(a: string, b: string): boolean {
  return a.length === b.length ? a > b : a.length > b.length
}
