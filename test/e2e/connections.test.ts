import { describe, expect, it } from 'vitest'
import { program } from '../lab/program.ts'
import { addTapLink } from '../lab/tap-link.ts'
import { counted, namespaceCounters } from '../lab/truth/namespace-counters.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { edgeKey } from './seen-edge.ts'
import { type ExpectedEdge, finalComparison, useStage } from './stage.ts'
import { dial, dialled, listen, said, startDial, sum } from './traffic.ts'

const missing = whyNoLab()

/** Connections that both ends saw from beginning to end. */
function whole(
  client: string,
  server: string,
  port: number,
  count: number,
  up: number,
  down: number,
): ExpectedEdge {
  return {
    client,
    server,
    port,
    observed: 'both',
    tcp: {
      opened: count,
      openedJoined: count,
      openedClientOnly: 0,
      openedServerOnly: 0,
      failed: 0,
      openNow: 0,
      client: { opened: count, closed: count, bytesSent: up, bytesReceived: down },
      server: { opened: count, closed: count, bytesSent: down, bytesReceived: up },
    },
  }
}

describe.skipIf(missing !== '')(`every kind of connection ${missing}`, () => {
  const stage = useStage({ nodes: 2, pods: 4, hostPods: { b: ['host-b'] } })

  it('5,000 short connections in a burst', async () => {
    const { lab } = stage
    const server = await listen(lab, 'b1', 7201, ['recv:100', 'send:200'])
    const before = await namespaceCounters(lab, 'a1')
    const options = ['--count', '5000', '--concurrent', '50']
    const client = await dial(lab, 'a1', lab.addresses('b1').v4, 7201, ['send:100', 'recv'], options)
    expect(client).toMatchObject({ opened: 5000, failed: 0, broken: 0, sent: 500_000, received: 1_000_000 })
    expect(counted(before, await namespaceCounters(lab, 'a1')).TcpActiveOpens).toBe(5000)
    await server.servedAll(5000)
    await stage.expectEdges([7201], [whole('a1', 'b1', 7201, 5000, 500_000, 1_000_000)], 15_000)
  })

  it('one port reused five times within a second', async () => {
    const { lab } = stage
    const server = await listen(lab, 'b1', 7202, ['recv:100', 'send:200', 'fin'])
    const started = performance.now()
    const options = ['--count', '5', '--local-port', '41000']
    const client = await dial(lab, 'a1', lab.addresses('b1').v4, 7202, ['send:100', 'recv'], options)
    expect(performance.now() - started).toBeLessThan(1000)
    expect(client).toMatchObject({ opened: 5, failed: 0, received: 1000 })
    expect(new Set((await server.servedAll(5)).map(s => s.remotePort))).toEqual(new Set([41000]))
    await stage.expectEdges([7202], [whole('a1', 'b1', 7202, 5, 500, 1000)])
  })

  it('SYN cookies', async () => {
    const { lab } = stage
    await lab.sysctl('b2', { 'net.ipv4.tcp_syncookies': 2 })
    const server = await listen(lab, 'b2', 7203, ['recv:100', 'send:200'])
    const before = await namespaceCounters(lab, 'b2')
    await dial(lab, 'a1', lab.addresses('b2').v4, 7203, ['send:100', 'recv'], ['--count', '5'])
    await server.servedAll(5)
    expect(counted(before, await namespaceCounters(lab, 'b2')).TcpExtSyncookiesRecv).toBe(5)
    await stage.expectEdges([7203], [whole('a1', 'b2', 7203, 5, 500, 1000)])
  })

  it('Fast Open: data in the SYN', async () => {
    const { lab } = stage
    for (const pod of ['a1', 'b1']) await lab.sysctl(pod, { 'net.ipv4.tcp_fastopen': 3 })
    const server = await listen(lab, 'b1', 7204, ['recv:500', 'send:200'], ['--fastopen', '1'])
    const before = await namespaceCounters(lab, 'b1')
    const options = ['--fastopen', '500', '--count', '3']
    await dial(lab, 'a1', lab.addresses('b1').v4, 7204, ['recv'], options)
    await server.servedAll(3)
    // the first one fetches the cookie
    expect(counted(before, await namespaceCounters(lab, 'b1')).TcpExtTCPFastOpenPassive).toBe(2)
    await stage.expectEdges([7204], [whole('a1', 'b1', 7204, 3, 1500, 600)])
  })

  it('simultaneous open: one connection, though both ends dialled', async () => {
    const { lab } = stage
    const link = await addTapLink(lab, ['a2', 'b2'], { delayMs: 300, plain: true })
    const steps = ['send:700', 'recv:700', 'say:done', 'wait']
    const ends = await Promise.all([
      startDial(lab, 'a2', link.second.v4, 7206, steps, ['--local-port', '7205']),
      startDial(lab, 'b2', link.first.v4, 7205, steps, ['--local-port', '7206']),
    ])
    for (const end of ends) await said(end, 'done')
    for (const end of ends) end.endInput()
    for (const end of ends) expect(dialled((await end.ended).stdout)).toMatchObject({ opened: 1, broken: 0 })
    const seen = (await stage.edges()).filter(e => e.port === 7205 || e.port === 7206)
    const [client, server, port] = seen.some(e => e.client === 'a2')
      ? (['a2', 'b2', 7206] as const)
      : (['b2', 'a2', 7205] as const)
    await stage.expectEdges([7205, 7206], [whole(client, server, port, 1, 700, 700)])
    await link.process.stop()
  })

  it('v4-mapped client and server', async () => {
    const { lab } = stage
    const server = await listen(lab, 'b1', 7207, ['recv:100', 'send:200'])
    await dial(lab, 'a1', `::ffff:${lab.addresses('b1').v4}`, 7207, ['send:100', 'recv'], ['--count', '3'])
    await server.servedAll(3)
    await stage.expectEdges([7207], [whole('a1', 'b1', 7207, 3, 300, 600)])
  })

  it('a listener made by one unit and served by a container: booked to its maker', async () => {
    const { lab } = stage
    const argv = ['--serve-in', await lab.cgroup('host-b')]
    const child = await lab.spawn(
      'b',
      [await program('peer'), 'listen', '7208', ...argv, '--', 'recv:100', 'send:200'],
      { unit: 'activator' },
    )
    await said(child, 'moved')
    const result = await dial(lab, 'a1', lab.addresses('b').v4, 7208, ['send:100', 'recv'], ['--count', '3'])
    expect(result).toMatchObject({ opened: 3, received: 600 })
    await stage.expectEdges([7208], [whole('a1', 'b/activator.service/peer', 7208, 3, 300, 600)])
  })

  it('sendfile, splice, io_uring, threads and forks', async () => {
    const { lab } = stage
    const methods = ['sendfile', 'splice', 'uring', 'threads', 'fork', 'send']
    const expected: ExpectedEdge[] = []
    for (const [i, method] of methods.entries()) {
      const port = 7210 + i
      const receive = method === 'uring' ? 'uringrecv' : method === 'splice' ? 'splicerecv' : 'recv'
      const server = await listen(lab, 'b3', port, [`${receive}:3000000`, `${method}:2000000`])
      const client = await dial(lab, 'a3', lab.addresses('b3').v4, port, [`${method}:3000000`, receive])
      expect(client, method).toMatchObject({ opened: 1, broken: 0, sent: 3_000_000, received: 2_000_000 })
      await server.servedAll(1)
      expected.push(whole('a3', 'b3', port, 1, 3_000_000, 2_000_000))
    }
    await stage.expectEdges(
      expected.map(e => e.port),
      expected,
    )
  })

  it('more than 4 GiB on one connection: sequence numbers wrap', async () => {
    const { lab } = stage
    const bytes = 4_400_000_000
    const server = await listen(lab, 'b4', 7220, ['splicerecv'])
    await dial(lab, 'a4', lab.addresses('b4').v4, 7220, [`sendfile:${bytes}`, 'shutdown', 'recv'])
    expect(sum((await server.servedAll(1)).map(s => s.received))).toBe(bytes)
    await stage.expectEdges([7220], [whole('a4', 'b4', 7220, 1, bytes, 0)])
  })

  it('two pods that share one address over time', async () => {
    const { lab } = stage
    const { hostNumber } = await lab.addPod('b', 'old')
    const { v4 } = lab.addresses('old')
    const first = await listen(lab, 'old', 7221, ['recv:100', 'send:200'])
    await dial(lab, 'a1', v4, 7221, ['send:100', 'recv'], ['--count', '3'])
    await first.servedAll(3)
    const before = whole('a1', 'old', 7221, 3, 300, 600)
    await stage.expectEdges([7221], [before])
    await lab.removePod('old')
    await lab.addPod('b', 'new', { hostNumber })
    const second = await listen(lab, 'new', 7221, ['recv:100', 'send:200'])
    await dial(lab, 'a1', v4, 7221, ['send:100', 'recv'], ['--count', '4'])
    await second.servedAll(4)
    const expected = [before, whole('a1', 'new', 7221, 4, 400, 800)]
    expect(new Set(expected.map(edgeKey)).size).toBe(2)
    await stage.expectEdges([7221], expected)
  })

  it('a pod that is gone before the next flush', async () => {
    const { lab } = stage
    for (const [i, name] of ['brief-1', 'brief-2', 'brief-3'].entries()) {
      await lab.addPod('b', name)
      const server = await listen(lab, name, 7222 + i, ['recv:100', 'send:200'])
      await dial(lab, 'a1', lab.addresses(name).v4, 7222 + i, ['send:100', 'recv'])
      await server.servedAll(1)
      stage.names.learn(lab)
      await lab.removePod(name)
    }
    const expected = [1, 2, 3].map(i => whole('a1', `brief-${i}`, 7221 + i, 1, 100, 200))
    await stage.expectEdges([7222, 7223, 7224], expected)
  })

  finalComparison(stage)
})
