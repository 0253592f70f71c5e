import { describe, expect, it } from 'vitest'
import { addTapLink } from '../lab/tap-link.ts'
import { counted, namespaceCounters } from '../lab/truth/namespace-counters.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { finalComparison, useStage } from './stage.ts'
import { dial, listen } from './traffic.ts'

const missing = whyNoLab()
const bytes = 20_000_000

describe.skipIf(missing !== '')(`directional loss ${missing}`, () => {
  const stage = useStage({ nodes: 2, pods: 4 })

  /** One bulk transfer with segments dropped on the way there or back. */
  async function transfer(
    port: number,
    [client, server]: readonly [string, string],
    direction: 'clientToServer' | 'serverToClient',
    percent: number,
  ) {
    const { lab } = stage
    // every packet is one segment, so that nft counts what TCP counts
    await Promise.all([lab.offload(client, 'off'), lab.offload(server, 'off')])
    const up = direction === 'clientToServer'
    const to = lab.addresses(server).v4
    const listener = await listen(lab, server, port, up ? ['recv'] : [`send:${bytes}`, 'shutdown', 'recv'])
    const fault = await lab.fault({
      on: up ? lab.pod(server).node : lab.pod(client).node,
      ...(up ? { to, toPort: port } : { from: to, fromPort: port }),
      packets: 'data',
      hit: { percent },
    })
    const before = [await namespaceCounters(lab, client), await namespaceCounters(lab, server)] as const
    const done = await dial(lab, client, to, port, up ? [`send:${bytes}`, 'shutdown', 'recv'] : ['recv'])
    expect(done).toMatchObject({ opened: 1, failed: 0, broken: 0, [up ? 'sent' : 'received']: bytes })
    await listener.servedAll(1)
    const retransmits = [
      counted(before[0], await namespaceCounters(lab, client)).TcpRetransSegs!,
      counted(before[1], await namespaceCounters(lab, server)).TcpRetransSegs!,
    ] as const
    const { packets: dropped } = await fault.hits()
    await fault.remove()
    await listener.process.stop()
    return { client, server, port, up, dropped, retransmits }
  }

  for (const [port, pods, direction, percent] of [
    [7001, ['a1', 'b1'], 'clientToServer', 1],
    [7002, ['a2', 'b2'], 'clientToServer', 10],
    [7003, ['a1', 'b2'], 'serverToClient', 1],
    [7004, ['a2', 'b1'], 'serverToClient', 10],
  ] as const) {
    it(`${percent} % ${direction}: exactly what nft dropped, in that direction only`, async () => {
      const { client, server, up, dropped, retransmits } = await transfer(port, pods, direction, percent)
      expect(dropped).toBeGreaterThan((bytes / 1448) * (percent / 100) * 0.5)
      const [there, back] = up ? [dropped, 0] : [0, dropped]
      await stage.expectEdges(
        [port],
        [
          {
            client,
            server,
            port,
            observed: 'both',
            tcp: {
              opened: 1,
              openedJoined: 1,
              failed: 0,
              openNow: 0,
              client: {
                bytesSent: up ? bytes : 0,
                bytesReceived: up ? 0 : bytes,
                retransmits: retransmits[0],
              },
              server: {
                bytesSent: up ? 0 : bytes,
                bytesReceived: up ? bytes : 0,
                retransmits: retransmits[1],
              },
              loss: { clientToServer: { segmentsLost: there }, serverToClient: { segmentsLost: back } },
            },
          },
        ],
      )
    })
  }

  it('nothing dropped, with offload: no loss, and every segment compared', async () => {
    const { lab } = stage
    const before = await namespaceCounters(lab, 'a3')
    const listener = await listen(lab, 'b3', 7005, ['recv'])
    await dial(lab, 'a3', lab.addresses('b3').v4, 7005, [`send:${bytes}`, 'shutdown', 'recv'])
    await listener.servedAll(1)
    // a busy machine may make the kernel repeat a segment that was not lost
    const { TcpRetransSegs } = counted(before, await namespaceCounters(lab, 'a3'))
    await stage.expectEdges(
      [7005],
      [
        {
          client: 'a3',
          server: 'b3',
          port: 7005,
          observed: 'both',
          tcp: {
            opened: 1,
            client: { bytesSent: bytes, retransmits: TcpRetransSegs! },
            server: { bytesReceived: bytes },
            loss: { clientToServer: { segmentsLost: 0 }, serverToClient: { segmentsLost: 0 } },
          },
        },
      ],
    )
    const edge = (await stage.edges()).find(e => e.port === 7005)!
    expect(edge.tcp!.loss.clientToServer.segmentsCompared).toBe(edge.tcp!.client!.dataSegmentsSent)
    expect(edge.tcp!.loss.clientToServer.segmentsCompared).toBeGreaterThan(bytes / 65_536)
  })

  it('segments merged by a paravirtual card: unknown, never a loss', async () => {
    const { lab } = stage
    const link = await addTapLink(lab, ['a4', 'b4'])
    const listener = await listen(lab, 'b4', 7006, ['recv'])
    await dial(lab, 'a4', link.second.v4, 7006, [`send:${bytes}`, 'shutdown', 'recv'])
    await listener.servedAll(1)
    await stage.expectEdges(
      [7006],
      [
        {
          client: 'a4',
          server: 'b4',
          port: 7006,
          observed: 'both',
          tcp: {
            opened: 1,
            openedJoined: 1,
            client: { bytesSent: bytes },
            server: { bytesReceived: bytes },
            loss: { clientToServer: { unknown: 'segments_coalesced' } },
          },
        },
      ],
    )
    const edge = (await stage.edges()).find(e => e.port === 7006)!
    expect(edge.tcp!.loss.clientToServer.segmentsLost ?? 0).toBe(0)
    expect(edge.tcp!.server!.dataSegmentsReceived).toBeLessThan(edge.tcp!.client!.dataSegmentsSent / 4)
  })

  finalComparison(stage)
})
