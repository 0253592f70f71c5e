import { describe, expect, it } from 'vitest'
import type { LabProcess } from '../lab/lab-process.ts'
import { goServer, program } from '../lab/program.ts'
import { tcpSockets } from '../lab/truth/sockets.ts'
import { until } from '../lab/until.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { finalComparison, useStage } from './stage.ts'
import { dial, dialled, type Listener, listen, said, startDial } from './traffic.ts'

const missing = whyNoLab()

describe.skipIf(missing !== '')(`older than the collector ${missing}`, () => {
  const stage = useStage({ nodes: 2, pods: 4 }, 'later')
  let client: LabProcess
  let waiting: LabProcess
  let lateServer: Listener
  let talker: LabProcess
  let go: string | undefined

  it('connections, listeners and datagrams begin; then the product starts', async () => {
    const { lab } = stage
    const steps = ['recv:1000000', 'send:500000', 'say:before', 'recv:30000', 'send:70000', 'recv']
    const server = await listen(lab, 'b1', 7401, steps)
    client = await startDial(lab, 'a1', lab.addresses('b1').v4, 7401, [
      ...['send:1000000', 'recv:500000', 'say:before', 'wait'],
      ...['send:30000', 'recv:70000', 'say:after', 'wait'],
    ])
    await said(client, 'before')
    await said(server.process, 'before')

    lateServer = await listen(lab, 'b2', 7402, ['recv:20000', 'send:40000', 'recv'], ['--accept-later'])
    waiting = await startDial(lab, 'a2', lab.addresses('b2').v4, 7402, [
      'say:open',
      'wait',
      'send:20000',
      'recv:40000',
      'say:after',
      'wait',
    ])
    await said(waiting, 'open')
    const unaccepted = async () =>
      (await tcpSockets(lab, 'b2')).some(s => s.state === 'ESTAB' && s.localPort === 7402)
    await until('a connection nobody accepted', unaccepted)

    const datagram = await program('datagram')
    const echo = await lab.spawn('b3', [datagram, 'echo', '7403'])
    await lab.listening(echo, 7403, 'udp')
    talker = await lab.spawn('a3', [
      datagram,
      'talk',
      '100',
      '100',
      '--wait-lines',
      '--',
      lab.addresses('b3').v4,
      '7403',
    ])
    talker.write('\n')
    await until('an answer', () => talker.stdout.includes('"received":1,'))

    go = await goServer()
    const mptcp = go ? await lab.spawn('b4', [go, '7404', '3000']) : await listenMptcp()
    await lab.listening(mptcp, 7404)

    await stage.startProduct()
  })

  async function listenMptcp(): Promise<LabProcess> {
    return (await listen(stage.lab, 'b4', 7404, ['recv:100', 'send:3000'], ['--mptcp'])).process
  }

  it('an old connection is counted from then on, never as a spike, and marked', async () => {
    client.write('\n')
    await said(client, 'after')
    client.write('\n')
    expect(dialled((await client.ended).stdout)).toMatchObject({
      sent: 1_030_000,
      received: 570_000,
      broken: 0,
    })
    await stage.expectEdges(
      [7401],
      [
        {
          client: 'a1',
          server: 'b1',
          port: 7401,
          observed: 'both',
          tcp: {
            opened: 0,
            openNow: 0,
            client: { adopted: 1, opened: 0, closed: 1, bytesSent: 30_000, bytesReceived: 70_000 },
            server: { adopted: 1, opened: 0, closed: 1, bytesSent: 70_000, bytesReceived: 30_000 },
          },
        },
      ],
    )
    const [flow] = await stage.product.flows('port=7401')
    expect(flow).toMatchObject({ observed: 'both', client: { adopted: true }, server: { adopted: true } })
  })

  it('a connection that nobody had accepted', async () => {
    lateServer.process.write('\n')
    waiting.write('\n')
    await said(waiting, 'after')
    waiting.write('\n')
    await lateServer.servedAll(1)
    await stage.expectEdges(
      [7402],
      [
        {
          client: 'a2',
          server: 'b2',
          port: 7402,
          observed: 'both',
          tcp: {
            opened: 0,
            openNow: 0,
            client: { adopted: 1, closed: 1, bytesSent: 20_000, bytesReceived: 40_000 },
            server: { adopted: 1, closed: 1, bytesSent: 40_000, bytesReceived: 20_000 },
          },
        },
      ],
    )
  })

  it('a UDP conversation goes on', async () => {
    for (let i = 0; i < 10; i++) talker.write('\n')
    await until('ten more answers', () => talker.stdout.includes('"received":11,'))
    const ten = { datagramsSent: 10, datagramsReceived: 10, bytesSent: 1000, bytesReceived: 1000 }
    await stage.expectEdges(
      [7403],
      [
        {
          client: 'a3',
          server: 'b3',
          protocol: 'udp',
          port: 7403,
          observed: 'both',
          udp: { client: ten, server: ten },
        },
      ],
    )
    talker.endInput()
  })

  it('new connections to an old MPTCP listener', async () => {
    const { lab } = stage
    const to = lab.addresses('b4').v4
    if (go) {
      for (let i = 0; i < 3; i++) await lab.exec('a4', ['curl', '-sfo', '/dev/null', `http://${to}:7404/`])
    } else {
      await dial(lab, 'a4', to, 7404, ['send:100', 'recv'], ['--count', '3'])
    }
    await stage.expectEdges(
      [7404],
      [
        {
          client: 'a4',
          server: 'b4',
          port: 7404,
          observed: 'both',
          tcp: { opened: 3, openedJoined: 3, client: { adopted: 0 }, server: { opened: 3, adopted: 0 } },
        },
      ],
    )
  })

  finalComparison(stage)
})
