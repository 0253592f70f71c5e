import { L7Protocol } from '@skybraid/shared'
import { wordsOfText } from '../resolve/address-text.ts'
import { createEntityIndex } from '../resolve/entity-index.ts'
import { createKubeNames } from '../resolve/kube-names.ts'
import { createKubeTrimmer } from '../resolve/kube-trim.ts'
import { Counter, Histogram } from './counters.ts'
import type { EntityId } from './edge-book.ts'
import { createTopology } from './topology.ts'

export const minuteMs = 60_000
export const worldMinute = 29_400_000
export const worldMs = worldMinute * minuteMs

export interface WorldPod {
  readonly namespace: string
  readonly name: string
  /** Its ReplicaSet has the same name with `-rs` behind. */
  readonly workload: string
  readonly node: string
  readonly address: string
  readonly labels?: Readonly<Record<string, string>>
}

export interface WorldService {
  readonly namespace: string
  readonly name: string
  readonly address: string
  readonly backends?: readonly string[]
  readonly nodePort?: number
}

export interface WorldCall {
  readonly from: EntityId
  readonly to: EntityId
  readonly port: number
  readonly via?: EntityId
  readonly viaPort?: number
  readonly protocol?: 'tcp' | 'udp'
  readonly bytes?: number
  readonly opened?: number
  /** One such request of HTTP was seen by the client. */
  readonly asks?: string
}

const before = new Date(worldMs - 60 * minuteMs).toISOString()

/** A topology over pods, services and nodes that a test names; calls are booked to its first minute. */
export function createKubeWorld() {
  const names = createKubeNames()
  const trimmer = createKubeTrimmer()
  const index = createEntityIndex({ source: names })
  const topology = createTopology({ index, startMs: worldMs, maxOpenRows: 4096, maxEdges: 1024 })
  const uids = new Map<string, string>()
  let version = 0
  topology.book(0)
  topology.advance(worldMs)

  function metadataOf(kind: string, namespace: string, name: string, more: object = {}) {
    const uid = `${kind}-${namespace}-${name}`
    return { uid, namespace, name, resourceVersion: String(++version), creationTimestamp: before, ...more }
  }

  function address(node: string, text: string): EntityId {
    const { w0, w1, w2, w3 } = wordsOfText(text)!
    return index.ofAddress(index.node(node), w0, w1, w2, w3, worldMs + 1000)
  }

  return {
    names,
    index,
    topology,
    address,
    node(name: string, zone: string, ip: string) {
      const metadata = metadataOf('node', '', name, { labels: { 'topology.kubernetes.io/zone': zone } })
      const status = { addresses: [{ type: 'InternalIP', address: ip }] }
      names.index.put(trimmer.node({ metadata, spec: {}, status })!, worldMs)
    },
    /** The pod's own process as its node's collector reports it. */
    pod(pod: WorldPod, process = 'app'): EntityId {
      const { namespace, name, workload, node, labels = {} } = pod
      const set = metadataOf('rs', namespace, `${workload}-rs`, {
        ownerReferences: [
          { controller: true, kind: 'Deployment', name: workload, uid: `d-${namespace}-${workload}` },
        ],
      })
      names.index.put(trimmer.owner({ metadata: set })!, worldMs)
      const metadata = metadataOf('pod', namespace, name, {
        labels,
        ownerReferences: [{ controller: true, kind: 'ReplicaSet', name: set.name, uid: set.uid }],
      })
      const running = { state: { running: { startedAt: before } }, containerID: `containerd://${name}-c` }
      const status = {
        startTime: before,
        podIPs: [{ ip: pod.address }],
        containerStatuses: [{ name: 'main', ...running }],
      }
      names.index.put(trimmer.pod({ metadata, spec: { nodeName: node }, status })!, worldMs)
      names.noteNamespace(namespace)
      uids.set(`${namespace}/${name}`, metadata.uid)
      const owner = { cgroup: '', podUid: metadata.uid, containerId: `${name}-c`, unit: '', process, pid: 1 }
      return index.ofOwner(index.node(node), owner)
    },
    service({ namespace, name, address: ip, backends = [], nodePort }: WorldService) {
      const spec = { clusterIP: ip, ports: [{ port: 80, ...(nodePort && { nodePort }) }] }
      names.index.put(
        trimmer.service({ metadata: metadataOf('svc', namespace, name), spec, status: {} })!,
        worldMs,
      )
      names.noteNamespace(namespace)
      const metadata = metadataOf('eps', namespace, name, {
        labels: { 'kubernetes.io/service-name': name },
      })
      const endpoints = backends.map(pod => ({
        targetRef: { kind: 'Pod', uid: uids.get(`${namespace}/${pod}`) },
        addresses: [],
      }))
      names.index.put(trimmer.slice({ metadata, endpoints })!, worldMs)
    },
    /** A process of a node that is in no pod. */
    process(node: string, process: string): EntityId {
      const owner = { cgroup: '', podUid: '', containerId: '', unit: `${process}.service`, process, pid: 1 }
      return index.ofOwner(index.node(node), owner)
    },
    call(given: WorldCall) {
      const { from, to, port, via = -1, viaPort = 0, protocol = 'tcp', bytes = 1000, opened = 1 } = given
      const book = topology.book(0)
      const edge = book.edge(from, to, protocol === 'tcp' ? 1 : 2, port, via, viaPort)
      const row = book.row(edge, worldMinute)
      const { counters } = book
      if (protocol === 'tcp') counters[row + Counter.openedJoined] += opened
      counters[row + Counter.clientOpened] += opened
      counters[row + Counter.serverAccepted] += opened
      counters[row + Counter.clientBytesSent] += bytes
      counters[row + Counter.serverBytesReceived] += bytes
      if (protocol === 'tcp') book.sample(row, Histogram.clientRttUs, 100 + (bytes % 1000), 1)
      if (given.asks === undefined) return
      const said = book.said(worldMinute)!
      const operation = said.operation({ protocol: L7Protocol.http1, name: given.asks, host: '' })
      said.add(said.row(edge, operation, 200, 0), 0, 1)
    },
  }
}

export type KubeWorld = ReturnType<typeof createKubeWorld>
