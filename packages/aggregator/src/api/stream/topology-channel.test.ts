import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFixtureReader, fixtureEdge, fixtureNode } from '../fixture/fixture-reader.testing.ts'
import { applyList, takeSnapshot } from '../page/live.js'
import { TopologyChannel } from './topology-channel.ts'

interface Event {
  readonly name: string
  readonly id: string | undefined
  readonly data: Record<string, unknown>
}

function parse(text: string): Event[] {
  return text
    .split('\n\n')
    .filter(block => block !== '')
    .map(block => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
      return { name: field('event') ?? '', id: field('id'), data: JSON.parse(field('data') ?? 'null') }
    })
}

function client() {
  const events: Event[] = []
  return { events, send: (event: Buffer) => void events.push(...parse(event.toString())) }
}

const query = { fromMs: 0, toMs: 300_000, groupBy: 'process', limit: 500 } as const

function channelOver() {
  const reader = createFixtureReader()
  const state = { isNew: true }
  const channel = new TopologyChannel({
    next(before) {
      if (!state.isNew) return undefined
      state.isNew = false
      return reader.changedSince(query, 0, before)
    },
    whole: () => reader.topologyJson(query, 0),
  })
  const tick = () => {
    state.isNew = true
    channel.tick()
  }
  return { reader, channel, tick }
}

describe('TopologyChannel', () => {
  it('starts a client with a snapshot and then sends only what changes', () => {
    const { reader, channel, tick } = channelOver()
    const one = client()
    channel.join(one, undefined)
    expect(one.events.map(event => event.name)).toEqual(['snapshot'])
    tick()
    expect(one.events).toHaveLength(1)
    reader.edges = [fixtureEdge('curl', 'nginx', 2000), fixtureEdge('redis', 'curl', 1)]
    tick()
    expect(one.events[1]).toMatchObject({
      name: 'patch',
      data: {
        nodes: { add: [], update: [], remove: [] },
        edges: {
          add: [{ id: 'redis|curl|tcp/80' }],
          update: [{ id: 'curl|nginx|tcp/80' }],
          remove: ['nginx|redis|tcp/80'],
        },
      },
    })
    reader.closed = 10
    tick()
    expect(one.events[2]).toMatchObject({ name: 'window', data: { window: { closed: true } } })
  })

  it('resumes after the event a client names, and says gap when that is not known', () => {
    const { reader, channel, tick } = channelOver()
    const one = client()
    channel.join(one, undefined)
    for (const bytes of [1, 2, 3]) {
      reader.edges = [fixtureEdge('curl', 'nginx', bytes)]
      tick()
    }
    const back = client()
    channel.join(back, one.events[1]!.id)
    expect(back.events).toEqual(one.events.slice(2))
    const current = client()
    channel.join(current, one.events.at(-1)!.id)
    expect(current.events).toEqual([])
    for (const unknown of [
      'other.3',
      `${one.events[0]!.id}9`,
      'x',
      '.',
      `${one.events[0]!.id!.split('.')[0]}.-1`,
    ]) {
      const lost = client()
      channel.join(lost, unknown)
      expect(
        lost.events.map(event => event.name),
        unknown,
      ).toEqual(['gap', 'snapshot'])
    }
  })

  it('keeps a bounded history: who is away for too long gets gap and snapshot', () => {
    const { reader, channel, tick } = channelOver()
    const one = client()
    channel.join(one, undefined)
    channel.clients.delete(one)
    for (let i = 0; i < 700; i++) {
      reader.edges = [fixtureEdge('curl', 'nginx', i)]
      tick()
    }
    const back = client()
    channel.join(back, one.events[0]!.id)
    expect(back.events.map(event => event.name)).toEqual(['gap', 'snapshot'])
  })

  it('brings every client to the newest answer, whenever it joins, leaves and resumes', () => {
    const steps = fc.array(
      fc.record({
        edges: fc.uniqueArray(
          fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('d', 'e'), fc.nat(3)),
          {
            selector: ([from, to]) => from + to,
          },
        ),
        away: fc.boolean(),
      }),
    )
    fc.assert(
      fc.property(steps, changes => {
        const { reader, channel, tick } = channelOver()
        const view = { nodes: new Map(), edges: new Map(), head: undefined as unknown }
        let lastId: string | undefined
        const one = {
          send(buffer: Buffer) {
            for (const { name, id, data } of parse(buffer.toString())) {
              lastId = id ?? lastId
              if (name === 'snapshot') takeSnapshot(view, data)
              else if (name === 'patch') {
                applyList(view.nodes, data.nodes)
                applyList(view.edges, data.edges)
              }
            }
          },
        }
        channel.join(one, undefined)
        for (const { edges, away } of changes) {
          if (away) channel.clients.delete(one)
          else if (!channel.clients.has(one)) channel.join(one, lastId)
          reader.nodes = [...new Set(edges.flatMap(([from, to]) => [from as string, to]))].map(fixtureNode)
          reader.edges = edges.map(([from, to, bytes]) => fixtureEdge(from, to, bytes))
          tick()
        }
        if (!channel.clients.has(one)) channel.join(one, lastId)
        const byId = (items: Iterable<{ id: string }>) => [...items].sort((a, b) => (a.id < b.id ? -1 : 1))
        expect(byId(view.edges.values())).toEqual(byId(reader.edges))
        expect(byId(view.nodes.values())).toEqual(byId(reader.nodes))
      }),
    )
  })
})
