import { EndReason, Kind, Protocol, Role, State } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { epochMs } from './flow-batch.testing.ts'
import { client, createJoinWorld, nowMs, server, ways } from './join-world.testing.ts'

const gib = 2 ** 30
/** A connection that is told apart by its port. */
const dial = (n: number) => ({ ...client, dialler: n, flowId: n, local: `10.0.0.1:${n}` })
const later = (ms: number) => ({ atMs: epochMs + 1_000 + ms, flags: 0 })

describe.each(ways)('a join %s', way => {
  it('adds deltas beyond 4 GiB exactly, and sums of a flow beyond 32 bits', () => {
    const { send, sum, join } = createJoinWorld({ way })
    send('a', [client])
    send('b', [server])
    const wide = { ...client, ...later(10), bytesSent: 5 * gib, bytesSentTotal: 5 * gib, segmentsSent: 3e9 }
    send('a', [wide])
    const steady = { ...client, ...later(20), bytesSent: 3 * gib, bytesSentTotal: 8 * gib, segmentsSent: 3e9 }
    send('a', [steady])
    send('a', [{ ...client, ...later(30), bytesSent: gib, bytesSentTotal: 9 * gib, segmentsSent: 1e9 }])
    expect([sum('clientBytesSent'), sum('clientSegmentsSent'), sum('missingBytes')]).toEqual([
      9 * gib,
      7e9,
      0,
    ])
    const [flow] = join.flows({ limit: 1 }, nowMs).flows
    expect(flow?.client).toMatchObject({ bytesSent: 9 * gib, segmentsSent: 7e9 })
    send('a', [
      { ...client, ...later(40), state: State.closed, reason: EndReason.fin, bytesSentTotal: 9 * gib },
    ])
    const [closed] = join.flows({ limit: 1, state: 'closed' }, nowMs).flows
    expect(closed?.client).toMatchObject({ bytesSent: 9 * gib, segmentsSent: 7e9 })
  })

  it('finds a hole of more than 4 GiB, and none where a wide delta closes it', () => {
    const { send, sum, join } = createJoinWorld({ way })
    send('a', [client])
    send('b', [server])
    send('a', [{ ...client, ...later(20), bytesSent: 1, bytesSentTotal: 6 * gib + 1 }])
    join.tick(nowMs + 1)
    join.tick(nowMs + 130_000)
    expect(sum('missingBytes')).toBe(6 * gib)
    send('a', [{ ...client, ...later(10), bytesSent: 6 * gib, bytesSentTotal: 6 * gib }], nowMs + 131_000)
    expect([sum('missingBytes'), sum('clientBytesSent')]).toEqual([0, 6 * gib + 1])
  })

  it('compares what one node reports of both ends in the order in which it came', () => {
    const { send, sum } = createJoinWorld({ way })
    const quiet = (ms: number) => ({ ...later(ms), flags: Kind.quiet })
    send('a', [client, server])
    send('a', [
      // a hole, then two readings of the other end: level with the first of them only
      { ...client, ...quiet(10), bytesSent: 10, bytesSentTotal: 20, dataSent: 2, dataSentTotal: 4 },
      {
        ...server,
        ...quiet(10),
        bytesReceived: 20,
        bytesReceivedTotal: 20,
        dataReceived: 4,
        dataReceivedTotal: 4,
      },
      {
        ...server,
        ...quiet(20),
        bytesReceived: 5,
        bytesReceivedTotal: 25,
        dataReceived: 1,
        dataReceivedTotal: 5,
      },
    ])
    expect(sum('clientToServerCompared')).toBe(4)
  })

  it('keeps an ended flow up to date while its other end goes on', () => {
    const { send, join } = createJoinWorld({ way })
    send('a', [client])
    send('b', [server])
    send('b', [{ ...server, ...later(10), state: State.closed, reason: EndReason.fin }])
    send('a', [{ ...client, ...later(20), bytesSent: 7, bytesSentTotal: 7 }])
    expect(join.flows({ limit: 5 }, nowMs).flows).toMatchObject([
      { state: 'closed', client: { bytesSent: 7 } },
    ])
  })

  it('joins IPv6 ends: dialled directly, through a service, and over UDP', () => {
    const { send, edges, sum } = createJoinWorld({ way })
    const v6 = { local: '[::a:1]:1000', remote: '[::b:1]:80' }
    const back = { local: '[::b:1]:80', remote: '[::a:1]:1000' }
    send('a', [{ ...client, ...v6 }])
    send('b', [{ ...server, ...back }])
    expect(edges()).toEqual(['a/curl > b/nginx:80 tcp'])
    send('a', [{ ...client, ...v6, ...later(5), bytesSent: 7, bytesSentTotal: 7, srttUs: 90 }])
    expect([sum('clientBytesSent'), sum('clientRttUs=90')]).toEqual([7, 1])
    send('a', [{ ...client, flowId: 3, dialler: 7, local: '[::a:1]:1001', remote: '[::c:1]:443' }])
    send('b', [{ ...server, flowId: 4, dialler: 7, ...back, remote: '[::a:1]:1001' }])
    expect(edges()).toContain('a/curl > b/nginx:80 tcp via a!0.0.0.1000c00:443')
    const udp = { protocol: Protocol.udp, dialler: 0, acceptor: 0 }
    send('a', [{ ...client, ...udp, flowId: 5, local: '[::a:1]:5000', remote: '[::b:2]:53', owner: 'dig' }])
    send('b', [{ ...server, ...udp, flowId: 6, local: '[::b:2]:53', remote: '[::a:1]:5000', owner: 'dns' }])
    expect(edges()).toContain('a/dig > b/dns:53 udp')
  })

  it('gives the same edge whichever end comes first when both guess the same role', () => {
    const guess = { flags: Kind.first | Kind.roleGuessed }
    const one = { ...client, ...guess }
    const two = { ...server, ...guess, role: Role.client }
    const first = createJoinWorld({ way })
    first.send('a', [one])
    first.send('b', [two])
    const second = createJoinWorld({ way })
    second.send('b', [two])
    second.send('a', [one])
    // the higher port is the dialler's
    expect(first.edges()).toEqual(['a/curl > b/nginx:80 tcp'])
    expect(second.book.booked()).toEqual(first.book.booked())
    expect(second.book.openChanges()).toEqual(first.book.openChanges())
  })

  it('lets go of a closed joined connection within seconds, of a one-sided one when nothing can move any more', () => {
    const { send, join } = createJoinWorld({ way })
    const end = { ...later(10), state: State.closed, reason: EndReason.fin }
    send('a', [client, { ...client, dialler: 9, flowId: 3 }])
    send('b', [server])
    send('a', [
      { ...client, ...end },
      { ...client, ...end, dialler: 9, flowId: 3 },
    ])
    send('b', [{ ...server, ...end }])
    expect(join.counts()).toMatchObject({ connections: 0, tombstones: 2, evicted: 0 })
    const pass = (fromS: number, toS: number) => {
      for (let second = fromS; second <= toS; second++) join.tick(nowMs + second * 1_000)
    }
    pass(1, 30)
    expect(join.counts()).toMatchObject({ tombstones: 1 })
    pass(31, 15 * 60)
    expect(join.counts()).toMatchObject({ tombstones: 1 })
    pass(15 * 60, 17 * 60)
    expect(join.counts()).toMatchObject({ tombstones: 0, evicted: 0 })
  })

  it('pages through ended and open flows, each once', () => {
    const { send, join } = createJoinWorld({ way })
    const all = Array.from({ length: 7 }, (_, n) => ({ ...client, dialler: 100 + n, flowId: 10 + n }))
    send('a', all)
    send(
      'a',
      all.slice(0, 3).map(each => ({ ...each, ...later(9), state: State.closed, reason: EndReason.fin })),
    )
    const seen: string[] = []
    let cursor: string | undefined
    for (let page = 0; page < 20; page++) {
      const answer = join.flows(cursor === undefined ? { limit: 2 } : { limit: 2, cursor }, nowMs)
      expect(answer.flows.length).toBeLessThanOrEqual(2)
      seen.push(...answer.flows.map(flow => `${flow.id} ${flow.state}`))
      cursor = answer.nextCursor
      if (cursor === undefined) break
    }
    expect(cursor).toBeUndefined()
    expect(new Set(seen).size).toBe(7)
    expect(seen).toHaveLength(7)
    expect(seen.filter(each => each.endsWith('closed'))).toHaveLength(3)
    for (const cursor of ['x', 'e1', 'o1.2', 'l1.2.3', 'e-1.2', 'o1.2.3.4'])
      expect(() => join.flows({ limit: 1, cursor }, nowMs)).toThrow(RangeError)
  })

  it('pages past nothing that was there at the start, while flows end and begin', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1e6), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 4 }),
        (picks, limit) => {
          const { send, join } = createJoinWorld({ way })
          const open = Array.from({ length: 12 }, (_, n) => dial(100 + n))
          let born = 1_000
          const end = (at: number) => {
            const [gone] = open.splice(at, 1)
            send('a', [{ ...gone, ...later(9), state: State.closed, reason: EndReason.fin }])
          }
          send('a', open)
          end(0)
          end(3)
          const atStart = new Set(Array.from({ length: 12 }, (_, n) => 100 + n))
          const seen = new Map<number, string[]>()
          let cursor: string | undefined
          let turn = 0
          do {
            const page = join.flows(cursor === undefined ? { limit } : { limit, cursor }, nowMs)
            for (const flow of page.flows) {
              const id = Number(flow.client!.local.split(':')[1])
              seen.set(id, [...(seen.get(id) ?? []), flow.state])
            }
            cursor = page.nextCursor
            const pick = picks[turn++ % picks.length]
            if (open.length > 0) end(pick % open.length)
            if (pick % 3 === 0 && turn < 20) send('a', [dial(born++)])
          } while (cursor !== undefined && turn < 200)
          expect(cursor).toBeUndefined()
          for (const id of atStart) expect(seen.has(id), `flow ${id}`).toBe(true)
          for (const states of seen.values())
            expect([['open'], ['closed'], ['open', 'closed']]).toContainEqual(states)
        },
      ),
      { numRuns: 200 },
    )
  })
})
