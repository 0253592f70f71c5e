import { describe, expect, it } from 'vitest'
import { createEntityIndex } from '../resolve/entity-index.ts'
import { v4MappedWord } from '../resolve/entity-source.ts'
import type { TopologyQuery } from './answer.ts'
import { Counter, Histogram } from './counters.ts'
import { createTopology, type Topology } from './topology.ts'

const minuteMs = 60_000
const m0 = 29_400_000
const startMs = m0 * minuteMs

function owner(process: string, unit = '', containerId = '') {
  return { cgroup: '', podUid: '', containerId, unit, process, pid: 1 }
}

function setUp(options: Partial<Parameters<typeof createTopology>[0]> = {}) {
  const index = createEntityIndex()
  const segments: Uint8Array[] = []
  const topology = createTopology({ index, startMs, onSegment: bytes => segments.push(bytes), ...options })
  topology.book(0)
  topology.advance(startMs)
  return { index, topology, segments }
}

function query(more: Partial<TopologyQuery> = {}): TopologyQuery {
  return { fromMs: startMs, toMs: startMs + 5 * minuteMs, groupBy: 'process', limit: 500, ...more }
}

/** A joined edge curl -> nginx on one node with a few figures in minute `m0 + after`. */
function book({ index, topology }: ReturnType<typeof setUp>, after = 0): number {
  const node = index.node('n1')
  const curl = index.ofOwner(node, owner('curl', 'session-1.scope'))
  const nginx = index.ofOwner(node, owner('nginx', 'nginx.service'))
  const edge = topology.book(0).edge(curl, nginx, 1, 80, -1, 0)
  const row = topology.book(0).row(edge, m0 + after)
  const { counters } = topology.book(0)
  counters[row + Counter.openedJoined] += 3
  counters[row + Counter.clientOpened] += 3
  counters[row + Counter.serverAccepted] += 3
  counters[row + Counter.clientBytesSent] += 5_000_000_000
  counters[row + Counter.serverBytesReceived] += 4_999_999_999
  counters[row + Counter.clientDataSegmentsSent] += 100
  counters[row + Counter.serverDataSegmentsSent] += 20
  counters[row + Counter.clientRetransmits] += 9
  counters[row + Counter.clientToServerLost] += 4
  counters[row + Counter.clientToServerCompared] += 100
  for (const us of [100, 200, 300, 4000]) topology.book(0).sample(row, Histogram.clientRttUs, us, 1)
  return edge
}

function closeMinute(topology: Topology, minute: number): void {
  topology.book(0).heard('n1', 'b', 0, minute * minuteMs + 59_000)
  topology.book(0).minuteComplete('n1', 'b', 0, minute)
  topology.advance((minute + 1) * minuteMs + 10)
}

describe('createTopology', () => {
  it('counts a collector as reporting although no batch of it has come to some partition yet', () => {
    const { topology } = setUp()
    topology.book(1)
    topology.book(0).heard('n1', 'b', 0, startMs + 1_000)
    const { completeness } = topology.topology(query(), startMs + 2_000)
    expect(completeness.collectors).toEqual({ expected: 1, reporting: 1 })
    closeMinute(topology, m0)
    topology.advance(startMs + 2 * minuteMs)
    const later = topology.topology(query(), startMs + minuteMs + 2_000)
    expect(later.completeness.collectors).toEqual({ expected: 1, reporting: 1 })
  })

  it('says of a minute that is over and not closed yet what was open at its end, not what is open now', () => {
    const t = setUp()
    const edge = book(t)
    t.topology.book(0).heard('n1', 'b', 0, startMs + 1_000)
    t.topology.book(0).open(edge, 'joined', 1, m0)
    t.topology.advance(startMs + minuteMs + 1_000)
    t.topology.book(0).open(edge, 'joined', 1, m0 + 1)
    const openIn = (toMs: number) =>
      t.topology.topology(query({ toMs }), startMs + minuteMs + 2_000).edges.map(e => e.tcp?.openNow)
    expect([openIn(startMs + minuteMs), openIn(startMs + 2 * minuteMs)]).toEqual([[1], [2]])
    closeMinute(t.topology, m0)
    expect([openIn(startMs + minuteMs), openIn(startMs + 2 * minuteMs)]).toEqual([[1], [2]])
  })

  it('answers the running minute with both sides kept apart', () => {
    const t = setUp()
    const edge = book(t)
    t.topology.book(0).open(edge, 'joined', 1, m0)
    const answer = t.topology.topology(query(), startMs + 1000)
    expect(answer.window).toEqual({
      from: new Date(startMs).toISOString(),
      to: new Date(startMs + 5 * minuteMs).toISOString(),
      stepSeconds: 60,
      closed: false,
    })
    expect(answer.nodes).toEqual([
      {
        id: 'host/n1/nginx.service/nginx',
        kind: 'process',
        name: 'nginx',
        parent: 'host/n1/nginx.service',
        foundBy: 'kernel',
      },
      {
        id: 'host/n1/session-1.scope/curl',
        kind: 'process',
        name: 'curl',
        parent: 'host/n1/session-1.scope',
        foundBy: 'kernel',
      },
    ])
    expect(answer.edges).toHaveLength(1)
    const [found] = answer.edges
    expect(found).toMatchObject({
      id: 'host/n1/session-1.scope/curl->host/n1/nginx.service/nginx#tcp/80',
      protocol: 'tcp',
      port: 80,
      observed: 'both',
      health: 'degraded',
      reasons: ['retransmit_rate>2%', 'loss_rate>1%'],
      tcp: {
        opened: 3,
        openedJoined: 3,
        openedClientOnly: 0,
        openedServerOnly: 0,
        openNow: 1,
        failed: 0,
        client: { opened: 3, bytesSent: 5_000_000_000, bytesReceived: 0, retransmits: 9 },
        server: { opened: 3, bytesReceived: 4_999_999_999, halfOpen: 0 },
        loss: {
          clientToServer: { segmentsLost: 4, segmentsCompared: 100 },
          serverToClient: { unknown: 'not_yet_quiet' },
        },
      },
    })
    const rtt = found.tcp?.client?.rttUs
    expect(rtt?.count).toBe(4)
    expect(Math.abs((rtt?.max ?? 0) / 4000 - 1)).toBeLessThan(0.05)
    expect(Math.abs((rtt?.p50 ?? 0) / 200 - 1)).toBeLessThan(0.05)
    expect(found.tcp?.server?.rttUs).toBeUndefined()
  })

  it('has nothing unknown about a direction in which no data was sent', () => {
    const t = setUp()
    const node = t.index.node('n1')
    const [curl, nginx] = ['curl', 'nginx'].map(name => t.index.ofOwner(node, owner(name)))
    const row = t.topology.book(0).row(t.topology.book(0).edge(curl, nginx, 1, 80, -1, 0), m0)
    const { counters } = t.topology.book(0)
    counters[row + Counter.openedJoined] += 1
    counters[row + Counter.clientOpened] += 1
    counters[row + Counter.serverAccepted] += 1
    counters[row + Counter.clientDataSegmentsSent] += 7
    const [found] = t.topology.topology(query(), startMs + 1000).edges
    expect(found.tcp?.loss).toEqual({
      clientToServer: { unknown: 'not_yet_quiet' },
      serverToClient: { segmentsLost: 0, segmentsCompared: 0 },
    })
  })

  it('answers the same before and after a minute closes, and after a restart from its segments', () => {
    const t = setUp()
    book(t)
    const open = t.topology.topology(query({ toMs: startMs + minuteMs }), startMs + 30_000)
    closeMinute(t.topology, m0)
    expect(t.topology.closedMinute()).toBe(m0)
    const closed = t.topology.topology(query({ toMs: startMs + minuteMs }), startMs + 61_000)
    expect(closed.window.closed).toBe(true)
    expect(closed.edges).toEqual(open.edges)
    expect(closed.nodes).toEqual(open.nodes)

    const later = setUp({ startMs: startMs + 4 * minuteMs })
    for (const bytes of t.segments) expect(later.topology.load(bytes)).toMatchObject({ ok: true })
    const again = later.topology.topology(query({ toMs: startMs + minuteMs }), startMs + 4 * minuteMs)
    expect(again).toEqual(closed)
    expect(later.topology.topology(query(), startMs + 4 * minuteMs).completeness.missingMinutes).toBe(3)
  })

  it('closes a minute with what was open at its end, however late that is', () => {
    const t = setUp()
    const edge = book(t)
    const node = t.index.node('n1')
    const [curl, late] = ['curl', 'late'].map(name => t.index.ofOwner(node, owner(name)))
    const own = t.topology.book(0)
    const of = own.edge(curl, late, 1, 81, -1, 0)
    own.open(edge, 'joined', 3, m0)
    own.open(edge, 'joined', -2, m0 + 1)
    own.open(of, 'client', 1, m0 + 1)
    const openNow = (toMinute: number) =>
      t.topology
        .topology(query({ toMs: toMinute * minuteMs }), startMs + 100 * minuteMs)
        .edges.map(e => [e.port, e.tcp?.openNow])
    closeMinute(t.topology, m0)
    expect(openNow(m0 + 1)).toEqual([[80, 3]])
    closeMinute(t.topology, m0 + 1)
    expect(openNow(m0 + 2)).toEqual([
      [81, 1],
      [80, 1],
    ])
    expect(openNow(m0 + 1)).toEqual([[80, 3]])
  })

  it('books late amounts as corrections and refuses what is too late', () => {
    const t = setUp()
    const edge = book(t)
    closeMinute(t.topology, m0)
    const generation = t.topology.generation(startMs, startMs + minuteMs)
    const row = t.topology.book(0).row(edge, m0)
    t.topology.book(0).counters[row + Counter.openedJoined] -= 2
    t.topology.book(0).sample(row, Histogram.clientRttUs, 4000, -1)
    expect(t.topology.generation(startMs, startMs + minuteMs)).not.toBe(generation)
    const live = t.topology.topology(query({ toMs: startMs + minuteMs }), startMs + 62_000)
    expect(live.edges[0].tcp?.opened).toBe(1)
    expect(live.edges[0].tcp?.client?.rttUs?.count).toBe(3)
    for (let i = 1; i <= 3; i++) closeMinute(t.topology, m0 + i)
    expect(t.topology.stats().closedSegments).toBe(5)
    expect(t.topology.topology(query({ toMs: startMs + minuteMs }), startMs + 4 * minuteMs).edges).toEqual(
      live.edges,
    )
    for (let i = 4; i <= 20; i++) closeMinute(t.topology, m0 + i)
    expect(t.topology.book(0).row(edge, m0)).toBe(-1)
    expect(t.topology.book(0).row(edge, m0 + 1000)).toBe(-1)
  })

  it('names outside addresses by DNS from the answer on, and own addresses by the host', () => {
    const { index, topology } = setUp()
    const n1 = index.node('n1')
    const n2 = index.node('n2')
    const curl = index.ofOwner(n1, owner('curl'))
    const outside = index.ofAddress(n1, 0, 0, v4MappedWord, 0x0100000a + 0x08, 0)
    const own = index.ofAddress(n1, 0, 0, v4MappedWord, 0x0200000a, 0)
    const loopback = index.ofAddress(n1, 0, 0, v4MappedWord, 0x0100007f, 0)
    for (const [i, target] of [outside, own, loopback].entries()) {
      const row = topology.book(0).row(topology.book(0).edge(curl, target, 1, 80 + i, -1, 0), m0)
      topology.book(0).counters[row + Counter.openedClientOnly] += 1
    }
    const targets = () => topology.topology(query(), startMs + 1000).edges.map(e => e.target)
    expect(targets()).toEqual(['host/n1', 'outside/10.0.0.2', 'outside/18.0.0.1'].sort())
    index.learnLocal(n2, -1, 0, 0, v4MappedWord, 0x0200000a, startMs)
    index.learnName(n1, Uint8Array.of(18, 0, 0, 1), 'Example.org.', startMs)
    index.learnName(n2, Uint8Array.of(18, 0, 0, 1), 'other.example', startMs + 1)
    expect(targets()).toEqual(['host/n1', 'host/n2', 'outside/example.org'])
    const answer = topology.topology(query(), startMs + 1000)
    expect(answer.nodes.at(-1)).toMatchObject({ kind: 'outside', name: 'example.org', foundBy: 'dns' })
    expect(answer.completeness.oneSidedEdges).toBe(3)
  })

  it('collapses to a coarser grouping instead of truncating, and says so', () => {
    const t = setUp()
    const node = t.index.node('n1')
    const server = t.index.ofOwner(node, owner('server', 'server.service'))
    for (let i = 0; i < 20; i++) {
      const client = t.index.ofOwner(node, owner(`worker${i}`, 'workers.service'))
      const row = t.topology.book(0).row(t.topology.book(0).edge(client, server, 1, 80, -1, 0), m0)
      t.topology.book(0).counters[row + Counter.openedJoined] += 1
    }
    const all = t.topology.topology(query({ limit: 21 }), startMs + 1000)
    expect(all.nodes).toHaveLength(21)
    const collapsed = t.topology.topology(query({ limit: 20 }), startMs + 1000)
    expect(collapsed.groupBy).toBe('unit')
    expect(collapsed.nodes.map(n => n.id)).toEqual(['host/n1/server.service', 'host/n1/workers.service'])
    expect(collapsed.edges[0].tcp?.opened).toBe(20)
    expect(collapsed.notes).toHaveLength(1)
    expect(collapsed.notes[0]).toContain('grouped by unit instead of process')
  })
})
