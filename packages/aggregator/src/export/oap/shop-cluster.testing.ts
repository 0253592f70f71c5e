import { namedRange } from '../../kube/open-kubernetes.ts'
import { createOutsideRanges } from '../../resolve/address-range.ts'
import { type AddressWords, wordsOfText } from '../../resolve/address-text.ts'
import { createEntityIndex, type EntityIndex } from '../../resolve/entity-index.ts'
import { createKubeNames, type KubeNames } from '../../resolve/kube-names.ts'
import type { KubePod } from '../../resolve/kube-object.ts'

export const nodes = ['node-a', 'node-b'] as const

interface PodOf {
  readonly name: string
  readonly namespace?: string
  readonly node: (typeof nodes)[number]
  readonly address: string
  /** Name of its Deployment; it is on its own without. */
  readonly workload?: string
}

/**
 * A cluster of two nodes, as the watch would have put it into the index: `web` behind a service of the same name, `api`
 * behind `orders` and, for metrics, a headless one, `batch` behind none; what stands outside has names of ranges and DNS.
 */
export class ShopCluster {
  readonly names: KubeNames = createKubeNames()
  readonly index: EntityIndex
  #version = 0

  constructor() {
    const office = namedRange('office=192.0.2.0/24')!
    this.index = createEntityIndex({ source: this.names, outside: createOutsideRanges([office]) })
    for (const [i, name] of nodes.entries()) this.#node(name, `10.0.0.${i + 1}`)
    this.pod({ name: 'web-0', node: 'node-a', address: '10.1.0.10', workload: 'web' })
    this.pod({ name: 'web-1', node: 'node-b', address: '10.1.1.10', workload: 'web' })
    this.pod({ name: 'api-0', node: 'node-a', address: '10.1.0.20', workload: 'api' })
    this.pod({ name: 'api-1', node: 'node-b', address: '10.1.1.20', workload: 'api' })
    this.pod({ name: 'batch-0', node: 'node-a', address: '10.1.0.30', workload: 'batch' })
    this.pod({ name: 'shell', node: 'node-b', address: '10.1.1.40' })
    this.service('web', '10.96.0.10', ['web-0', 'web-1'], [30_080])
    this.service('orders', '10.96.0.20', ['api-0', 'api-1'])
    this.service('orders-metrics', '', ['api-0', 'api-1'])
    this.service('idle', '10.96.0.99', [])
    this.names.synced()
  }

  pod({ name, namespace = 'shop', node, address, workload }: PodOf): void {
    const pod: KubePod = {
      kind: 'pod',
      uid: uidOf(name),
      version: this.#next(),
      namespace,
      name,
      node,
      hostNetwork: false,
      addresses: [address],
      labels: ['app', workload ?? name],
      owner:
        workload === undefined
          ? undefined
          : { kind: 'Deployment', name: workload, uid: `deploy-${workload}` },
      configHash: '',
      containers: [`container-${name}`, 'main'],
      deleting: false,
      runsToCompletion: false,
      startedMs: 0,
      runningMs: 0,
      endedMs: undefined,
    }
    this.names.index.put(pod, 0)
  }

  service(name: string, address: string, pods: readonly string[], nodePorts: readonly number[] = []): void {
    const [version, common] = [this.#next(), { namespace: 'shop', createdMs: 0 }]
    this.names.index.put(
      {
        ...common,
        kind: 'service',
        uid: `service-${name}`,
        version,
        name,
        clusterAddresses: address === '' ? [] : [address],
        externalAddresses: [],
        externalName: '',
        nodePorts,
      },
      0,
    )
    const podUids = pods.map(uidOf)
    const slice = { kind: 'slice', uid: `slice-${name}`, service: name, podUids, addresses: [] } as const
    this.names.index.put({ ...common, ...slice, version }, 0)
  }

  /** The process of a pod's only container, as the pod's own node reports it. */
  process(pod: string, node: (typeof nodes)[number]): number {
    return this.index.ofOwner(this.index.node(node), {
      process: 'server',
      unit: '',
      containerId: `container-${pod}`,
      podUid: uidOf(pod),
      cgroup: '',
      pid: 1,
    })
  }

  /** A process of a node that belongs to no pod. */
  nodeProcess(process: string, node: (typeof nodes)[number]): number {
    const none = { containerId: '', podUid: '', cgroup: '', pid: 1 }
    return this.index.ofOwner(this.index.node(node), { ...none, process, unit: `${process}.service` })
  }

  /** An address that nobody reported for, as one node calls it. */
  address(text: string, node: (typeof nodes)[number], atMs: number): number {
    const { w0, w1, w2, w3 } = wordsOfText(text) as AddressWords
    return this.index.ofAddress(this.index.node(node), w0, w1, w2, w3, atMs)
  }

  learnName(text: string, name: string, node: (typeof nodes)[number], atMs: number): void {
    this.index.learnName(this.index.node(node), Uint8Array.from(text.split('.'), Number), name, atMs)
  }

  #node(name: string, address: string): void {
    const common = { kind: 'node', uid: `node-${name}`, zone: 'east', podRanges: ['10.1.0.0/16'] } as const
    this.names.index.put({ ...common, version: this.#next(), name, addresses: [address], createdMs: 0 }, 0)
  }

  #next(): string {
    return String(++this.#version)
  }
}

function uidOf(pod: string): string {
  return `uid-${pod}`
}
