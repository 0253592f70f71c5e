import { EndReason, Kind, Protocol, packKind, Role, State } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { endName, socketText } from './flow-end.ts'
import { minuteMs, rowsOf } from './rows.testing.ts'

describe('flowRows', () => {
  it('puts the client first, whichever end reports', () => {
    const server = packKind(Protocol.tcp, Role.server, State.closed, EndReason.rstReceived)
    const [fromClient, fromServer] = rowsOf({
      owners: [{ process: 'curl' }, { process: 'nginx', unit: 'nginx.service' }],
      records: [
        { local: '10.0.0.1', localPort: 40_000, remote: '10.0.0.2', remotePort: 80 },
        { kind: server, owner: 1, local: '10.0.0.2', localPort: 80, remote: '10.0.0.1', remotePort: 40_000 },
      ],
    })
    for (const row of [fromClient!, fromServer!]) {
      expect([socketText(row.from), socketText(row.to)]).toEqual(['10.0.0.1:40000', '10.0.0.2:80'])
    }
    expect(fromClient).toMatchObject({ role: 'client', state: 'closed', end: 'fin' })
    expect(fromServer).toMatchObject({ role: 'server', end: 'reset_received' })
    expect([endName(fromClient!.from), endName(fromClient!.to)]).toEqual(['curl', ''])
    expect([endName(fromServer!.from), endName(fromServer!.to)]).toEqual(['', 'nginx'])
  })

  it('tells absent from measured', () => {
    const [row] = rowsOf({ records: [{ columns: { srttUs: 250, bytesSent: 0 } }] })
    expect(row).toMatchObject({ unixMs: minuteMs + 5_123, srttUs: 250 })
    expect(row).not.toHaveProperty('handshakeUs')
    expect(row).not.toHaveProperty('minRttUs')
    expect(row!.counters.bytesSent).toBe(0)
  })

  it('names the far end by the DNS answers of the batch, and IPv6 ends too', () => {
    const [row] = rowsOf({
      names: [
        { address: '2001:db8::2', name: 'db.example' },
        { address: '2001:db8::2', name: 'alias.example' },
      ],
      records: [{ local: '2001:db8::1', remote: '2001:db8::2', remotePort: 443 }],
    })
    expect(row!.to.dnsNames).toEqual(['db.example', 'alias.example'])
    expect(`${endName(row!.to)} ${socketText(row!.to)}`).toBe('db.example [2001:db8::2]:443')
  })

  it('adds what a delta has beyond 32 bits', () => {
    const [, row] = rowsOf({ records: [{}, { columns: { bytesReceived: 5, wideAt: 0, wideHigh: 0 } }] })
    expect(row!.counters.bytesReceived).toBe(5)
  })

  const places: [string, object, string][] = [
    [
      'a pod',
      { podUid: '5c1f0e2a-9d3b', containerId: 'abcdef0123456789', process: 'nginx' },
      'pod:5c1f0e2a/nginx',
    ],
    ['a container', { containerId: 'abcdef0123456789', process: 'nginx' }, 'abcdef012345/nginx'],
    ['another unit', { unit: 'session-1.scope', process: 'curl' }, 'session-1.scope/curl'],
    ['its own unit', { unit: 'redis.service', process: 'redis' }, 'redis'],
    ['an unknown process', { unit: 'redis.service' }, 'redis.service'],
    ['nothing', {}, ''],
  ]
  it.each(places)('calls an end in %s by its place and process', (_, owner, name) => {
    expect(endName(rowsOf({ owners: [owner] })[0]!.from)).toBe(name)
  })

  it('keeps the marks of a record', () => {
    const kind = packKind(
      Protocol.udp,
      Role.unknown,
      State.open,
      0,
      Kind.adopted | Kind.inherited | Kind.roleGuessed,
    )
    expect(rowsOf({ records: [{ kind }] })[0]).toMatchObject({
      protocol: 'udp',
      role: 'unknown',
      adopted: true,
      inherited: true,
      roleGuessed: true,
      first: false,
      standsFor: 1,
    })
    const sampled = packKind(Protocol.tcp, Role.client, State.open, 0, 3 << Kind.samplingShift)
    expect(rowsOf({ records: [{ kind: sampled }] })[0]).toMatchObject({ standsFor: 8, mptcp: false })
  })
})
