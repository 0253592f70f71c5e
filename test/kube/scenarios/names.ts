import { beforeAll, describe, it } from 'vitest'
import { nodes } from '../cluster/names.ts'
import { bothEnds, expectEdges, type TrueEdge, workload } from '../edge-truth.ts'
import type { Edge, Installation } from '../installation.ts'
import {
  deploymentOf,
  dialAll,
  outsidePeer,
  type Peer,
  peerOf,
  plus,
  podOf,
  serviceOf,
} from '../pods/peers.ts'

const [first, second] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
const ports = { cluster: 8081, node: 8082, headless: 8083, bare: 8084, host: 8085 }
// where the other scenarios dial the same pod
const portsOfOthers = [8091, 8092, 8093, 8094, 8095, 8096]
const nodePort = 30_082
const isOnPorts =
  (...wanted: number[]) =>
  (edge: Edge) =>
    wanted.includes(edge.port)

const servicePorts = (port: number, targetPort = port) => ({ ports: [{ port, targetPort }] })

const manifests = [
  deploymentOf({ name: 'server', node: first.name, listen: [...Object.values(ports), ...portsOfOthers] }),
  deploymentOf({ name: 'client', node: second.name }),
  podOf({ name: 'bare', node: first.name, listen: [ports.bare] }),
  deploymentOf({ name: 'host-server', node: first.name, listen: [ports.host], hostNetwork: true }),
  deploymentOf({ name: 'host-client', node: second.name, control: 9901, hostNetwork: true }),
  serviceOf('server', 'server', servicePorts(80, ports.cluster)),
  serviceOf('server-headless', 'server', { clusterIP: 'None', ...servicePorts(ports.headless) }),
  serviceOf('server-node-port', 'server', {
    type: 'NodePort',
    ports: [{ port: ports.node, nodePort }],
  }),
]

/** Every way to reach a pod, each with the counts and bytes of the programs themselves. */
export function names(installed: () => Installation): void {
  describe('names and counts', () => {
    let client: Peer
    let hostClient: Peer
    let bare: Peer

    beforeAll(async () => {
      const { cluster } = installed()
      await cluster.apply(manifests)
      ;[client, hostClient, bare] = await Promise.all([
        peerOf(cluster, 'client'),
        peerOf(cluster, 'host-client', 9901),
        peerOf(cluster, 'bare'),
        peerOf(cluster, 'server'),
        peerOf(cluster, 'host-server'),
      ])
    })

    it('through a ClusterIP to another node, from a pod and from a pod in the network of its node', async () => {
      const target = { host: 'server.proof', port: 80 }
      const ends = { target: workload('server'), port: ports.cluster, via: 'service/proof/server:80' }
      const dialled = await dialAll(client, { ...target, count: 40, bytes: 5_000 })
      const fromHost = await dialAll(hostClient, { ...target, count: 7 })
      await expectEdges(installed(), isOnPorts(ports.cluster), [
        bothEnds({ source: workload('client'), ...ends }, dialled),
        bothEnds({ source: workload('host-client'), ...ends }, fromHost),
      ])
    })

    it('through a node port: of the node with the pod, of the other one, and from outside', async () => {
      const outside = await outsidePeer()
      try {
        const ends = { target: workload('server'), port: ports.node }
        const via = `service/proof/server-node-port:${nodePort}`
        const runs = [first, second].map(({ address }) =>
          dialAll(client, { host: address, port: nodePort, count: 5 }),
        )
        const [here, there] = await Promise.all(runs)
        const inside = bothEnds({ source: workload('client'), ...ends, via }, plus(here!, there!))
        // the node that takes it in puts its own address in place of the dialler's: to its own pod the one that the
        // pods' network gave it
        const fromOutside = async (host: string, count: number, source: string): Promise<TrueEdge> => {
          const { opened, sent, received } = await dialAll(outside, { host, port: nodePort, count })
          const server = { sent: received, received: sent }
          return { source, ...ends, observed: 'server', opened, refused: 0, server }
        }
        await expectEdges(installed(), isOnPorts(ports.node), [
          inside,
          await fromOutside(second.address, 4, `node/${second.name}`),
          await fromOutside(first.address, 3, `node/${first.name}`),
        ])
      } finally {
        await outside.end()
      }
    })

    it('by the name of a headless service', async () => {
      const dialled = await dialAll(client, { host: 'server-headless.proof', port: ports.headless, count: 6 })
      await expectEdges(installed(), isOnPorts(ports.headless), [
        bothEnds({ source: workload('client'), target: workload('server'), port: ports.headless }, dialled),
      ])
    })

    it('by the address of a pod that no service stands for', async () => {
      const dialled = await client.run({ host: bare.address, port: ports.bare, count: 6 })
      await expectEdges(installed(), isOnPorts(ports.bare), [
        bothEnds({ source: workload('client'), target: workload('bare', 'Pod'), port: ports.bare }, dialled),
      ])
    })

    it('to a pod in the network of its node', async () => {
      const dialled = await client.run({ host: first.address, port: ports.host, count: 6 })
      const own = await hostClient.run({ host: first.address, port: ports.host, count: 3 })
      const ends = { target: workload('host-server'), port: ports.host }
      await expectEdges(installed(), isOnPorts(ports.host), [
        bothEnds({ source: workload('client'), ...ends }, dialled),
        bothEnds({ source: workload('host-client'), ...ends }, own),
      ])
    })
  })
}
