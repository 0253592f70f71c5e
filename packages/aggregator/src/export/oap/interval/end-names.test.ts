import { beforeEach, describe, expect, it } from 'vitest'
import { nodes, ShopCluster } from '../shop-cluster.testing.ts'
import { createEndNames, type EndNames } from './end-names.ts'

const atMs = 29_500_000 * 60_000
const [nodeA, nodeB] = nodes

let shop: ShopCluster
let names: EndNames
beforeEach(() => {
  shop = new ShopCluster()
  names = createEndNames({ index: shop.index, cluster: '' })
})

const called = (id: number) => {
  const name = names.nameOf(id, atMs)
  return name && [name.service, name.pod]
}
const calledBehind = (id: number, dialled: number, port: number) => {
  const name = names.nameOfDialled(id, dialled, port, atMs)
  return name && [name.service, name.pod]
}

describe('names of ends where there is Kubernetes', () => {
  it('are service.namespace and the pod, the workload’s where there is no service', () => {
    expect(called(shop.process('web-0', nodeA))).toEqual(['web.shop', 'web-0'])
    // behind two services the one with an address is the obvious one
    expect(called(shop.process('api-1', nodeB))).toEqual(['orders.shop', 'api-1'])
    expect(called(shop.process('batch-0', nodeA))).toEqual(['batch.shop', 'batch-0'])
    expect(called(shop.process('shell', nodeB))).toEqual(['shell.shop', 'shell'])
    expect(names.nameOf(shop.process('web-0', nodeA), atMs)?.properties).toEqual([
      ['namespace', 'shop'],
      ['pod', 'web-0'],
      ['node', 'node-a'],
      ['zone', 'east'],
      ['workload', 'Deployment/web'],
    ])
  })

  it('have the attributes of a pod as it is by now: it may have moved', () => {
    const propertiesOf = (id: number, ms: number) =>
      Object.fromEntries(names.nameOf(id, ms)!.properties) as { node?: string }
    expect(propertiesOf(shop.process('api-0', nodeA), atMs).node).toBe('node-a')
    shop.pod({ name: 'api-0', node: nodeB, address: '10.1.1.99', workload: 'api' })
    const moved = shop.process('api-0', nodeB)
    expect(propertiesOf(moved, atMs + 120_000).node).toBe('node-b')
  })

  it('of pods that nobody reported for are found by their addresses', () => {
    expect(called(shop.address('10.1.1.10', nodeA, atMs))).toEqual(['web.shop', 'web-1'])
    expect(called(shop.address('10.1.0.30', nodeB, atMs))).toEqual(['batch.shop', 'batch-0'])
  })

  it('are the dialled service’s, with the pod that answered', () => {
    const answering = shop.process('api-0', nodeA)
    const orders = shop.address('10.96.0.20', nodeA, atMs)
    const idle = shop.address('10.96.0.99', nodeA, atMs)
    expect(calledBehind(answering, orders, 80)).toEqual(['orders.shop', 'api-0'])
    // whatever else it stands behind
    expect(calledBehind(answering, idle, 80)).toEqual(['idle.shop', 'api-0'])
    expect(calledBehind(answering, answering, 80)).toEqual(['orders.shop', 'api-0'])
    expect(calledBehind(idle, idle, 80)).toEqual(['idle.shop', ''])
    const nodeAddress = shop.address('10.0.0.2', nodeA, atMs)
    expect(calledBehind(shop.process('web-1', nodeB), nodeAddress, 30_080)).toEqual(['web.shop', 'web-1'])
    expect(calledBehind(nodeAddress, nodeAddress, 30_080)).toEqual(['web.shop', ''])
    expect(calledBehind(nodeAddress, nodeAddress, 10_250)).toEqual(['node-b', ''])
  })

  it('of programs of a node are the program’s, with the node as instance', () => {
    expect(called(shop.nodeProcess('kubelet', nodeA))).toEqual(['kubelet.kubelet.service', 'node-a'])
  })

  it('outside of the cluster come from a range or DNS, and never are an address', () => {
    shop.learnName('203.0.113.7', 'api.example.org', nodeA, atMs - 1_000)
    expect(called(shop.address('203.0.113.7', nodeA, atMs))).toEqual(['api.example.org', ''])
    expect(called(shop.address('192.0.2.44', nodeA, atMs))).toEqual(['office', ''])
    expect(called(shop.address('198.51.100.9', nodeA, atMs))).toEqual(['external', ''])
    // what DNS calls a service of the cluster is that service
    shop.learnName('10.200.0.1', 'web.shop.svc.cluster.local', nodeA, atMs - 1_000)
    expect(called(shop.address('10.200.0.1', nodeA, atMs))).toEqual(['web.shop', ''])
  })

  it('are 500 outside at most at a time: further ones are external, and counted', () => {
    const ends = Array.from({ length: 503 }, (_, i) => {
      const address = `203.0.${113 + (i >> 8)}.${i & 255}`
      shop.learnName(address, `host-${i}.example.org`, nodeA, atMs - 1_000)
      return shop.address(address, nodeA, atMs)
    })
    const found = ends.map(id => called(id)![0])
    expect(found.slice(0, 500)).toEqual(Array.from({ length: 500 }, (_, i) => `host-${i}.example.org`))
    expect(found.slice(500)).toEqual(['external', 'external', 'external'])
    expect(names.folded()).toBe(3)
    // those that nobody saw for an hour make room
    const laterMs = atMs + 61 * 60_000
    expect(names.nameOf(ends[502]!, laterMs)?.service).toBe('host-502.example.org')
    expect(names.folded()).toBe(3)
  })

  it('carry the cluster’s name in front, which names outside do not', () => {
    names = createEndNames({ index: shop.index, cluster: 'demo' })
    const answering = shop.process('api-0', nodeA)
    expect(called(shop.process('web-0', nodeA))).toEqual(['demo::web.shop', 'web-0'])
    expect(calledBehind(answering, shop.address('10.96.0.99', nodeA, atMs), 80)).toEqual([
      'demo::idle.shop',
      'api-0',
    ])
    expect(called(shop.address('192.0.2.44', nodeA, atMs))).toEqual(['office', ''])
  })

  it('of a pod that is heard of later are right from then on', () => {
    const late = shop.process('late-0', nodeA)
    expect(called(late)).toEqual(['server.container-la', 'node-a'])
    shop.pod({ name: 'late-0', node: 'node-a', address: '10.1.0.77', workload: 'late' })
    expect(called(late)).toEqual(['late.shop', 'late-0'])
  })

  it('longer than OAP keeps stay apart, with the service, the namespace and the cluster in the hash', () => {
    const long = 'n'.repeat(63)
    const pod = (name: string) => ({ name, node: nodeA, address: '10.1.0.9', workload: long })
    names = createEndNames({ index: shop.index, cluster: 'demo' })
    shop.pod({ ...pod('one'), namespace: 'namespace-1' })
    shop.pod({ ...pod('two'), namespace: 'namespace-2' })
    const [one, two] = ['one', 'two'].map(name => names.nameOf(shop.process(name, nodeA), atMs)!.service)
    expect(one).toHaveLength(70)
    expect(two).toHaveLength(70)
    expect(one).not.toBe(two)
  })
})
