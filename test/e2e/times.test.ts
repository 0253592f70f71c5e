import { describe, expect, it } from 'vitest'
import { addTapLink } from '../lab/tap-link.ts'
import { startCapture } from '../lab/truth/capture.ts'
import { readHandshakes } from '../lab/truth/handshakes.ts'
import { tcpSockets } from '../lab/truth/sockets.ts'
import { until } from '../lab/until.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { finalComparison, useStage } from './stage.ts'
import { dialled, listen, said, startDial } from './traffic.ts'

const missing = whyNoLab()

/** A bucket of a histogram is so many times wider than its lower end (base 2, scale 3). */
const bucket = 2 ** (1 / 8)
/** A capture has whole microseconds, the kernel's clock of a socket too. */
const roundedUs = 3

describe.skipIf(missing !== '')(`times ${missing}`, () => {
  const stage = useStage({ nodes: 2, pods: 2 })
  const port = 7801
  const delayMs = 20

  // The kernel has no such thing as a slow link here: a program holds each frame for 20 ms on its way.
  it('are those of the sockets, of a capture and of the client’s own clock, over a slow link', async () => {
    const { lab, product } = stage
    const link = await addTapLink(lab, ['a1', 'b1'], { delayMs, plain: true })
    const rounds = Array.from({ length: 10 }, () => ['recv:100', 'send:100']).flat()
    const server = await listen(lab, 'b1', port, [...rounds, 'recv'])
    const captures = await Promise.all(
      ['a1', 'b1'].map(pod => startCapture(lab, pod, 'tap0', `tcp port ${port}`)),
    )
    const asking = Array.from({ length: 10 }, () => ['send:100', 'recv:100']).flat()
    const client = await startDial(lab, 'a1', link.second.v4, port, [
      ...asking,
      'say:idle',
      'wait',
      'shutdown',
      'recv',
    ])
    await said(client, 'idle')

    // At rest both the kernel and the product have one figure each, and it is the same.
    const socketOf = async (pod: string) => {
      const found = (await tcpSockets(lab, pod)).find(s => s.localPort === port || s.remotePort === port)
      return { srttUs: Math.round(found!.rttMs! * 1_000), minRttUs: Math.round(found!.minRttMs! * 1_000) }
    }
    const flow = async () => (await product.flows(`port=${port}`))[0]
    const open = await until('the smoothed round trips that the sockets have', async () => {
      const sockets = { client: await socketOf('a1'), server: await socketOf('b1') }
      const seen = await flow()
      const isSame =
        seen?.client?.srttUs === sockets.client.srttUs && seen.server?.srttUs === sockets.server.srttUs
      return isSame && sockets
    })
    for (const { srttUs, minRttUs } of [open.client, open.server]) {
      expect(minRttUs).toBeGreaterThanOrEqual(2_000 * delayMs - roundedUs)
      expect(srttUs).toBeGreaterThanOrEqual(minRttUs)
    }

    client.write('\n')
    const { stdout } = await client.ended
    const { openingNs, lastingNs } = dialled(stdout)
    await server.servedAll(1)
    const [atClient, atServer] = await Promise.all(
      captures.map(async capture => {
        await capture.stop()
        return (await readHandshakes(capture.file))[0]!
      }),
    )
    const closed = await until('both ends closed', async () => {
      const seen = await flow()
      return seen?.state === 'closed' && seen.observed === 'both' && seen
    })
    const us = (from: bigint, to: bigint) => Number(to - from) / 1_000

    // What the kernel times lies within what the program times and around what the capture does.
    const handshakes = {
      client: [us(atClient!.syn, atClient!.synAck), openingNs / 1_000],
      server: [us(atServer!.synAck, atServer!.ack), us(atServer!.syn, atServer!.reply!)],
    } as const
    const edge = (await stage.edges()).find(e => e.port === port)!.tcp!
    for (const end of ['client', 'server'] as const) {
      const [least, most] = handshakes[end]
      const { handshakeUs, minRttUs } = closed[end]!
      expect(least, end).toBeGreaterThanOrEqual(2_000 * delayMs - roundedUs)
      expectWithin(handshakeUs!, least - roundedUs, most + roundedUs, `handshake, ${end}`)
      // the last segments are samples, too
      expectWithin(minRttUs!, 2_000 * delayMs - roundedUs, open[end].minRttUs, `smallest round trip, ${end}`)

      const side = edge[end]!
      expect(side.handshakeUs).toMatchObject({ count: 1 })
      expectInBucket(side.handshakeUs!.p50, handshakeUs!, `handshake, ${end}`)
      expect(side.minRttUs).toMatchObject({ count: 1 })
      expectInBucket(side.minRttUs!.p50, minRttUs!, `smallest round trip, ${end}`)
      expect(side.rttUs!.max).toBeGreaterThanOrEqual((2_000 * delayMs) / bucket)
      expect(side.durationMs).toMatchObject({ count: 1 })
    }
    const lasted = [us(atClient!.syn, atClient!.serverFin!) / 1_000, lastingNs / 1e6] as const
    const duration = edge.client!.durationMs!.p50
    expectWithin(duration, (lasted[0] - 1) / bucket, (lasted[1] + 1) * bucket, 'duration, client')

    await stage.expectEdges(
      [port],
      [
        {
          client: 'a1',
          server: 'b1',
          port,
          observed: 'both',
          tcp: {
            opened: 1,
            openedJoined: 1,
            client: { opened: 1, closed: 1, bytesSent: 1_000, bytesReceived: 1_000 },
            server: { opened: 1, closed: 1, bytesSent: 1_000, bytesReceived: 1_000 },
          },
        },
      ],
    )
  })

  finalComparison(stage)
})

function expectWithin(value: number, least: number, most: number, what: string): void {
  expect(value, what).toBeGreaterThanOrEqual(least)
  expect(value, what).toBeLessThanOrEqual(most)
}

function expectInBucket(value: number, sample: number, what: string): void {
  expectWithin(value, sample / bucket, sample * bucket, what)
}
