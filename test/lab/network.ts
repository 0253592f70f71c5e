import { nodeNetns, outsideNetns, podNetns } from './names.ts'
import { addNamespaces, inNamespace, ipBatch, setSysctls } from './namespaces.ts'
import { runCommand } from './run-command.ts'
import {
  bridgeAddresses,
  type LabSpec,
  type NodeSpec,
  nodeAddresses,
  outsideAddresses,
  type PodSpec,
  podAddresses,
  podRange,
  unreachableAddresses,
} from './spec.ts'

/**
 * Pods have single addresses and one route, to the bridge of their node: so traffic between two pods of one node also
 * passes the node's forward chain, as it does with kube-proxy and bridge netfilter.
 */

const everywhere = {
  'net.ipv6.conf.all.disable_ipv6': 0,
  'net.ipv6.conf.default.accept_dad': 0,
  'net.ipv6.conf.default.accept_ra': 0,
  'net.ipv4.conf.all.accept_redirects': 0,
  'net.ipv4.conf.default.accept_redirects': 0,
  'net.ipv6.conf.all.accept_redirects': 0,
  'net.ipv6.conf.default.accept_redirects': 0,
}
const router = {
  ...everywhere,
  'net.ipv4.ip_forward': 1,
  'net.ipv6.conf.all.forwarding': 1,
  'net.ipv4.conf.all.send_redirects': 0,
  'net.ipv4.conf.default.send_redirects': 0,
  'net.ipv4.conf.all.rp_filter': 0,
  'net.ipv4.conf.default.rp_filter': 0,
  // pods are routed, not bridged; otherwise a redirected frame never leaves by the port it came from
  'net.bridge.bridge-nf-call-iptables?': 0,
  'net.bridge.bridge-nf-call-ip6tables?': 0,
  // one refused dial after the other must each be answered
  'net.ipv4.icmp_ratelimit': 0,
  'net.ipv6.icmp.ratelimit': 0,
}

/** Builds all namespaces, bridges, links, addresses and routes. */
export async function buildNetwork(spec: LabSpec): Promise<void> {
  const nodes = spec.nodes.map(n => nodeNetns(spec, n.name))
  const own = spec.pods.filter(p => !p.hostNetwork)
  await addNamespaces([outsideNetns(spec), ...nodes, ...own.map(p => podNetns(spec, p))])
  await Promise.all([
    setSysctls(outsideNetns(spec), router),
    ...nodes.map(name => setSysctls(name, router)),
    ...own.map(p => setSysctls(podNetns(spec, p), everywhere)),
  ])
  await ipBatch(outsideNetns(spec), underlay(spec))
  await Promise.all(spec.nodes.map(n => ipBatch(nodeNetns(spec, n.name), nodeSide(spec, n))))
  await Promise.all(
    spec.nodes.map(n =>
      ipBatch(
        nodeNetns(spec, n.name),
        own.filter(p => p.node === n.name).flatMap(p => podLink(spec, p)),
      ),
    ),
  )
  await Promise.all(own.map(p => ipBatch(podNetns(spec, p), podSide(spec, p))))
}

function underlay(spec: LabSpec): string[] {
  const lines = ['link set lo up', 'link add br0 type bridge', 'link set br0 up']
  lines.push(`addr add ${outsideAddresses.v4}/24 dev br0`, `addr add ${outsideAddresses.v6}/64 dev br0 nodad`)
  for (const node of spec.nodes) {
    const link = `node${node.number}`
    lines.push(`link add ${link} type veth peer name eth0 netns ${nodeNetns(spec, node.name)}`)
    lines.push(`link set ${link} master br0 up`)
    const { v4, v6 } = nodeAddresses(node)
    lines.push(`route add ${podRange(node).v4} via ${v4}`, `route add ${podRange(node).v6} via ${v6}`)
  }
  return lines
}

function nodeSide(spec: LabSpec, node: NodeSpec): string[] {
  const own = nodeAddresses(node)
  const bridge = bridgeAddresses(node)
  const lines = ['link set lo up', 'link add br0 type bridge', 'link set br0 up', 'link set eth0 up']
  lines.push(`addr add ${own.v4}/24 dev eth0`, `addr add ${own.v6}/64 dev eth0 nodad`)
  lines.push(`addr add ${bridge.v4}/24 dev br0`, `addr add ${bridge.v6}/64 dev br0 nodad`)
  lines.push(`route add default via ${outsideAddresses.v4}`, `route add ::/0 via ${outsideAddresses.v6}`)
  lines.push(`route add unreachable ${unreachableAddresses.v4}/32`)
  lines.push(`route add unreachable ${unreachableAddresses.v6}/128`)
  for (const other of spec.nodes) {
    if (other === node) continue
    const { v4, v6 } = nodeAddresses(other)
    lines.push(`route add ${podRange(other).v4} via ${v4}`, `route add ${podRange(other).v6} via ${v6}`)
  }
  return lines
}

/** The node's end of a pod's link; run in the node's namespace. */
export function podLink(spec: LabSpec, pod: PodSpec): string[] {
  const link = podLinkName(pod)
  return [
    `link add ${link} type veth peer name eth0 netns ${podNetns(spec, pod)}`,
    `link set ${link} master br0 up`,
  ]
}

export const podLinkName = (pod: PodSpec) => `pod${pod.uid.slice(0, 8)}`

/** The pod's end; run in the pod's namespace. */
export function podSide(spec: LabSpec, pod: PodSpec): string[] {
  const node = spec.nodes.find(n => n.name === pod.node)!
  const own = podAddresses(spec, pod)
  const gateway = bridgeAddresses(node)
  return [
    'link set lo up',
    'link set eth0 up',
    `addr add ${own.v4}/32 dev eth0`,
    `addr add ${own.v6}/128 dev eth0 nodad`,
    `route add ${gateway.v4} dev eth0`,
    `route add default via ${gateway.v4} src ${own.v4}`,
    `route add ${gateway.v6} dev eth0`,
    `route add ::/0 via ${gateway.v6} src ${own.v6}`,
  ]
}

export async function addPodNetwork(spec: LabSpec, pod: PodSpec): Promise<void> {
  await addNamespaces([podNetns(spec, pod)])
  await setSysctls(podNetns(spec, pod), everywhere)
  await ipBatch(nodeNetns(spec, pod.node), podLink(spec, pod))
  await ipBatch(podNetns(spec, pod), podSide(spec, pod))
  // a former pod's hardware address for the same IP must not be used
  await ipBatch(nodeNetns(spec, pod.node), ['neigh flush dev br0'])
}

/** Switches segmentation and merging on or off at both ends of a pod's link, so that packets are segments. */
export async function setPodOffload(spec: LabSpec, pod: PodSpec, state: 'on' | 'off'): Promise<void> {
  if (pod.hostNetwork) throw new Error(`${pod.name} has no link of its own`)
  const flags = ['tso', state, 'gso', state, 'gro', state]
  await Promise.all([
    runCommand([...inNamespace(podNetns(spec, pod)), 'ethtool', '-K', 'eth0', ...flags]),
    runCommand([...inNamespace(nodeNetns(spec, pod.node)), 'ethtool', '-K', podLinkName(pod), ...flags]),
  ])
}

/** The same for a node's link to the underlay. */
export async function setNodeOffload(spec: LabSpec, node: NodeSpec, state: 'on' | 'off'): Promise<void> {
  const flags = ['tso', state, 'gso', state, 'gro', state]
  await Promise.all([
    runCommand([...inNamespace(nodeNetns(spec, node.name)), 'ethtool', '-K', 'eth0', ...flags]),
    runCommand([...inNamespace(outsideNetns(spec)), 'ethtool', '-K', `node${node.number}`, ...flags]),
  ])
}
