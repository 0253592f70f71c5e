import { EndReason, Kind, Protocol, State } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { epochMs, minuteMs } from './flow-batch.testing.ts'
import { client, createJoinWorld, nowMs, server } from './join-world.testing.ts'
import { segmentsMissing } from './segment-loss.ts'

describe('createJoin', () => {
  it('shows a lone view at once and moves it to the joined edge', () => {
    const { send, edges, sum, book } = createJoinWorld()
    send('a', { ...client, bytesSent: 10, bytesSentTotal: 10 })
    expect(edges()).toEqual(['a/curl > a!0.0.ffff0000.200000a:80 tcp'])
    expect(sum('openedClientOnly')).toBe(1)
    send('b', { ...server, bytesReceived: 10, bytesReceivedTotal: 10 })
    expect(edges()).toEqual(['a/curl > b/nginx:80 tcp'])
    expect([sum('openedJoined'), sum('openedClientOnly'), sum('clientBytesSent')]).toEqual([1, 0, 10])
    expect(book.openNow()).toEqual({ 'a/curl > b/nginx:80 tcp joined': 1 })
  })

  it('joins both ends reported by one collector', () => {
    const { send, edges } = createJoinWorld()
    send('a', client)
    send('a', server)
    expect(edges()).toEqual(['a/curl > a/nginx:80 tcp'])
  })

  it('calls the smaller sequence number the dialler after a simultaneous open, in either order', () => {
    const left = { ...client, dialler: 5, acceptor: 9, owner: 'left' }
    const right = {
      ...client,
      dialler: 9,
      acceptor: 5,
      owner: 'right',
      flowId: 2,
      local: '10.0.0.2:80',
      remote: '10.0.0.1:1000',
    }
    const first = createJoinWorld()
    first.send('a', left)
    first.send('b', right)
    const second = createJoinWorld()
    second.send('b', right)
    second.send('a', left)
    expect(first.edges()).toEqual(['a/left > b/right:80 tcp'])
    expect(second.book.booked()).toEqual(first.book.booked())
  })

  it('counts a third view of one connection as malformed', () => {
    const { send } = createJoinWorld()
    send('a', client)
    send('b', server)
    expect(send('c', { ...server, flowId: 3 })).toMatchObject({ applied: 0, malformed: 1 })
  })

  it('joins a failed dial with the half-open view of it', () => {
    const { send, edges, sum, join } = createJoinWorld()
    const dial = { ...client, acceptor: 0, state: State.failed, reason: EndReason.timedOut }
    send('a', dial)
    send('b', { ...server, acceptor: 0, state: State.halfOpen })
    expect(edges()).toEqual(['a/curl > b/nginx:80 tcp'])
    expect([sum('failedTimedOut'), sum('serverHalfOpen'), sum('openedJoined')]).toEqual([1, 1, 0])
    expect(join.flows({ limit: 10 }, nowMs).flows).toMatchObject([
      { state: 'failed', observed: 'both', client: { end: 'timed_out' }, server: { end: 'never_completed' } },
    ])
  })

  it('keeps dials apart that share a sequence number and nothing else', () => {
    const { send, edges } = createJoinWorld()
    send('a', { ...client, acceptor: 0, state: State.failed, reason: EndReason.timedOut })
    send('b', { ...server, remote: '10.0.0.1:1001', acceptor: 0, state: State.halfOpen })
    expect(edges()).toHaveLength(2)
  })

  it('books loss by direction when both ends are quiet, and takes no merged segments for loss', () => {
    const sent = { bytesSent: 900, bytesSentTotal: 900, dataSentTotal: 10, retransmitsTotal: 3 }
    const got = { bytesReceived: 900, bytesReceivedTotal: 900 }
    const flags = Kind.first | Kind.quiet
    const lossy = createJoinWorld()
    lossy.send('a', { ...client, ...sent, flags })
    lossy.send('b', { ...server, ...got, flags, dataReceivedTotal: 8 })
    expect([lossy.sum('clientToServerLost'), lossy.sum('clientToServerCompared')]).toEqual([2, 10])
    const merged = createJoinWorld()
    merged.send('a', { ...client, ...sent, flags })
    merged.send('b', { ...server, ...got, flags, dataReceivedTotal: 2 })
    expect([merged.sum('clientToServerLost'), merged.sum('lossCoalesced')]).toEqual([0, 1])
    expect(merged.join.flows({ limit: 1 }, nowMs).flows[0]?.loss.clientToServer).toEqual({
      unknown: 'segments_coalesced',
    })
  })

  it('compares modulo 2^32', () => {
    expect(segmentsMissing(3, 0xffff_fffe, 5)).toBe(5)
    expect(segmentsMissing(3, 4, 0)).toBe(-1)
  })

  it('counts an adopted connection as adopted and compares it from its first level reading', () => {
    const { send, sum } = createJoinWorld()
    const flags = Kind.adopted | Kind.first | Kind.quiet
    send('a', { ...client, flags, bytesSentTotal: 500, dataSentTotal: 50, retransmitsTotal: 9 })
    send('b', { ...server, flags, bytesReceivedTotal: 500, dataReceivedTotal: 45 })
    expect([
      sum('clientAdopted'),
      sum('serverAdopted'),
      sum('openedJoined'),
      sum('clientToServerLost'),
    ]).toEqual([1, 1, 0, 0])
    const more = { atMs: epochMs + 2_000, flags: Kind.adopted | Kind.quiet }
    send('a', {
      ...client,
      ...more,
      bytesSent: 10,
      bytesSentTotal: 510,
      dataSentTotal: 54,
      retransmitsTotal: 10,
    })
    send('b', { ...server, ...more, bytesReceived: 10, bytesReceivedTotal: 510, dataReceivedTotal: 48 })
    expect([sum('clientToServerLost'), sum('clientToServerCompared')]).toEqual([1, 4])
  })

  it('parts a UDP pair again when a second client of the same socket makes it ambiguous', () => {
    const { send, edges } = createJoinWorld()
    const udp = { protocol: Protocol.udp, dialler: 0, acceptor: 0 }
    const toVip = (flowId: number, vip: string) => ({
      ...client,
      ...udp,
      flowId,
      remote: `${vip}:53`,
      owner: 'resolver',
    })
    send('a', toVip(1, '10.96.0.10'))
    send('b', { ...server, ...udp, flowId: 2, local: '10.0.0.2:53', owner: 'dns' })
    expect(edges()).toEqual(['a/resolver > b/dns:53 udp via a!0.0.ffff0000.a00600a:53'])
    send('a', toVip(3, '10.96.0.11'))
    expect(edges()).toHaveLength(3)
    // a direct flow is told apart by the responder's own address
    send('a', { ...client, ...udp, flowId: 4, remote: '10.0.0.2:53', owner: 'resolver' })
    expect(edges()).toContain('a/resolver > b/dns:53 udp')
  })

  it('counts what finds no room, and forgets ended connections for new ones', () => {
    const { send, join } = createJoinWorld({ capacity: 2 })
    send('a', { ...client, dialler: 1 })
    send('a', { ...client, dialler: 2, flowId: 3 })
    expect(send('a', { ...client, dialler: 3, flowId: 5 })).toMatchObject({ applied: 0, tableFull: 1 })
    send('a', {
      ...client,
      dialler: 2,
      flowId: 3,
      state: State.closed,
      reason: EndReason.fin,
      flags: 0,
      atMs: epochMs + 2_000,
    })
    expect(send('a', { ...client, dialler: 4, flowId: 7 })).toMatchObject({ applied: 1, tableFull: 0 })
    expect(join.counts()).toMatchObject({ connections: 2, tombstones: 0, evicted: 1, capacity: 2 })
  })

  it('counts what comes after its minute as late, and edges over the cap', () => {
    const late = createJoinWorld()
    expect(late.send('a', client, epochMs + 17 * minuteMs)).toMatchObject({ applied: 0, late: 1 })
    const capped = createJoinWorld()
    capped.book.maxEdges = 0
    expect(capped.send('a', client)).toMatchObject({ applied: 0, cardinalityCap: 1 })
  })

  it('takes an open connection for gone after eleven silent minutes, without calling it closed', () => {
    const { send, join, sum, book } = createJoinWorld()
    send('a', client)
    for (let second = 0; second <= 10 * 60; second += 5) join.tick(nowMs + second * 1_000)
    expect(join.counts().connections).toBe(1)
    for (let second = 10 * 60; second <= 12 * 60; second += 5) join.tick(nowMs + second * 1_000)
    expect([join.counts().connections, sum('clientClosed'), book.openNow()]).toEqual([0, 0, {}])
  })

  it('marks what an earlier boot reported until it is announced again', () => {
    const { send, join } = createJoinWorld()
    join.restarted(1, 'a', 1)
    send('a', client)
    join.restarted(1, 'a', 2)
    const [unconfirmed] = join.flows({ limit: 1 }, nowMs).flows
    expect(unconfirmed?.client).toMatchObject({ node: 'a', unconfirmed: true })
    send('a', { ...client, flags: Kind.adopted | Kind.first, atMs: epochMs + 3_000 }, nowMs, 2)
    expect(join.flows({ limit: 1 }, nowMs).flows[0]?.client).not.toHaveProperty('unconfirmed')
  })
})
