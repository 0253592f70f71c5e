import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createEntityIndex } from '../resolve/entity-index.ts'
import { v4MappedWord } from '../resolve/entity-source.ts'
import type { AnswerMark, TopologyAnswer, TopologyQuery } from './answer.ts'
import { Counter, counterCount, histogramNames } from './counters.ts'
import { createTopology } from './topology.ts'

const minuteMs = 60_000
const m0 = 29_400_000
const names = ['curl', 'nginx', 'redis', 'cron']

function setUp() {
  const index = createEntityIndex()
  const topology = createTopology({ index, startMs: m0 * minuteMs })
  const node = index.node('n1')
  const owner = { cgroup: '', podUid: '', containerId: '', pid: 1 }
  const ends = names.map((process, i) =>
    index.ofOwner(node, { ...owner, process, unit: i < 2 ? 'a.service' : '' }),
  )
  ends.push(...[1, 2].map(last => index.ofAddress(node, 0, 0, v4MappedWord, 0x00000012 + last * 2 ** 24, 0)))
  const edge = (from: number, to: number, protocol: number) =>
    topology.book(0).edge(ends[from], ends[to], protocol, 80, -1, 0)
  return { index, topology, node, edge }
}

const ends = names.length + 2
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('book' as const),
      from: fc.nat({ max: ends - 1 }),
      to: fc.nat({ max: ends - 1 }),
      protocol: fc.integer({ min: 1, max: 2 }),
      counter: fc.nat({ max: counterCount - 1 }),
      histogram: fc.nat({ max: histogramNames.length - 1 }),
      value: fc.integer({ min: 1, max: 1e6 }),
      late: fc.nat({ max: 1 }),
      back: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('open' as const),
      from: fc.nat({ max: ends - 1 }),
      to: fc.nat({ max: ends - 1 }),
      side: fc.constantFrom('client' as const, 'server' as const, 'joined' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('name' as const),
      last: fc.integer({ min: 1, max: 2 }),
      as: fc.nat({ max: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.nat({ max: 70 }) }) },
)

const question = fc.record({
  groupBy: fc.constantFrom('process' as const, 'unit' as const, 'host' as const),
  detail: fc.boolean(),
  limit: fc.constantFrom(3, 500),
  focus: fc.option(fc.constant('host/n1/a.service/curl'), { nil: undefined }),
  protocol: fc.option(fc.constant('tcp' as const), { nil: undefined }),
})

type Items = Map<string, unknown>
interface Patch {
  readonly add: readonly { id: string }[]
  readonly update: readonly { id: string }[]
  readonly remove: readonly string[]
}

function apply(items: Items, { add, update, remove }: Patch): void {
  for (const id of remove) expect(items.delete(id)).toBe(true)
  for (const item of add) {
    expect(items.has(item.id)).toBe(false)
    items.set(item.id, item)
  }
  for (const item of update) {
    expect(items.has(item.id)).toBe(true)
    items.set(item.id, item)
  }
}

it('turns what a live view shows into the newest answer, whatever happens in between', () => {
  const bytesOf = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString('latin1'))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), question, (steps, asked) => {
      const t = setUp()
      const { topology, index } = t
      let nowMs = m0 * minuteMs
      let mark: AnswerMark | undefined
      let nodes: Items = new Map()
      let edges: Items = new Map()
      const { focus, protocol, ...rest } = asked
      const more = {
        ...(focus !== undefined && { focus, depth: 1 }),
        ...(protocol !== undefined && { protocol }),
      }
      for (const s of steps) {
        if (s.kind === 'wait') nowMs += s.seconds * 1000
        topology.advance(nowMs)
        const minute = Math.floor(nowMs / minuteMs)
        if (s.kind === 'name')
          index.learnName(t.node, Uint8Array.of(0x12, 0, 0, s.last), `name${s.as}.example`, nowMs)
        if (s.kind === 'open')
          topology.book(0).open(t.edge(s.from, s.to, 1), s.side, 1, Math.floor(nowMs / minuteMs))
        if (s.kind === 'book') {
          const row = topology.book(0).row(t.edge(s.from, s.to, s.protocol), minute - s.late)
          if (row >= 0) {
            topology.book(0).counters[row + s.counter] += s.back
              ? -topology.book(0).counters[row + s.counter]
              : s.value
            topology.book(0).sample(row, s.histogram, s.value, 1)
          }
        }
        const toMs = (minute + 1) * minuteMs
        const query: TopologyQuery = { ...rest, ...more, fromMs: toMs - 2 * minuteMs, toMs }
        const change = topology.changedSince(query, nowMs, mark)
        mark = change.mark
        const whole = bytesOf(topology.topologyJson(query, nowMs)) as TopologyAnswer
        if (change.isWhole) {
          nodes = new Map(whole.nodes.map(n => [n.id, n]))
          edges = new Map(whole.edges.map(e => [e.id, e]))
        } else if (change.patch) {
          const patch = bytesOf(change.patch)
          apply(nodes, patch.nodes)
          apply(edges, patch.edges)
        }
        const { nodes: wholeNodes, edges: wholeEdges, schemaVersion: _version, ...head } = whole
        expect([...nodes.values()]).toEqual(expect.arrayContaining([...wholeNodes]))
        expect(nodes.size).toBe(wholeNodes.length)
        expect([...edges.values()]).toEqual(expect.arrayContaining([...wholeEdges]))
        expect(edges.size).toBe(wholeEdges.length)
        expect(change.head).toEqual(head)
      }
    }),
    { numRuns: 100 },
  )
}, 120_000)

it('says nothing where nothing changed, and writes only the edges that did', () => {
  const t = setUp()
  const { topology } = t
  const { book } = topology
  for (const to of [1, 2, 3]) book(0).counters[book(0).row(t.edge(0, to, 1), m0) + Counter.openedJoined] += 1
  const query = { fromMs: m0 * minuteMs, toMs: (m0 + 1) * minuteMs, groupBy: 'process' as const, limit: 500 }
  const first = topology.changedSince(query, m0 * minuteMs, undefined)
  expect(first.isWhole).toBe(true)
  expect(topology.changedSince(query, m0 * minuteMs, first.mark)).toMatchObject({
    isWhole: false,
    patch: undefined,
  })
  book(0).counters[book(0).row(t.edge(0, 2, 1), m0) + Counter.openedJoined] += 1
  const { patch } = topology.changedSince(query, m0 * minuteMs, first.mark)
  expect(JSON.parse(Buffer.from(patch!).toString())).toMatchObject({
    nodes: { add: [], update: [], remove: [] },
    edges: { add: [], update: [{ target: 'host/n1/-/redis', tcp: { opened: 2 } }], remove: [] },
  })
})
