import { describe, expect, it } from 'vitest'
import { addressRange, createOutsideRanges } from './address-range.ts'
import { wordsOfText } from './address-text.ts'
import type { GroupBy } from './entity.ts'
import { createEntityIndex } from './entity-index.ts'
import { createKubeNames } from './kube-names.ts'
import { createKubeTrimmer } from './kube-trim.ts'

const nowMs = Date.UTC(2026, 0, 1)
const beforeMs = nowMs - 3_600_000
const before = new Date(beforeMs).toISOString()

interface Owner {
  readonly kind: string
  readonly name: string
}

interface PodLike {
  readonly name: string
  readonly address?: string
  readonly owner?: Owner
  readonly annotations?: Readonly<Record<string, string>>
  readonly hostNetwork?: boolean
  readonly containerStatuses?: readonly object[]
  readonly node?: string
}

/** A cluster of raw objects, as the API sends them, in the namespace `shop`. */
function cluster() {
  const trimmer = createKubeTrimmer()
  const names = createKubeNames()
  const outside = createOutsideRanges([{ name: 'office', range: addressRange('198.51.100.0/24')! }])
  const index = createEntityIndex({ source: names, outside })
  let version = 0
  const uidOf = (kind: string, name: string) => `${kind.toLowerCase()}-${name}`

  function metadataOf(kind: string, name: string, owner?: Owner, more: object = {}) {
    const ownerReferences = owner && [
      { kind: 'Elsewhere', name: 'no controller', uid: 'x' },
      { ...owner, uid: uidOf(owner.kind, owner.name), controller: true },
    ]
    return {
      uid: uidOf(kind, name),
      name,
      namespace: 'shop',
      resourceVersion: String(++version),
      creationTimestamp: before,
      ...(ownerReferences && { ownerReferences }),
      ...more,
    }
  }

  const groupOf = (id: number, groupBy: GroupBy) => {
    const { id: group, foundBy } = index.group(id, groupBy, nowMs)
    return `${group} by ${foundBy}`
  }

  return {
    names,
    owned(kind: string, name: string, owner: Owner) {
      names.index.put(trimmer.owner({ metadata: metadataOf(kind, name, owner) })!, nowMs)
    },
    pod({ name, address, owner, annotations, hostNetwork, containerStatuses = [], node = 'n1' }: PodLike) {
      const metadata = metadataOf('Pod', name, owner, annotations && { annotations })
      const status = { startTime: before, ...(address && { podIPs: [{ ip: address }] }), containerStatuses }
      const spec = { nodeName: node, ...(hostNetwork && { hostNetwork }) }
      names.index.put(trimmer.pod({ metadata, spec, status })!, nowMs)
    },
    service(name: string, spec: object, status: object = {}) {
      names.index.put(trimmer.service({ metadata: metadataOf('Service', name), spec, status })!, nowMs)
    },
    slice(service: string, endpoints: readonly object[]) {
      const labels = { 'kubernetes.io/service-name': service }
      const metadata = metadataOf('EndpointSlice', `${service}-x`, undefined, { labels })
      names.index.put(trimmer.slice({ metadata, endpoints })!, nowMs)
    },
    node(name: string, addresses: readonly object[], labels: object = {}) {
      const metadata = metadataOf('Node', name, undefined, { labels })
      names.index.put(trimmer.node({ metadata, spec: {}, status: { addresses } })!, nowMs)
    },
    /** What a process of a pod is called; `podUid` as its cgroup has it. */
    process(podUid: string, groupBy: GroupBy = 'workload', containerId = '', node = 'n1') {
      const owner = { cgroup: '/x', podUid, containerId, unit: '', process: '', pid: 1 }
      return groupOf(index.ofOwner(index.node(node), owner), groupBy)
    },
    /** What an address is called that a process on `n9` talks to. */
    address(text: string, groupBy: GroupBy = 'workload') {
      const { w0, w1, w2, w3 } = wordsOfText(text)!
      return groupOf(index.ofAddress(index.node('n9'), w0, w1, w2, w3, nowMs), groupBy)
    },
    answered(name: string, bytes: readonly number[]) {
      index.learnName(index.node('n9'), Uint8Array.from(bytes), name, nowMs - 1000)
    },
  }
}

describe('the workload of a pod', () => {
  it.each([
    ['ReplicaSet', 'web-5d', { kind: 'Deployment', name: 'web' }, 'Deployment/web'],
    ['Job', 'report-28', { kind: 'CronJob', name: 'report' }, 'CronJob/report'],
    ['ReplicaSet', 'web-5d', { kind: 'Rollout', name: 'web' }, 'Rollout/web'],
  ])(
    'is behind its %s: the %s’s own controller, of a sort of our own or not',
    (kind, name, above, workload) => {
      const shop = cluster()
      shop.pod({ name: 'p', owner: { kind, name } })
      // until the one between is known, that one
      expect(shop.process('pod-p')).toBe(`workload/shop/${kind}/${name} by kernel`)
      shop.owned(kind, name, above)
      expect(shop.process('pod-p')).toBe(`workload/shop/${workload} by kernel`)
    },
  )

  it.each(['StatefulSet', 'DaemonSet', 'Job', 'GameServer'])('is its %s', kind => {
    const shop = cluster()
    shop.pod({ name: 'p', owner: { kind, name: 'w' } })
    expect(shop.process('pod-p')).toBe(`workload/shop/${kind}/w by kernel`)
  })

  it('is the pod itself where nothing owns it', () => {
    const shop = cluster()
    shop.pod({ name: 'p' })
    expect(shop.process('pod-p')).toBe('workload/shop/Pod/p by kernel')
  })
})

describe('a static pod', () => {
  const hash = '0123456789abcdef0123456789abcdef'

  it.each([
    { 'kubernetes.io/config.hash': hash },
    { 'kubernetes.io/config.hash': hash, 'kubernetes.io/config.mirror': hash },
    { 'kubernetes.io/config.mirror': hash },
  ])(
    'is found by the hash of its configuration, which its cgroup has in place of the UID: %j',
    annotations => {
      const shop = cluster()
      const static_ = { name: 'etcd-n1', owner: { kind: 'Node', name: 'n1' }, annotations, hostNetwork: true }
      expect(shop.process(hash)).toBe('node/n1 by kernel')
      shop.pod(static_)
      expect(shop.process(hash)).toBe('workload/shop/StaticPod/etcd by kernel')
      expect(shop.process(hash, 'pod')).toBe('pod/shop/etcd-n1 by kernel')
      // the same manifest on another node has the same hash
      expect(shop.process(hash, 'pod', '', 'n2')).not.toContain('etcd-n1')
    },
  )
})

describe('the container of a pod', () => {
  it('is named by the id in its cgroup, also once it was started anew', () => {
    const shop = cluster()
    const running = { state: { running: { startedAt: before } } }
    const first = { name: 'main', containerID: 'containerd://aaa', ...running }
    const side = { name: 'side', containerID: 'cri-o://bbb', ...running }
    shop.pod({ name: 'p', containerStatuses: [first, side] })
    shop.pod({ name: 'p', containerStatuses: [{ ...first, containerID: 'containerd://ccc' }, side] })
    const named = ['aaa', 'bbb', 'ccc', 'ddd'].map(id => shop.process('pod-p', 'container', id))
    expect(named).toEqual([
      'pod/shop/p/main by kernel',
      'pod/shop/p/side by kernel',
      'pod/shop/p/main by kernel',
      'pod/shop/p by kernel',
    ])
  })
})

describe('an address', () => {
  it('is a pod’s, unless the pod shares its node’s', () => {
    const shop = cluster()
    shop.node('n1', [{ type: 'InternalIP', address: '10.0.0.1' }])
    shop.pod({ name: 'p', address: '10.1.0.1' })
    shop.pod({ name: 'h', address: '10.0.0.1', hostNetwork: true })
    expect(shop.address('10.1.0.1')).toBe('workload/shop/Pod/p by pod-ip')
    expect(shop.address('10.0.0.1')).toBe('node/n1 by node-address')
  })

  it('is a service’s: by its cluster address of either family, an external one, and a load balancer’s', () => {
    const shop = cluster()
    shop.service(
      'web',
      { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd00::1'], externalIPs: ['192.0.2.1'] },
      { loadBalancer: { ingress: [{ ip: '192.0.2.2' }, { hostname: 'lb.example' }] } },
    )
    expect(['10.96.0.1', 'fd00::1', '192.0.2.1', '192.0.2.2'].map(text => shop.address(text))).toEqual([
      'service/shop/web by cluster-ip',
      'service/shop/web by cluster-ip',
      'service/shop/web by external-ip',
      'service/shop/web by external-ip',
    ])
  })

  it('is that of a backend which is no pod', () => {
    const shop = cluster()
    shop.service('db', { clusterIP: '10.96.0.2' })
    shop.slice('db', [{ addresses: ['172.20.0.9'] }])
    expect(shop.address('172.20.0.9')).toBe('service/shop/db by endpoint')
  })

  it('is a node’s, inside and outside, with its zone', () => {
    const shop = cluster()
    const addresses = [
      { type: 'Hostname', address: 'n1' },
      { type: 'InternalIP', address: '10.0.0.1' },
      { type: 'ExternalIP', address: '203.0.113.1' },
    ]
    shop.node('n1', addresses, { 'topology.kubernetes.io/zone': 'east' })
    expect(shop.address('203.0.113.1')).toBe('node/n1 by node-address')
    expect(shop.address('10.0.0.1', 'zone')).toBe('zone/east by node-address')
  })

  it.each([
    ['db.shop.svc.cluster.local', 'service/shop/db by dns'],
    ['db-0.db.shop.svc.cluster.local', 'service/shop/db by dns'],
    ['db.shop.svc', 'service/shop/db by dns'],
    ['pay.example.com', 'service/shop/pay by dns'],
    ['other.example.com', 'outside/other.example.com by dns'],
  ])('that nobody is known to have is what DNS called it: %s', (answered, name) => {
    const shop = cluster()
    shop.service('db', { clusterIP: 'None' })
    shop.service('pay', { type: 'ExternalName', externalName: 'Pay.Example.com' })
    shop.answered(answered, [203, 0, 113, 77])
    expect(shop.address('203.0.113.77')).toBe(name)
  })

  it('is a range’s that was configured, and otherwise itself, as a last resort', () => {
    const shop = cluster()
    expect(shop.address('198.51.100.7')).toBe('outside/office by cidr')
    shop.answered('mail.example.com', [198, 51, 100, 8])
    expect(shop.address('198.51.100.8')).toBe('outside/mail.example.com by dns')
    expect(shop.address('203.0.113.9')).toBe('outside/203.0.113.9 by address')
  })
})

describe('the service of a pod', () => {
  it('is the one it stands behind; of several, the only one that has an address', () => {
    const shop = cluster()
    shop.pod({ name: 'p', address: '10.1.0.1' })
    const targetRef = { kind: 'Pod', uid: 'pod-p' }
    expect(shop.process('pod-p', 'service')).toBe('workload/shop/Pod/p by kernel')
    shop.service('peers', { clusterIP: 'None' })
    shop.slice('peers', [{ targetRef, addresses: ['10.1.0.1'] }])
    expect(shop.process('pod-p', 'service')).toBe('service/shop/peers by kernel')
    shop.service('web', { clusterIP: '10.96.0.1' })
    shop.slice('web', [{ targetRef, addresses: ['10.1.0.1'] }])
    expect(shop.process('pod-p', 'service')).toBe('service/shop/web by kernel')
    shop.service('also', { clusterIP: '10.96.0.2' })
    shop.slice('also', [{ targetRef, addresses: ['10.1.0.1'] }])
    expect(shop.process('pod-p', 'service')).toBe('workload/shop/Pod/p by kernel')
  })
})
