import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { GroupBy } from '../resolve/entity.ts'
import type { TopologyAnswer, TopologyEdge } from './answer.ts'
import { createKubeWorld, minuteMs, worldMs } from './kube-world.testing.ts'

const namespaces = ['alpha', 'bravo', 'charlie', 'delta']
const groupings: GroupBy[] = [
  'process',
  'container',
  'pod',
  'workload',
  'service',
  'namespace',
  'node',
  'zone',
]
const query = { fromMs: worldMs, toMs: worldMs + 5 * minuteMs, limit: 100_000, detail: true } as const
const nowMs = worldMs + minuteMs

/** Two pods and a service in each namespace; everything of a namespace carries its name. */
function populate() {
  const world = createKubeWorld()
  world.node('n1', 'z1', '10.0.0.1')
  world.node('n2', 'z2', '10.0.0.2')
  const pods = namespaces.flatMap((namespace, i) =>
    [1, 2].map(number => {
      const name = `${namespace}-pod-${number}`
      const address = `10.1.${i}.${number}`
      const labels = { [`${namespace}-label`]: 'yes' }
      const workload = `${namespace}-app`
      return world.pod({ namespace, name, workload, node: `n${number}`, address, labels }, `${namespace}d`)
    }),
  )
  for (const [i, namespace] of namespaces.entries()) {
    const backends = [`${namespace}-pod-1`, `${namespace}-pod-2`]
    const nodePort = 30_000 + i
    world.service({ namespace, name: `${namespace}-svc`, address: `10.96.0.${i + 1}`, backends, nodePort })
  }
  const services = namespaces.map((_, i) => world.address('n1', `10.96.0.${i + 1}`))
  const ofAlpha = world.address('n1', '10.1.0.2')
  const outside = [world.address('n1', '198.51.100.7'), world.address('n2', '198.51.100.8')]
  const gone = world.address('n1', '10.200.0.9')
  world.index.learnName(
    world.index.node('n1'),
    Uint8Array.of(10, 200, 0, 9),
    'old.delta.svc.cluster.local',
    0,
  )
  const processes = [world.process('n1', 'sshd'), world.address('n2', '10.0.0.1')]
  const ends = [...pods, ...outside, ...processes, ...services, ofAlpha, gone]
  return { world, ends, services, node: world.address('n2', '10.0.0.2') }
}

const callArb = fc.record({
  from: fc.nat(100),
  to: fc.nat(100),
  way: fc.constantFrom('direct', 'service', 'node port'),
  port: fc.integer({ min: 1, max: 5 }),
  isUdp: fc.boolean(),
  bytes: fc.integer({ min: 1, max: 1_000_000 }),
  opened: fc.integer({ min: 1, max: 9 }),
})

function totals(edges: readonly TopologyEdge[]): Record<string, number> {
  const sums: Record<string, number> = {}
  const add = (path: string, value: unknown): void => {
    if (typeof value === 'number') sums[path] = (sums[path] ?? 0) + value
    else if (typeof value === 'object' && value !== null)
      for (const [key, inner] of Object.entries(value)) add(`${path}.${key}`, inner)
  }
  for (const { tcp, udp, http } of edges) {
    // percentiles are no sums, but how many samples there were is
    add('tcp', JSON.parse(JSON.stringify(tcp ?? {}, (key, v) => (/^(p\d+|max)$/.test(key) ? undefined : v))))
    add('udp', udp)
    add('http', http?.client?.requests)
  }
  return sums
}

/** Of an end of `populate`: two pods of each namespace, other things, the services, and the address of a pod. */
const namespaceOf = (end: number) => namespaces[end === 16 ? 0 : end < 8 ? end >> 1 : end - 12] ?? 'none'

const touching = (answer: TopologyAnswer, id: string) =>
  answer.edges.filter(edge => edge.source === id || edge.target === id)

describe('what somebody sees of a topology who may see some namespaces', () => {
  it('adds up to what there is, is whole for those, and names nothing of the others', () => {
    fc.assert(
      fc.property(
        fc.array(callArb, { minLength: 1, maxLength: 60 }),
        fc.subarray(namespaces, { minLength: 1 }),
        fc.constantFrom(...groupings),
        (calls, shown, groupBy) => {
          const { world, ends, services, node } = populate()
          for (const { from, to, way, isUdp, ...call } of calls) {
            const target = to % ends.length
            const backendOf = way === 'direct' ? undefined : services[Math.floor(target / 2)]
            const nodePort = { via: node, viaPort: 30_000 + Math.floor(target / 2) }
            const through = way === 'node port' ? nodePort : { via: backendOf!, viaPort: 80 }
            world.call({
              ...call,
              ...(backendOf !== undefined && through),
              from: ends[from % ends.length]!,
              to: ends[target]!,
              protocol: isUdp ? 'udp' : 'tcp',
              asks: `GET /${namespaceOf(from % ends.length)}/${namespaceOf(target)}`,
            })
          }
          const all = world.topology.topology({ ...query, groupBy }, nowMs)
          const scope = { namespaces: shown.toSorted() }
          const part = world.topology.topology({ ...query, groupBy, scope }, nowMs)
          expect(totals(part.edges)).toEqual(totals(all.edges))
          const text = JSON.stringify(part)
          for (const namespace of namespaces) {
            if (shown.includes(namespace)) continue
            expect(text).not.toContain(namespace)
          }
          expect(text).not.toContain('sshd')
          for (const node of part.nodes) {
            const isOwn = node.namespace !== undefined && node.kind !== 'hidden'
            if (!isOwn) continue
            expect(shown).toContain(node.namespace)
            expect(totals(touching(part, node.id))).toEqual(totals(touching(all, node.id)))
          }
          const asked = (mine?: typeof scope) =>
            world.topology
              .operations({ ...query, groupBy, ...(mine && { scope: mine }) }, nowMs)
              .operations.map(each => each.operation)
          const ofShown = asked().filter(text => shown.some(namespace => text.includes(namespace)))
          expect(new Set(asked(scope))).toEqual(new Set(ofShown))
          // an outside address stands beside what is shown, and beside nothing else
          for (const edge of part.edges)
            if (edge.source === 'hidden') expect(edge.target).not.toMatch(/^outside/)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('does not tell by focus or filter what is among the hidden', () => {
    const { world, ends } = populate()
    const [alpha, , bravo, , charlie] = ends
    world.call({ from: alpha!, to: bravo!, port: 80 })
    world.call({ from: charlie!, to: bravo!, port: 81 })
    const scope = { namespaces: ['alpha'] }
    const ask = (more: object) =>
      world.topology.topology({ ...query, groupBy: 'workload', scope, ...more }, nowMs)
    const stranger = ask({ focus: 'workload/nowhere/Deployment/nothing' })
    const hidden = ask({ focus: 'workload/bravo/Deployment/bravo-app' })
    expect(stranger.edges).toEqual([])
    expect(hidden.edges).toEqual([])
    expect(hidden.notes.map(note => note.replace(/".*"/, ''))).toEqual(
      stranger.notes.map(note => note.replace(/".*"/, '')),
    )
    expect(ask({ ends: { namespaces: ['bravo'], labels: [] } }).edges).toEqual([])
    const labels = [{ key: 'bravo-label', operator: 'exists', values: [] }]
    expect(ask({ ends: { namespaces: [], labels } }).edges).toEqual([])
    const own = ask({ ends: { namespaces: ['alpha'], labels: [] } })
    expect(own.edges.map(edge => edge.id)).toEqual(['workload/alpha/Deployment/alpha-app->hidden#tcp/80'])
  })
})
