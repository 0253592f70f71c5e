/** What a lab consists of. Everything here is plain data: it is also what the state file holds. */

export type CgroupDriver = 'systemd' | 'cgroupfs'

export interface PodSpec {
  readonly name: string
  readonly node: string
  /** Shares the node's network namespace and addresses. */
  readonly hostNetwork: boolean
  /** Last byte of the pod's addresses; two pods may use the same one after each other. */
  readonly hostNumber: number
  readonly uid: string
  readonly containerId: string
}

export interface NodeSpec {
  readonly name: string
  /** 1-based; third byte of the pod range and last byte of the underlay address. */
  readonly number: number
  readonly cgroupDriver: CgroupDriver
}

export interface ServiceSpec {
  readonly name: string
  /** Last byte of the service's address. */
  readonly hostNumber: number
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  readonly targetPort: number
  /** Pod names. Without any, dialling is refused, as kube-proxy does. */
  readonly endpoints: readonly string[]
  readonly masquerade: boolean
  readonly nodePort?: number
}

export interface LabSpec {
  readonly id: string
  readonly nodes: readonly NodeSpec[]
  readonly pods: readonly PodSpec[]
  readonly services: readonly ServiceSpec[]
  /** Process that made the lab; a lab of a dead owner is removed by the next `Lab.removeStale`. 0: keep until `down`. */
  readonly ownerPid: number
}

export interface Addresses {
  readonly v4: string
  readonly v6: string
}

export const podRange = (node: NodeSpec) => ({
  v4: `10.244.${node.number}.0/24`,
  v6: `fd44:0:0:${node.number.toString(16)}::/64`,
})
export const bridgeAddresses = (node: NodeSpec): Addresses => ({
  v4: `10.244.${node.number}.1`,
  v6: `fd44:0:0:${node.number.toString(16)}::1`,
})
export const nodeAddresses = (node: NodeSpec): Addresses => ({
  v4: `172.31.0.${node.number}`,
  v6: `fd31::${node.number.toString(16)}`,
})
/** A machine on the underlay that belongs to no node: clients and servers outside the cluster. */
export const outsideAddresses: Addresses = { v4: '172.31.0.254', v6: 'fd31::fe' }
/** Routed nowhere: a node answers "host unreachable" at once. */
export const unreachableAddresses: Addresses = { v4: '10.250.0.1', v6: 'fd50::1' }

export function podAddresses(spec: LabSpec, pod: PodSpec): Addresses {
  const node = nodeOf(spec, pod.node)
  if (pod.hostNetwork) return nodeAddresses(node)
  return {
    v4: `10.244.${node.number}.${pod.hostNumber}`,
    v6: `fd44:0:0:${node.number.toString(16)}::${pod.hostNumber.toString(16)}`,
  }
}

export const serviceAddresses = (service: ServiceSpec): Addresses => ({
  v4: `10.96.0.${service.hostNumber}`,
  v6: `fd96::${service.hostNumber.toString(16)}`,
})

export function nodeOf(spec: LabSpec, name: string): NodeSpec {
  const node = spec.nodes.find(n => n.name === name)
  if (!node) throw new Error(`no node "${name}" in lab ${spec.id}: ${spec.nodes.map(n => n.name).join(', ')}`)
  return node
}

export function podOf(spec: LabSpec, name: string): PodSpec {
  const pod = spec.pods.find(p => p.name === name)
  if (!pod) throw new Error(`no pod "${name}" in lab ${spec.id}: ${spec.pods.map(p => p.name).join(', ')}`)
  return pod
}
