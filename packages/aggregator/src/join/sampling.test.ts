import { EndReason, Kind, Role, State } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { epochMs, flowBatch, record, type TestRecord } from './flow-batch.testing.ts'
import { createJoin } from './join.ts'
import { RecordBatch } from './record-batch.ts'
import { ReferenceBook, ReferenceEntities } from './reference-book.testing.ts'
import { sampleHash } from './sampling-rate.ts'

const nowMs = epochMs + 5_000

function setUp(rates: Readonly<Record<string, number>>, oneByOne = false) {
  const entities = new ReferenceEntities()
  const book = new ReferenceBook(entities)
  const join = createJoin({ book, entities, names: entities, hashSeed: 3, capacity: 10_000, oneByOne })
  for (const [node, exponent] of Object.entries(rates)) join.noteRate(entities.node(node), exponent)
  const send = (node: string, records: readonly TestRecord[]) => {
    const origin = { node: entities.node(node), boot: 1, contiguous: true }
    for (let at = 0; at < records.length; at += 500)
      join.apply(flowBatch({ node }, records.slice(at, at + 500)), 0, origin, nowMs)
  }
  const sums = () => {
    const all: Record<string, number> = {}
    for (const minutes of Object.values(book.booked()))
      for (const values of Object.values(minutes))
        for (const [name, value] of Object.entries(values)) all[name] = (all[name] ?? 0) + value
    return all
  }
  return { send, sums, book, join }
}

const scratch = new RecordBatch(new ReferenceEntities())
function hashOf(one: TestRecord): number {
  scratch.begin(flowBatch({ node: 'x' }, [one]), { node: 0, boot: 1, contiguous: true }, nowMs)
  return sampleHash(scratch, 0)
}

const isn = (n: number, salt: number) => Math.imul(n + 1, salt) >>> 0

function ends(n: number, exponents: readonly [number, number]): [TestRecord, TestRecord] {
  const key = {
    dialler: isn(n, 0x9e3779b1),
    acceptor: isn(n, 0x85ebca77),
    state: State.closed,
    reason: EndReason.fin,
  }
  const traffic = { bytesSent: 10, bytesReceived: 20, bytesSentTotal: 10, bytesReceivedTotal: 20 }
  const back = { bytesSent: 20, bytesReceived: 10, bytesSentTotal: 20, bytesReceivedTotal: 10 }
  const flags = (exponent: number) => Kind.first | (exponent << Kind.samplingShift)
  const [client, server] = exponents.map(flags)
  return [
    record({ ...key, ...traffic, role: Role.client, flowId: n + 1, owner: 'curl', flags: client }),
    record({
      ...key,
      ...back,
      role: Role.server,
      flowId: 1_000_000 + n,
      owner: 'nginx',
      local: '10.0.0.2:80',
      remote: '10.0.0.1:1000',
      flags: server,
    }),
  ]
}

const isChosen = (one: TestRecord, exponent: number) => (hashOf(one) & ((1 << exponent) - 1)) === 0
const connections = 4_000
const invent = (exponents: readonly [number, number]) =>
  Array.from({ length: connections }, (_, n) => ends(n, exponents))
const clientsOf = (pairs: readonly (readonly TestRecord[])[]) => pairs.map(([client]) => client)
const serversOf = (pairs: readonly (readonly TestRecord[])[]) => pairs.map(([, server]) => server)

describe('sampling', () => {
  it('is by the hash that collectors use', () => {
    // the same figure stands in native/test/sampling_test.cc
    const tcp = record({ dialler: 0x01020304, acceptor: 0x0a0b0c0d })
    expect(hashOf(tcp)).toBe(258_933_000)
    expect(hashOf(record({ dialler: 0x0a0b0c0d, acceptor: 0x01020304 }))).toBe(258_933_000)
  })

  it('scales both ends of what one rate left', () => {
    const { send, sums } = setUp({ a: 2, b: 2 })
    const pairs = invent([2, 2]).filter(([client]) => isChosen(client, 2))
    const chosen = pairs.length
    send('a', clientsOf(pairs))
    send('b', serversOf(pairs))
    expect(chosen).toBeGreaterThan(connections / 4 - 150)
    expect(chosen).toBeLessThan(connections / 4 + 150)
    expect(sums()).toMatchObject({
      openedJoined: 4 * chosen,
      clientOpened: 4 * chosen,
      serverAccepted: 4 * chosen,
      clientEndedFin: 4 * chosen,
      clientBytesSent: 40 * chosen,
      serverBytesSent: 80 * chosen,
    })
    expect(sums().openedClientOnly ?? 0).toBe(0)
  })

  it('takes an absence that the rates explain for no one-sidedness, and estimates openings all the same', () => {
    const { send, sums } = setUp({ a: 0, b: 3 })
    const pairs = invent([0, 3])
    const half = pairs.slice(0, connections / 2)
    const chosen = (list: typeof pairs) => serversOf(list).filter(server => isChosen(server, 3))
    // some arrive after the view that was alone until then, some before
    send('b', chosen(half))
    send('a', clientsOf(pairs))
    send('b', chosen(pairs.slice(connections / 2)))
    const { openedJoined, openedClientOnly = 0, clientOpened, clientBytesSent, serverAccepted } = sums()
    expect([openedClientOnly, clientOpened, clientBytesSent]).toEqual([0, connections, 10 * connections])
    expect(openedJoined).toBe(serverAccepted)
    // five standard deviations of a fair choice of one in eight
    expect(Math.abs(openedJoined - connections)).toBeLessThan(5 * 8 * Math.sqrt((connections * 7) / 64))
  })

  it('counts what a coarser collector would have seen as seen by one end, where it was not', () => {
    const { send, sums } = setUp({ a: 0, b: 3 })
    const clients = clientsOf(invent([0, 3]))
    const chosen = clients.filter(client => isChosen(client, 3)).length
    send('a', clients)
    expect(sums()).toMatchObject({ openedClientOnly: 8 * chosen, clientOpened: connections })
  })

  it('never scales failed dials', () => {
    const { send, sums } = setUp({ a: 4 })
    const failed = { state: State.failed, reason: EndReason.refused, acceptor: 0, flags: Kind.first }
    for (let n = 0; n < 20; n++) send('a', [record({ ...failed, dialler: n + 1, flowId: n + 1 })])
    expect(sums()).toMatchObject({ failedRefused: 20 })
  })

  it('leaves the same sums whatever the order, in blocks and one by one', () => {
    const flow = fc.record({
      client: fc.nat(3),
      server: fc.nat(3),
      seen: fc.constantFrom('both', 'client', 'server'),
    })
    fc.assert(
      fc.property(
        fc.array(flow, { minLength: 1, maxLength: 8 }),
        fc.infiniteStream(fc.nat(1_000)),
        (flows, order) => {
          const reports = flows.flatMap(({ client, server, seen }, n) => {
            const [mine, theirs] = ends(n, [client, server])
            return [
              ...(seen === 'server' ? [] : [{ node: 'a', one: mine }]),
              ...(seen === 'client' ? [] : [{ node: 'b', one: theirs }]),
            ]
          })
          const shuffled = [...reports]
            .map(each => ({ each, at: order.next().value as number }))
            .sort((x, y) => x.at - y.at)
            .map(({ each }) => each)
          const outcomes = [
            [reports, false],
            [shuffled, false],
            [shuffled, true],
          ] as const
          const [first, ...others] = outcomes.map(([list, oneByOne]) => {
            const { send, book } = setUp({ a: 3, b: 3 }, oneByOne)
            for (const { node, one } of list) send(node, [one])
            return { booked: book.booked(), open: book.openChanges() }
          })
          for (const other of others) expect(other).toEqual(first)
        },
      ),
      { numRuns: 60 },
    )
  })
})
