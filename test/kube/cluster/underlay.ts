import { existsSync } from 'node:fs'
import { ipBatch, setSysctls } from '../../lab/namespaces.ts'
import { runCommand } from '../../lab/run-command.ts'
import { controlPlane, controlPlaneAddress, netnsPath, nodes } from './names.ts'

/**
 * A bridge in the control plane's namespace with one link to each node's, and routes to every node's pods. The
 * machine's own network has no part in it: what talks to the cluster runs in the control plane's namespace.
 */
export async function buildUnderlay(): Promise<void> {
  if (!existsSync(netnsPath(controlPlane))) {
    await runCommand(['ip', 'netns', 'add', controlPlane])
    await ipBatch(controlPlane, [
      'link set lo up',
      'link add br0 type bridge',
      `addr add ${controlPlaneAddress}/24 dev br0`,
      'link set br0 up',
    ])
    await setSysctls(controlPlane, { 'net.ipv4.ip_forward': 1 })
  }
  for (const { name, address } of nodes) {
    if (existsSync(netnsPath(name))) continue
    await runCommand(['ip', 'netns', 'add', name])
    await ipBatch(controlPlane, [
      `link add ${name} type veth peer name eth0 netns ${name}`,
      `link set ${name} master br0 up`,
    ])
    await ipBatch(name, [
      'link set lo up',
      `addr add ${address}/24 dev eth0`,
      'link set eth0 up',
      `route add default via ${controlPlaneAddress}`,
    ])
    await setSysctls(name, { 'net.ipv4.ip_forward': 1 })
  }
  for (const at of [controlPlane, ...nodes.map(n => n.name)]) {
    const others = nodes.filter(n => n.name !== at)
    await ipBatch(
      at,
      others.map(n => `route replace ${n.podRange} via ${n.address}`),
    )
  }
}

export async function removeUnderlay(): Promise<void> {
  for (const name of [...nodes.map(n => n.name), controlPlane])
    if (existsSync(netnsPath(name))) await runCommand(['ip', 'netns', 'del', name])
}
