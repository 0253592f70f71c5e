import { describe, expect, it, vi } from 'vitest'
import { addTapLink } from '../lab/tap-link.ts'
import { counted, namespaceCounters } from '../lab/truth/namespace-counters.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { finalComparison, useStage } from './stage.ts'
import { dial, dialled, listen, said, startDial } from './traffic.ts'

const missing = whyNoLab()

const none = { refused: 0, timedOut: 0, unreachable: 0, resetInHandshake: 0, abandoned: 0, other: 0 }

describe.skipIf(missing !== '')(`failures ${missing}`, () => {
  // b4 never talks: its address belongs to nobody the product has seen
  const stage = useStage({ nodes: 2, pods: 4 })

  /** Dials and returns also what the kernel of the client's namespace counted meanwhile. */
  async function attempt(to: string, port: number, options: readonly string[] = [], from = 'a1') {
    const before = await namespaceCounters(stage.lab, from)
    const result = await dial(stage.lab, from, to, port, [], options)
    return { ...result, counters: counted(before, await namespaceCounters(stage.lab, from)) }
  }

  it('refused: nobody listens', async () => {
    const to = stage.lab.addresses('b4').v4
    const { failed, lastError, counters } = await attempt(to, 7101, ['--count', '5'])
    expect({ failed, lastError }).toEqual({ failed: 5, lastError: 'ECONNREFUSED' })
    expect(counters.TcpAttemptFails).toBe(5)
    const failures = { ...none, refused: 5 }
    const tcp = { opened: 0, failed: 5, failures, openNow: 0 }
    await stage.expectEdges([7101], [{ client: 'a1', server: to, port: 7101, observed: 'client', tcp }])
  })

  it('refused: a service without endpoints answers by ICMP, both families', async () => {
    const { v4, v6 } = await stage.lab.service('empty', { port: 7102, endpoints: [] })
    expect(await attempt(v4, 7102)).toMatchObject({ failed: 1, lastError: 'ECONNREFUSED' })
    expect(await attempt(v6, 7102)).toMatchObject({ failed: 1, lastError: 'ECONNREFUSED' })
    const tcp = { opened: 0, failed: 1, failures: { ...none, refused: 1 } }
    await stage.expectEdges(
      [7102],
      [
        { client: 'a1', server: v4, port: 7102, observed: 'client', tcp },
        { client: 'a1', server: v6, port: 7102, observed: 'client', tcp },
      ],
    )
  })

  it('SYN black-holed: the kernel gives up, or the program does first', async () => {
    const { lab } = stage
    const to = lab.addresses('b4').v4
    await lab.sysctl('a1', { 'net.ipv4.tcp_syn_retries': 1, 'net.ipv4.tcp_syn_linear_timeouts': 0 })
    const fault = await lab.fault({ on: 'b', to, toPort: 7103, packets: 'syn' })
    const given = await attempt(to, 7103)
    expect(given).toMatchObject({ failed: 1, lastError: 'ETIMEDOUT' })
    // a program that gives up after its SYN was repeated timed out as well; one that does before, abandoned it
    const impatient = await attempt(to, 7103, ['--timeout', '1500'])
    expect(impatient).toMatchObject({ failed: 1, lastError: 'EINPROGRESS' })
    const abandoned = await attempt(to, 7103, ['--timeout', '300'])
    expect(abandoned).toMatchObject({ failed: 1, lastError: 'EINPROGRESS' })
    expect(abandoned.counters.TcpRetransSegs).toBe(0)
    const retransmits = given.counters.TcpRetransSegs! + impatient.counters.TcpRetransSegs!
    expect((await fault.hits()).packets).toBe(3 + retransmits)
    const failures = { ...none, timedOut: 2, abandoned: 1 }
    await stage.expectEdges(
      [7103],
      [
        {
          client: 'a1',
          server: to,
          port: 7103,
          observed: 'client',
          tcp: { opened: 0, failed: 3, failures, client: { retransmits } },
        },
      ],
    )
    await fault.remove()
  })

  it('SYN-ACK lost once: opened in the end, sent again by both', async () => {
    const { lab } = stage
    const to = lab.addresses('b1').v4
    const server = await listen(lab, 'b1', 7104, ['recv'])
    const fault = await lab.fault({ on: 'b', from: to, fromPort: 7104, packets: 'synAck', hit: { first: 1 } })
    const before = await namespaceCounters(lab, 'b1')
    const client = await attempt(to, 7104)
    await server.servedAll(1)
    const served = counted(before, await namespaceCounters(lab, 'b1'))
    await stage.expectEdges(
      [7104],
      [
        {
          client: 'a1',
          server: 'b1',
          port: 7104,
          observed: 'both',
          tcp: {
            opened: 1,
            openedJoined: 1,
            failed: 0,
            client: { retransmits: client.counters.TcpRetransSegs! },
            server: { opened: 1, retransmits: served.TcpRetransSegs! },
          },
        },
      ],
    )
    await fault.remove()
  })

  it('every SYN-ACK lost: the dial times out, and the listener saw it', async () => {
    const { lab } = stage
    const to = lab.addresses('b1').v4
    await lab.sysctl('b1', { 'net.ipv4.tcp_synack_retries': 1 })
    await listen(lab, 'b1', 7105, ['recv'])
    const fault = await lab.fault({ on: 'b', from: to, fromPort: 7105, packets: 'synAck' })
    expect(await attempt(to, 7105)).toMatchObject({ failed: 1, lastError: 'ETIMEDOUT' })
    const tcp = {
      opened: 0,
      failed: 1,
      failures: { ...none, timedOut: 1 },
      server: { halfOpen: 1, opened: 0 },
    }
    // the listener's end is told when its next repetition would have been overdue
    const edge = { client: 'a1', server: 'b1', port: 7105, observed: 'both', tcp } as const
    await stage.expectEdges([7105], [edge], 15_000)
    await fault.remove()
  })

  it('unreachable: no route on the way', async () => {
    expect(await attempt('10.250.0.1', 7106)).toMatchObject({ failed: 1, lastError: 'EHOSTUNREACH' })
    expect(await attempt('fd50::1', 7106)).toMatchObject({ failed: 1, lastError: 'ENETUNREACH' })
    const tcp = { opened: 0, failed: 1, failures: { ...none, unreachable: 1 } }
    await stage.expectEdges(
      [7106],
      [
        { client: 'a1', server: '10.250.0.1', port: 7106, observed: 'client', tcp },
        { client: 'a1', server: 'fd50::1', port: 7106, observed: 'client', tcp },
      ],
    )
  })

  it('reset in the handshake: both ends dial each other, and the answer of either is reset', async () => {
    const { lab } = stage
    const link = await addTapLink(lab, ['a2', 'b2'], { delayMs: 300, plain: true })
    const rule = 'tcp flags & (syn | ack) == (syn | ack) reject with tcp reset'
    const table = `table inet refusing {
      chain arriving {
        type filter hook input priority 0;
        ${rule}
      }
    }`
    for (const pod of ['a2', 'b2']) await lab.inspect(pod, ['nft', table])
    const ends = await Promise.all([
      startDial(lab, 'a2', link.second.v4, 7113, [], ['--local-port', '7112']),
      startDial(lab, 'b2', link.first.v4, 7112, [], ['--local-port', '7113']),
    ])
    for (const end of ends)
      expect(dialled((await end.ended).stdout)).toMatchObject({ failed: 1, lastError: 'ECONNRESET' })
    // to whom an address of this link belongs nobody is told before there is a connection
    stage.ignore(edge => edge.port === 7112 || edge.port === 7113)
    await vi.waitFor(
      async () => {
        const seen = (await stage.edges()).filter(edge => edge.port === 7112 || edge.port === 7113)
        expect(seen.map(edge => `${edge.client} to ${edge.port}`).sort()).toEqual([
          'a2 to 7113',
          'b2 to 7112',
        ])
        const failures = { ...none, resetInHandshake: 1 }
        for (const { observed, tcp } of seen)
          expect({ observed, tcp }).toMatchObject({
            observed: 'client',
            tcp: { opened: 0, failed: 1, failures },
          })
      },
      { timeout: 20_000, interval: 100 },
    )
    for (const pod of ['a2', 'b2']) await lab.inspect(pod, ['nft', 'delete', 'table', 'inet', 'refusing'])
    await link.process.stop()
  })

  it('reset mid-stream by the client', async () => {
    const { lab } = stage
    const server = await listen(lab, 'b1', 7107, ['recv:10000', 'say:got', 'recv'])
    const client = await startDial(lab, 'a1', lab.addresses('b1').v4, 7107, ['send:10000', 'wait', 'rst'])
    await said(server.process, 'got')
    client.write('\n')
    expect((await server.servedAll(1))[0]!.error).toBe('ECONNRESET')
    await stage.expectEdges(
      [7107],
      [
        {
          client: 'a1',
          server: 'b1',
          port: 7107,
          observed: 'both',
          tcp: {
            opened: 1,
            openNow: 0,
            client: { bytesSent: 10_000, ended: { fin: 0, resetSent: 1, resetReceived: 0, timeout: 0 } },
            server: { bytesReceived: 10_000, ended: { fin: 0, resetSent: 0, resetReceived: 1, timeout: 0 } },
          },
        },
      ],
    )
  })

  it('reset mid-stream by the server', async () => {
    const { lab } = stage
    const server = await listen(lab, 'b1', 7108, ['send:10000', 'wait', 'rst'])
    const client = await startDial(lab, 'a1', lab.addresses('b1').v4, 7108, ['recv:10000', 'say:got', 'recv'])
    await said(client, 'got')
    server.process.write('\n')
    expect((await client.ended).stdout).toContain('ECONNRESET')
    await stage.expectEdges(
      [7108],
      [
        {
          client: 'a1',
          server: 'b1',
          port: 7108,
          observed: 'both',
          tcp: {
            opened: 1,
            openNow: 0,
            client: { bytesReceived: 10_000, ended: { fin: 0, resetSent: 0, resetReceived: 1, timeout: 0 } },
            server: { bytesSent: 10_000, ended: { fin: 0, resetSent: 1, resetReceived: 0, timeout: 0 } },
          },
        },
      ],
    )
  })

  it('the path dies half-way: one end times out, the other stays open', async () => {
    const { lab } = stage
    const to = lab.addresses('b2').v4
    await lab.sysctl('a2', { 'net.ipv4.tcp_retries2': 3 })
    const server = await listen(lab, 'b2', 7109, ['recv:10000', 'say:got', 'recv'])
    const client = await startDial(lab, 'a2', to, 7109, ['send:10000', 'wait', 'send:5000', 'recv'])
    await said(server.process, 'got')
    const before = await namespaceCounters(lab, 'a2')
    const fault = await lab.fault({ on: 'b', to, toPort: 7109 })
    client.write('\n')
    expect((await client.ended).stdout).toContain('ETIMEDOUT')
    const { TcpRetransSegs } = counted(before, await namespaceCounters(lab, 'a2'))
    await stage.expectEdges(
      [7109],
      [
        {
          client: 'a2',
          server: 'b2',
          port: 7109,
          observed: 'both',
          tcp: {
            opened: 1,
            client: {
              closed: 1,
              retransmits: TcpRetransSegs!,
              bytesReceived: 0,
              ended: { fin: 0, resetSent: 0, resetReceived: 0, timeout: 1 },
            },
            server: { opened: 1, closed: 0, bytesReceived: 10_000 },
          },
        },
      ],
    )
    await fault.remove()
  })

  it('kill -9 of the server: FIN when it had read everything, reset when not', async () => {
    const { lab } = stage
    const to = lab.addresses('b3').v4
    const idle = await listen(lab, 'b3', 7110, ['recv:1000', 'say:got', 'wait'])
    const unread = await listen(lab, 'b3', 7111, ['recv:1000', 'say:got', 'wait'])
    const first = await startDial(lab, 'a3', to, 7110, ['send:1000', 'recv'])
    const second = await startDial(lab, 'a3', to, 7111, ['send:5000', 'say:sent', 'recv'])
    await said(idle.process, 'got')
    await said(unread.process, 'got')
    await said(second, 'sent')
    for (const server of [idle, unread]) await server.process.stop('SIGKILL')
    await Promise.all([first.ended, second.ended])
    const fin = { fin: 1, resetSent: 0, resetReceived: 0, timeout: 0 }
    const edge = { client: 'a3', server: 'b3', observed: 'both' } as const
    await stage.expectEdges(
      [7110, 7111],
      [
        {
          ...edge,
          port: 7110,
          tcp: {
            opened: 1,
            openNow: 0,
            client: { bytesSent: 1000, ended: fin },
            server: { bytesReceived: 1000, ended: fin },
          },
        },
        {
          ...edge,
          port: 7111,
          tcp: {
            opened: 1,
            openNow: 0,
            client: { bytesSent: 5000, ended: { ...fin, fin: 0, resetReceived: 1 } },
            server: { bytesReceived: 5000, ended: { ...fin, fin: 0, resetSent: 1 } },
          },
        },
      ],
    )
  })

  finalComparison(stage)
})
