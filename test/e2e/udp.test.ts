import { describe, expect, it } from 'vitest'
import { startNginx } from '../lab/nginx.ts'
import { program } from '../lab/program.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { type ExpectedEdge, finalComparison, useStage } from './stage.ts'

const missing = whyNoLab()

interface Counted {
  readonly sent: number
  readonly received: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly unanswered: number
}

/** A conversation of which the client counted everything, answered datagram by datagram. */
function conversation(client: string, server: string, port: number, flows: number, c: Counted): ExpectedEdge {
  return {
    client,
    server,
    protocol: 'udp',
    port,
    observed: 'both',
    udp: {
      client: {
        flows,
        datagramsSent: c.sent,
        datagramsReceived: c.received,
        bytesSent: c.bytesSent,
        bytesReceived: c.bytesReceived,
      },
      server: {
        flows,
        datagramsSent: c.received,
        datagramsReceived: c.sent,
        bytesSent: c.bytesReceived,
        bytesReceived: c.bytesSent,
      },
    },
  }
}

describe.skipIf(missing !== '')(`UDP ${missing}`, () => {
  const stage = useStage({ nodes: 2, pods: 4, hostPods: { a: ['host-a'] } })

  async function echo(pod: string, port: number): Promise<void> {
    const child = await stage.lab.spawn(pod, [await program('datagram'), 'echo', String(port)])
    await stage.lab.listening(child, port, 'udp')
  }

  async function talk(
    from: string,
    count: number,
    size: number,
    to: readonly (string | number)[],
    options: string[] = [],
  ) {
    const argv = [
      await program('datagram'),
      'talk',
      String(count),
      String(size),
      ...options,
      '--',
      ...to.map(String),
    ]
    const counted = JSON.parse((await stage.lab.exec(from, argv)).stdout) as Counted
    expect(counted.unanswered).toBe(0)
    return counted
  }

  it('echo through a service, both families', async () => {
    await echo('b1', 7301)
    const { v4, v6 } = await stage.lab.service('echo', {
      protocol: 'udp',
      port: 7000,
      targetPort: 7301,
      endpoints: ['b1'],
    })
    const four = await talk('a1', 50, 100, [v4, 7000])
    const six = await talk('a1', 30, 200, [v6, 7000])
    expect(four.received + six.received).toBe(80)
    await stage.expectEdges(
      [7301],
      [
        { ...conversation('a1', 'b1', 7301, 1, four), via: `${v4}:7000` },
        { ...conversation('a1', 'b1', 7301, 1, six), via: `[${v6}]:7000` },
      ],
    )
  })

  it('a connected socket, and segments sent in one call', async () => {
    await echo('b1', 7302)
    const to = [stage.lab.addresses('b1').v4, 7302]
    const plain = await talk('a2', 20, 100, to, ['--connected'])
    const merged = await talk('a2', 5, 100, to, ['--gso', '10'])
    expect(merged.sent).toBe(50)
    const both = {
      sent: plain.sent + merged.sent,
      received: plain.received + merged.received,
      bytesSent: plain.bytesSent + merged.bytesSent,
      bytesReceived: plain.bytesReceived + merged.bytesReceived,
      unanswered: 0,
    }
    await stage.expectEdges([7302], [conversation('a2', 'b1', 7302, 2, both)])
  })

  it('a client in the network of its node, through a service', async () => {
    await echo('b2', 7303)
    const { v4 } = await stage.lab.service('echo3', {
      protocol: 'udp',
      port: 7003,
      targetPort: 7303,
      endpoints: ['b2'],
    })
    const counted = await talk('host-a', 20, 100, [v4, 7003])
    await stage.expectEdges(
      [7303],
      [{ ...conversation('host-a', 'b2', 7303, 1, counted), via: `${v4}:7003` }],
    )
  })

  it('one socket that talks to two servers', async () => {
    await echo('b3', 7304)
    await echo('b4', 7304)
    const { lab } = stage
    const counted = await talk('a3', 15, 100, [lab.addresses('b3').v4, 7304, lab.addresses('b4').v4, 7304])
    const half = { ...counted, sent: 15, received: 15, bytesSent: 1500, bytesReceived: 1500 }
    await stage.expectEdges(
      [7304],
      [conversation('a3', 'b3', 7304, 1, half), conversation('a3', 'b4', 7304, 1, half)],
    )
  })

  it('DNS through a service; its answers name an address outside', async () => {
    const { lab } = stage
    const outside = lab.addresses('outside').v4
    const quiet = ['--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--pid-file=', '--user=root']
    const argv = ['dnsmasq', '--keep-in-foreground', ...quiet, `--host-record=partner.example,${outside}`]
    const dns = await lab.spawn('b2', argv)
    await lab.listening(dns, 53, 'udp')
    const { v4 } = await lab.service('dns', { protocol: 'udp', port: 53, endpoints: ['b2'] })
    for (let i = 0; i < 5; i++) {
      const { stdout } = await lab.exec('a4', [
        'dig',
        '+short',
        '+timeout=2',
        `@${v4}`,
        'partner.example',
        'A',
      ])
      expect(stdout.trim()).toBe(outside)
    }
    await startNginx(lab, 'outside', { port: 7305 })
    await lab.exec('a4', ['curl', '-sfo', '/dev/null', `http://${outside}:7305/1k`])
    const udp = { datagramsSent: 5, datagramsReceived: 5, flows: 5 }
    await stage.expectEdges(
      [53, 7305],
      [
        {
          client: 'a4',
          server: 'b2',
          protocol: 'udp',
          port: 53,
          via: `${v4}:53`,
          observed: 'both',
          udp: { client: udp, server: udp },
        },
        {
          client: 'a4',
          server: 'partner.example',
          port: 7305,
          observed: 'client',
          tcp: { opened: 1, openedClientOnly: 1 },
        },
      ],
    )
  })

  finalComparison(stage)
})
