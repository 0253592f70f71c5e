import { Kind, Role } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import type { FlowQuery } from '../topology/answer.ts'
import { createKubeWorld, worldMs } from '../topology/kube-world.testing.ts'
import { flowBatch, record, type TestRecord } from './flow-batch.testing.ts'
import { createJoin } from './join.ts'

const addresses = { front: '10.1.0.1', pay: '10.1.1.1', spy: '10.1.2.1', outside: '198.51.100.9' }
const namespaces = { front: 'shop', pay: 'pay', spy: 'ops' } as const
const nodes = { front: 'n1', pay: 'n2', spy: 'n1' } as const
type Name = keyof typeof namespaces

/** front -> pay, spy -> pay, pay -> outside: each reported by all ends that have a collector. */
function flows() {
  const world = createKubeWorld()
  for (const name of ['front', 'pay', 'spy'] as const) {
    const [namespace, node, address] = [namespaces[name], nodes[name], addresses[name]]
    world.pod({ namespace, name: `${name}-1`, workload: name, node, address, labels: { app: name } }, name)
  }
  const { index, topology } = world
  const join = createJoin({ book: topology.book, entities: index, names: index, hashSeed: 7, capacity: 1000 })
  for (const node of ['n1', 'n2']) join.restarted(index.node(node), node, 1)
  const send = (name: Name, given: Partial<TestRecord>) => {
    const owner = {
      process: name,
      cgroup: '',
      podUid: `pod-${namespaces[name]}-${name}-1`,
      containerId: `${name}-1-c`,
      unit: '',
      pid: 1,
    }
    const node = nodes[name]
    const at = { atMs: worldMs + 1000, openedMs: worldMs + 500, flags: Kind.first }
    const columns = flowBatch({ node, owners: [owner] }, [record({ ...at, ...given, owner: name })])
    join.apply(columns, 0, { node: index.node(node), boot: 1, contiguous: true }, worldMs + 5000)
  }
  const call = (from: Name, to: keyof typeof addresses, isn: number, port: number) => {
    const [local, remote] = [`${addresses[from]}:4${isn}00`, `${addresses[to]}:${port}`]
    const both = { dialler: isn, acceptor: isn + 1 }
    send(from, { ...both, role: Role.client, flowId: isn, local, remote })
    if (to !== 'outside')
      send(to, { ...both, role: Role.server, flowId: isn + 50, local: remote, remote: local })
  }
  call('front', 'pay', 10, 8001)
  call('spy', 'pay', 12, 8002)
  call('pay', 'outside', 14, 443)
  return (query: Partial<FlowQuery>) => join.flows({ limit: 100, ...query }, worldMs + 6000).flows
}

describe('flows for somebody who may see one namespace', () => {
  const shop = { namespaces: ['shop'] }

  it('are those with an end there; the other end has figures and no name', () => {
    const list = flows()
    expect(list({})).toHaveLength(3)
    const [flow, ...more] = list({ scope: shop })
    expect(more).toEqual([])
    expect(flow).toMatchObject({
      observed: 'both',
      client: { node: 'n1', owner: 'pod/shop/front-1/main/front', remote: '10.1.1.1:8001' },
      server: { node: '', owner: 'hidden', local: '', remote: '', role: 'server' },
    })
    expect(list({ scope: { namespaces: ['pay'] } })).toHaveLength(3)
    expect(list({ scope: { namespaces: ['elsewhere'] } })).toEqual([])
  })

  it('are not found by what is hidden of them', () => {
    const list = flows()
    const scoped = (query: Partial<FlowQuery>) => list({ ...query, scope: shop }).length
    expect(scoped({ match: 'front' })).toBe(1)
    expect(scoped({ match: 'pay' })).toBe(0)
    expect(scoped({ port: 8001 })).toBe(1)
    expect(scoped({ port: 8002 })).toBe(0)
    expect(scoped({ ends: { namespaces: ['shop'], labels: [] } })).toBe(1)
    expect(scoped({ ends: { namespaces: ['pay'], labels: [] } })).toBe(0)
    const app = (value: string) => [{ key: 'app', operator: 'in' as const, values: [value] }]
    expect(scoped({ ends: { namespaces: [], labels: app('front') } })).toBe(1)
    expect(scoped({ ends: { namespaces: [], labels: app('pay') } })).toBe(0)
  })
})
