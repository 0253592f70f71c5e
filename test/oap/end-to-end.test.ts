import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FlowEnd, FlowView } from '../../packages/aggregator/src/topology/answer.ts'
import { Product } from '../e2e/product.ts'
import { dial, listen, sum } from '../e2e/traffic.ts'
import { Lab } from '../lab/lab.ts'
import { startNginx } from '../lab/nginx.ts'
import { nginxTotals } from '../lab/truth/nginx-log.ts'
import { until } from '../lab/until.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { eventually } from './eventually.ts'
import { Oap } from './oap.ts'
import { oapObstacle } from './oap-jars.ts'
import { OapReader, oapEntity } from './oap-reader.ts'
import { Truth, type TruthEnd } from './truth.ts'

const missing = whyNoLab() || (oapObstacle() ?? '')
/**
 * How many logs carry the sums says nothing about the traffic: it counts intervals. How long nginx took for a request is
 * not what its ends' sockets saw.
 */
const hasNoTruth = /_(write|read)_cpm @|_http_call_duration @/

/** A refused dial is a SYN and the reset that answers it. */
const packetsOfRefused = (count: number) => ({ packetsSent: count, packetsReceived: count })

describe.skipIf(missing !== '')(`figures in a real OAP ${missing}`, () => {
  let lab: Lab
  let oap: Oap
  let product: Product
  const truth = new Truth()
  let firstMinute = 0

  beforeAll(async () => {
    await Lab.removeStale()
    lab = await Lab.up({ nodes: 2, pods: 3 })
    oap = await Oap.start()
    firstMinute = Math.floor(Date.now() / 60_000)
    product = await Product.start(lab, { args: ['--oap', oap.address] })
  }, 300_000)

  afterAll(async () => {
    await product?.stop()
    await oap?.stop()
    await lab?.down()
  })

  const podOf = (name: string, program = 'peer'): TruthEnd => {
    const pod = lab.spec.pods.find(p => p.name === name)!
    return { service: `${program}.${pod.containerId.slice(0, 12)}`, pod: pod.node }
  }

  /** So many seconds of the running minute must be left, otherwise waits for the next one. */
  async function minuteWith(seconds: number): Promise<number> {
    const left = 60_000 - (Date.now() % 60_000)
    if (left < seconds * 1000) await new Promise(go => setTimeout(go, left + 50))
    return Math.floor(Date.now() / 60_000)
  }

  /**
   * Short connections between two pods, both ends of which are observed. How many and how many bytes the ends say
   * themselves; packets and handshakes nobody but the sockets knows, as the list of flows shows them.
   */
  async function converse(from: string, to: string, port: number, count: number): Promise<void> {
    const server = await listen(lab, to, port, ['recv:1000', 'send:3000'])
    const minute = await minuteWith(20)
    const steps = ['send:1000', 'recv']
    const client = await dial(lab, from, lab.addresses(to).v4, port, steps, ['--count', String(count)])
    expect(client).toMatchObject({ opened: count, failed: 0, broken: 0 })
    await server.servedAll(count)
    expect(Math.floor(Date.now() / 60_000), 'the traffic fits in its minute').toBe(minute)
    const flows = await joined(port, count)
    const ends = { opened: count, closed: count }
    truth.add(minute, podOf(from), podOf(to), {
      client: {
        ...ends,
        bytesSent: client.sent,
        bytesReceived: client.received,
        ...ofSockets(flows, 'client'),
      },
      server: {
        ...ends,
        bytesSent: client.received,
        bytesReceived: client.sent,
        ...ofSockets(flows, 'server'),
      },
    })
  }

  /** Connections to a port, once all of them are known from both ends. */
  function joined(port: number, count: number): Promise<FlowView[]> {
    return until(
      'the flows are joined',
      async () => {
        const found = await product.flows(`port=${port}`)
        const areWhole = found.every(f => f.observed === 'both' && f.state === 'closed')
        return found.length === count && areWhole && found
      },
      { timeoutMs: 60_000 },
    )
  }

  /** Requests of each class of status, over connections of two and more; nginx's own log says what there was. */
  async function askNginx(from: string, to: string, port: number): Promise<void> {
    const nginx = await startNginx(lab, to, {
      port,
      server: 'location /moved { return 302 /1k; } location /broken { return 503; }',
    })
    const minute = await minuteWith(25)
    for (const paths of [['/1k', '/1k', '/moved', '/missing'], ['/broken', '/1k'], Array(20).fill('/1k')]) {
      const urls = paths.flatMap(path => ['-o', '/dev/null', `http://${lab.addresses(to).v4}:${port}${path}`])
      await lab.exec(from, ['curl', '-s', ...urls])
    }
    expect(Math.floor(Date.now() / 60_000), 'the traffic fits in its minute').toBe(minute)
    const requests = await until('nginx has written its log', async () => {
      const written = await nginx.requests()
      return written.length === 26 && written
    })
    const { connections, bytesReceived, bytesSent } = nginxTotals(requests)
    const flows = await joined(port, connections)
    const ends = { opened: connections, closed: connections }
    const [client, server] = [podOf(from, 'curl'), podOf(to, 'nginx')]
    truth.add(minute, client, server, {
      client: { ...ends, bytesSent: bytesReceived, bytesReceived: bytesSent, ...ofSockets(flows, 'client') },
      server: { ...ends, bytesSent, bytesReceived, ...ofSockets(flows, 'server') },
    })
    const byStatus = Map.groupBy(requests, ({ status }) => status)
    expect([...byStatus.keys()].sort()).toEqual([200, 302, 404, 503])
    for (const side of ['client', 'server'] as const)
      for (const [status, own] of byStatus)
        truth.addRequests(minute, client, server, side, {
          status,
          count: own.length,
          latencyMs: 0,
          requestBytes: nginxTotals(own).bytesReceived,
          responseBytes: nginxTotals(own).bytesSent,
        })
  }

  function ofSockets(flows: readonly FlowView[], side: 'client' | 'server') {
    const total = (figure: (end: FlowEnd) => number) => sum(flows.map(flow => figure(flow[side]!)))
    return {
      packetsSent: total(end => end.segmentsSent),
      packetsReceived: total(end => end.segmentsReceived),
      retransmits: total(end => end.retransmits),
      handshakeNs: total(end => (end.handshakeUs ?? 0) * 1000),
    }
  }

  it('conversations of two minutes, requests to nginx, failed dials and an end outside', async () => {
    await converse('a1', 'b1', 7601, 40)
    await converse('a2', 'b1', 7602, 7)
    await askNginx('a2', 'b3', 7604)
    const minute = await minuteWith(20)
    const refused = await dial(lab, 'a3', lab.addresses('b2').v4, 7699, [], ['--count', '5'])
    expect(refused).toMatchObject({ opened: 0, failed: 5 })
    expect(Math.floor(Date.now() / 60_000), 'the traffic fits in its minute').toBe(minute)
    truth.add(
      minute,
      podOf('a3'),
      { service: 'external', pod: '' },
      {
        client: { failed: 5, ...packetsOfRefused(5) },
      },
    )
    await minuteWith(60)
    await converse('b1', 'a1', 7603, 11)
  }, 300_000)

  it('are there, equal to what the ends and their kernels counted, and nothing else is', async () => {
    const reader = new OapReader(oap)
    const lastMinute = Math.floor(Date.now() / 60_000)
    const entities = [...truth.entities].map(oapEntity)
    await eventually(async () => {
      const found = new Map<string, number>()
      for (const entity of entities)
        for (const [key, value] of await reader.series(entity, firstMinute, lastMinute)) found.set(key, value)
      const figures = [...found].filter(([key]) => !hasNoTruth.test(key))
      expect(Object.fromEntries(figures.sort())).toEqual(Object.fromEntries([...truth.series].sort()))
    })
    await eventually(async () => {
      const { nodes, calls } = await reader.topology(firstMinute, lastMinute)
      expect(calls.map(({ call, detectedBy }) => [call, detectedBy])).toEqual(
        [...truth.calls].map(([call, sides]) => [call, [...sides].sort()]).sort(),
      )
      expect(nodes).toEqual([...new Set([...truth.calls.keys()].flatMap(call => call.split(' > ')))].sort())
    })
    await eventually(async () => expect(await reader.services()).toEqual([...truth.services].sort()))
    const endpoints = await reader.endpoints(podOf('b3', 'nginx').service)
    expect(endpoints).toEqual(['GET:/broken', 'GET:/missing', 'GET:/moved', 'GET:/{id}'])
    const status = await product.get<{ oap: object }>('/status')
    expect(status.oap).toMatchObject({ connected: true, unknown: { intervals: 0 }, refused: {} })
  }, 300_000)
})
