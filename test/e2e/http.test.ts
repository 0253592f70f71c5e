import { describe, expect, it } from 'vitest'
import { type Nginx, startNginx } from '../lab/nginx.ts'
import { counted, namespaceCounters } from '../lab/truth/namespace-counters.ts'
import { type NginxRequest, nginxTotals } from '../lab/truth/nginx-log.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { type ExpectedEdge, finalComparison, useStage } from './stage.ts'
import { sum } from './traffic.ts'

const missing = whyNoLab()

/** An edge as a server's own access log states it. */
function fromLog(
  client: string,
  server: string,
  port: number,
  requests: readonly NginxRequest[],
): ExpectedEdge {
  const truth = nginxTotals(requests)
  const clientSide = { bytesSent: truth.bytesReceived, bytesReceived: truth.bytesSent }
  return {
    client,
    server,
    port,
    observed: 'both',
    tcp: {
      opened: truth.connections,
      openedJoined: truth.connections,
      openedClientOnly: 0,
      openedServerOnly: 0,
      failed: 0,
      openNow: 0,
      client: { opened: truth.connections, closed: truth.connections, adopted: 0, ...clientSide },
      server: {
        opened: truth.connections,
        closed: truth.connections,
        adopted: 0,
        bytesSent: truth.bytesSent,
        bytesReceived: truth.bytesReceived,
      },
      loss: {
        clientToServer: { segmentsLost: 0 },
        serverToClient: { segmentsLost: 0 },
      },
    },
  }
}

describe.skipIf(missing !== '')(`HTTP through a service ${missing}`, () => {
  const stage = useStage({ nodes: 3, pods: 2, hostPods: { a: ['host-a'] }, cgroupDriver: { b: 'cgroupfs' } })

  /** Two servers behind a service; returns its address and what either has seen. */
  async function shop(
    port: number,
    pods: readonly string[],
    options: { masquerade?: boolean; nodePort?: number } = {},
  ) {
    const servers: Record<string, Nginx> = {}
    for (const pod of pods) servers[pod] = await startNginx(stage.lab, pod, { port })
    const service = await stage.lab.service(`web${port}`, {
      port: 80,
      targetPort: port,
      endpoints: pods,
      ...options,
    })
    return { ...service, servers }
  }

  async function curl(from: string, urls: readonly string[], options: readonly string[] = []) {
    const targets = urls.flatMap(url => ['-o', '/dev/null', url])
    await stage.lab.exec(from, ['curl', '-sf', ...options, ...targets])
  }

  it('short connections: one per request, to whichever endpoint it was', async () => {
    const { v4, servers } = await shop(8080, ['b1', 'b2'])
    const before = await namespaceCounters(stage.lab, 'a1')
    for (let i = 0; i < 20; i++) await curl('a1', [`http://${v4}/1k`], ['-H', 'Connection: close'])
    const opens = counted(before, await namespaceCounters(stage.lab, 'a1'))
    const expected = await Promise.all(
      Object.entries(servers).map(async ([pod, nginx]) => ({
        ...fromLog('a1', pod, 8080, await nginx.requests()),
        via: `${v4}:80`,
      })),
    )
    expect(opens.TcpActiveOpens).toBe(20)
    await stage.expectEdges([8080], expected)
    const edges = (await stage.edges()).filter(e => e.port === 8080)
    expect(sum(edges.map(e => e.tcp!.client!.retransmits))).toBe(opens.TcpRetransSegs)
  })

  it('keep-alive: many requests on one connection', async () => {
    const { v4, servers } = await shop(8081, ['b1'])
    await curl('a1', Array(50).fill(`http://${v4}/1k`))
    const requests = await servers.b1!.requests()
    expect(nginxTotals(requests)).toMatchObject({ requests: 50, connections: 1 })
    await stage.expectEdges([8081], [{ ...fromLog('a1', 'b1', 8081, requests), via: `${v4}:80` }])
  })

  it('IPv6', async () => {
    const { v6, servers } = await shop(8082, ['b1'])
    for (let i = 0; i < 5; i++) await curl('a1', [`http://[${v6}]/1k`])
    const edge = fromLog('a1', 'b1', 8082, await servers.b1!.requests())
    await stage.expectEdges([8082], [{ ...edge, via: `[${v6}]:80` }])
  })

  it('masqueraded: the server sees a node, the edge is between the pods', async () => {
    const { v4, servers } = await shop(8083, ['b1'], { masquerade: true })
    for (let i = 0; i < 5; i++) await curl('a1', [`http://${v4}/1k`])
    const requests = await servers.b1!.requests()
    expect(requests[0]!.remote).toBe(stage.lab.addresses('a').v4)
    await stage.expectEdges([8083], [{ ...fromLog('a1', 'b1', 8083, requests), via: `${v4}:80` }])
  })

  it('hairpin: a pod that reaches itself through a service', async () => {
    const { v4, servers } = await shop(8084, ['b1'])
    for (let i = 0; i < 5; i++) await curl('b1', [`http://${v4}/1k`])
    const requests = await servers.b1!.requests()
    expect(requests[0]!.remote).toBe('10.244.2.1')
    await stage.expectEdges([8084], [{ ...fromLog('b1', 'b1', 8084, requests), via: `${v4}:80` }])
  })

  it('node port of a third node', async () => {
    const { servers } = await shop(8085, ['b1'], { nodePort: 30085 })
    const via = `${stage.lab.addresses('c').v4}:30085`
    for (let i = 0; i < 5; i++) await curl('a1', [`http://${via}/1k`])
    const requests = await servers.b1!.requests()
    expect(requests[0]!.remote).toBe(stage.lab.addresses('c').v4)
    await stage.expectEdges([8085], [{ ...fromLog('a1', 'b1', 8085, requests), via }])
  })

  it('both ends on one node, seen by one collector', async () => {
    const { v4, servers } = await shop(8086, ['a2'])
    for (let i = 0; i < 5; i++) await curl('a1', [`http://${v4}/1k`])
    const edge = fromLog('a1', 'a2', 8086, await servers.a2!.requests())
    await stage.expectEdges([8086], [{ ...edge, via: `${v4}:80` }])
  })

  it('a pod in the network of its node, as client and as server', async () => {
    const { v4, servers } = await shop(8087, ['b1'])
    for (let i = 0; i < 5; i++) await curl('host-a', [`http://${v4}/1k`])
    const out = fromLog('host-a', 'b1', 8087, await servers.b1!.requests())
    const own = await startNginx(stage.lab, 'host-a', { port: 8088 })
    for (let i = 0; i < 5; i++) await curl('b1', [`http://${stage.lab.addresses('host-a').v4}:8088/1k`])
    const back = fromLog('b1', 'host-a', 8088, await own.requests())
    await stage.expectEdges([8087, 8088], [{ ...out, via: `${v4}:80` }, back])
  })

  it('a client outside the cluster is one-sided and named by its address', async () => {
    const nginx = await startNginx(stage.lab, 'b1', { port: 8089 })
    for (let i = 0; i < 3; i++) await curl('outside', [`http://${stage.lab.addresses('b1').v4}:8089/1k`])
    const { connections, bytesReceived, bytesSent } = nginxTotals(await nginx.requests())
    const side = { opened: connections, bytesReceived, bytesSent }
    await stage.expectEdges(
      [8089],
      [
        {
          client: stage.lab.addresses('outside').v4,
          server: 'b1',
          port: 8089,
          observed: 'server',
          tcp: {
            opened: connections,
            openedServerOnly: connections,
            openedJoined: 0,
            server: side,
            loss: {
              clientToServer: { unknown: 'one_end_only' },
              serverToClient: { unknown: 'one_end_only' },
            },
          },
        },
      ],
    )
  })

  finalComparison(stage)
})
