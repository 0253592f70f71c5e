import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Product } from '../e2e/product.ts'
import { dial, listen, sum } from '../e2e/traffic.ts'
import { Lab } from '../lab/lab.ts'
import { startNginx } from '../lab/nginx.ts'
import { startCapture } from '../lab/truth/capture.ts'
import { type CapturedHandshake, readHandshakes } from '../lab/truth/handshakes.ts'
import { counted, namespaceCounters } from '../lab/truth/namespace-counters.ts'
import { type NginxRequest, nginxTotals } from '../lab/truth/nginx-log.ts'
import { until } from '../lab/until.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { eventually } from './eventually.ts'
import { Oap } from './oap.ts'
import { oapObstacle } from './oap-jars.ts'
import { OapReader } from './oap-reader.ts'
import { allSeries, expectNothingElse, expectSeries } from './shown.ts'
import { type Figure, type SideTruth, Truth, type TruthEnd } from './truth.ts'

const missing = whyNoLab() || (oapObstacle() ?? '')
/** Times of requests are counted in buckets as wide as this, and told in whole milliseconds. */
const bucketWidth = 0.045

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
    // so that a packet is a segment, whoever counts
    await Promise.all(lab.spec.pods.map(({ name }) => lab.offload(name, 'off')))
    product = await Product.start(lab, { args: ['--oap', oap.address] })
  }, 600_000)

  afterAll(async () => {
    await product?.stop()
    await oap?.stop()
    await lab?.down()
  })

  const podOf = (name: string, program = 'peer'): TruthEnd => {
    const pod = lab.spec.pods.find(p => p.name === name)!
    return { service: `${program}.${pod.containerId.slice(0, 12)}`, pod: pod.node }
  }

  /** What goes on must fit into its minute: so many seconds of it must be left at the beginning, or the next is waited for. */
  async function withinMinute<T>(
    seconds: number,
    work: () => Promise<T>,
  ): Promise<{ minute: number; result: T }> {
    const minute = await minuteWith(seconds)
    const result = await work()
    expect(Math.floor(Date.now() / 60_000), 'the traffic fits in its minute').toBe(minute)
    return { minute, result }
  }

  /** So many seconds of the running minute must be left, otherwise waits for the next one. */
  async function minuteWith(seconds: number): Promise<number> {
    const left = 60_000 - (Date.now() % 60_000)
    if (left < seconds * 1000) await new Promise(go => setTimeout(go, left + 50))
    return Math.floor(Date.now() / 60_000)
  }

  /** What a pod's kernel counts of TCP while something goes on: it has no other traffic. */
  async function countIn<T>(pods: readonly [string, string], port: number, work: () => Promise<T>) {
    const before = await Promise.all(pods.map(pod => namespaceCounters(lab, pod)))
    const captures = await Promise.all(pods.map(pod => startCapture(lab, pod, 'eth0', `tcp port ${port}`)))
    const result = await work()
    const after = await Promise.all(pods.map(pod => namespaceCounters(lab, pod)))
    const handshakes = await Promise.all(
      captures.map(async capture => {
        await capture.stop()
        return readHandshakes(capture.file)
      }),
    )
    const [client, server] = pods.map((_, i) => segmentsOf(counted(before[i]!, after[i]!)))
    return {
      result,
      client: client!,
      server: server!,
      handshakes: handshakes as [CapturedHandshake[], CapturedHandshake[]],
    }
  }

  /**
   * Short connections between two pods, some of whose segments are lost. The ends say themselves how many and how many
   * bytes, and how long they took to open at most; the kernels of the pods how many segments; a capture how long the
   * handshakes took at least. The server ends first and waits for the other's end, so that its socket counts everything
   * but the answer to the SYN, which is sent before there is a socket.
   */
  async function converse(from: string, to: string, port: number, count: number): Promise<void> {
    const { v4 } = lab.addresses(to)
    const server = await listen(lab, to, port, ['recv:1000', 'send:3000', 'shutdown', 'recv'])
    const up = { to: v4, toPort: port, on: lab.pod(to).node } as const
    const down = { from: v4, fromPort: port, on: lab.pod(from).node } as const
    const faults = await Promise.all(
      [up, down].map(way => lab.fault({ ...way, packets: 'data', hit: { every: 7 } })),
    )
    const seen = await countIn([from, to], port, async () => {
      const { minute, result } = await withinMinute(30, async () => {
        const dialled = await dial(lab, from, v4, port, ['send:1000', 'recv'], ['--count', String(count)])
        await server.servedAll(count)
        return dialled
      })
      expect(result).toMatchObject({ opened: count, failed: 0, broken: 0 })
      await joined(port, count)
      return { minute, client: result }
    })
    await Promise.all(faults.map(fault => fault.remove()))
    const { result, handshakes } = seen
    const { minute, client } = result
    expect(handshakes.map(each => each.length)).toEqual([count, count])
    const ends = { opened: count, closed: count }
    truth.add(minute, podOf(from), podOf(to), {
      client: {
        ...ends,
        bytesSent: client.sent,
        bytesReceived: client.received,
        ...seen.client,
        handshakeNs: [least(handshakes[0], 'syn', 'synAck'), client.openingNs],
      },
      server: {
        ...ends,
        bytesSent: client.received,
        bytesReceived: client.sent,
        ...seen.server,
        packetsSent: seen.server.packetsSent - count,
        handshakeNs: [least(handshakes[1], 'synAck', 'ack'), client.lastingNs],
      },
    })
    if (count > 30) expect(Math.min(seen.client.retransmits, seen.server.retransmits)).toBeGreaterThan(0)
  }

  /** Connections to a port, once all of them are known from both ends. */
  async function joined(port: number, count: number): Promise<void> {
    await until(
      'the flows are joined',
      async () => {
        const found = await product.flows(`port=${port}`)
        const areWhole = found.every(f => f.observed === 'both' && f.state === 'closed')
        return found.length === count && areWhole && found
      },
      { timeoutMs: 180_000 },
    )
  }

  /**
   * Requests of each class of status, over connections of two and more, some of which nginx answers late. Its own log
   * says what there was, and curl how long it took at most. curl ends first and goes away: what comes after nginx has
   * confirmed that is for no socket any more, which is up to a segment each way.
   */
  async function askNginx(from: string, to: string, port: number): Promise<void> {
    const nginx = await startNginx(lab, to, {
      port,
      http: 'limit_req_zone $binary_remote_addr zone=slow:1m rate=2r/s;',
      server:
        'location /moved { return 302 /1k; } location /broken { return 503; } location /slow { limit_req zone=slow burst=9; try_files /1k =404; }',
    })
    const rounds = [
      ['/1k', '/1k', '/moved', '/missing'],
      ['/broken', '/1k'],
      Array<string>(20).fill('/1k'),
      Array<string>(4).fill('/slow'),
    ]
    const asked = sum(rounds.map(paths => paths.length))
    const seen = await countIn([from, to], port, async () => {
      const { minute, result: times } = await withinMinute(30, async () => {
        const all: CurlTimes[] = []
        for (const paths of rounds) all.push(...(await curl(from, lab.addresses(to).v4, port, paths)))
        return all
      })
      const requests = await until('nginx has written its log', async () => {
        const written = await nginx.requests()
        return written.length === asked && written
      })
      await joined(port, rounds.length)
      return { minute, times, requests }
    })
    const { minute, requests, times } = seen.result
    const { connections, bytesReceived, bytesSent } = nginxTotals(requests)
    expect([connections, times.length]).toEqual([rounds.length, asked])
    const ends = { opened: connections, closed: connections }
    const [client, server] = [podOf(from, 'curl'), podOf(to, 'nginx')]
    const opening = times.filter(each => each.connections > 0)
    const late = connections + seen.server.retransmits
    const upToOneEach = (packets: number): Figure => [packets - late, packets]
    truth.add(minute, client, server, {
      client: {
        ...ends,
        bytesSent: bytesReceived,
        bytesReceived: bytesSent,
        packetsSent: upToOneEach(seen.client.packetsSent),
        packetsReceived: upToOneEach(seen.client.packetsReceived),
        retransmits: seen.client.retransmits,
        handshakeNs: [
          least(seen.handshakes[0], 'syn', 'synAck'),
          most(opening.map(each => each.connectSeconds)),
        ],
      },
      server: {
        ...ends,
        bytesSent,
        bytesReceived,
        ...seen.server,
        packetsSent: seen.server.packetsSent - connections,
        handshakeNs: [
          least(seen.handshakes[1], 'synAck', 'ack'),
          most(opening.map(each => each.totalSeconds)),
        ],
      },
    })
    expect(sum(requests.map(({ seconds }) => seconds))).toBeGreaterThan(1)
    // one after the other, so the lists are in the same order
    const paths = rounds.flat()
    const both = requests.map((request, i) => ({ ...request, path: paths[i]!, took: times[i]! }))
    addRequests(minute, client, server, both)
  }

  function addRequests(minute: number, client: TruthEnd, server: TruthEnd, asked: readonly Asked[]): void {
    expect([...new Set(asked.map(({ status }) => status))].sort()).toEqual([200, 302, 404, 503])
    const groups = Map.groupBy(asked, ({ path, status }) => `${path} ${status}`)
    for (const side of ['client', 'server'] as const)
      for (const own of groups.values()) {
        const { path, status } = own[0]!
        expect(new Set(own.map(({ took }) => took.status))).toEqual(new Set([status]))
        const longest = sum(own.map(({ took }) => took.totalSeconds))
        // nginx looks at its clock once for all that it does until it waits again
        const shortest = sum(own.map(({ seconds }) => Math.max(0, seconds - 0.02)))
        truth.addRequests(minute, client, server, side, {
          endpoint: `GET:${path === '/1k' ? '/{id}' : path}`,
          status,
          count: own.length,
          // each is told in whole milliseconds
          durationMs: [
            Math.max(0, shortest * 1000 * (1 - bucketWidth) - own.length),
            longest * 1000 * (1 + bucketWidth),
          ],
          requestBytes: nginxTotals(own).bytesReceived,
          responseBytes: nginxTotals(own).bytesSent,
        })
      }
  }

  /** As nginx logged it, and as curl asked for it and waited. */
  interface Asked extends NginxRequest {
    readonly path: string
    readonly took: CurlTimes
  }

  interface CurlTimes {
    readonly status: number
    /** New ones, for this request. */
    readonly connections: number
    readonly connectSeconds: number
    readonly totalSeconds: number
  }

  /** Requests over one connection. */
  async function curl(
    from: string,
    to: string,
    port: number,
    paths: readonly string[],
  ): Promise<CurlTimes[]> {
    const urls = paths.flatMap(path => ['-o', '/dev/null', `http://${to}:${port}${path}`])
    const told = '%{http_code} %{num_connects} %{time_connect} %{time_total}\n'
    const { stdout } = await lab.exec(from, ['curl', '-s', '-w', told, ...urls])
    return stdout
      .trim()
      .split('\n')
      .map(line => {
        const [status, connections, connectSeconds, totalSeconds] = line.split(' ').map(Number)
        return {
          status: status!,
          connections: connections!,
          connectSeconds: connectSeconds!,
          totalSeconds: totalSeconds!,
        }
      })
  }

  it('conversations of two minutes, requests to nginx, failed dials and an end outside', async () => {
    await converse('a1', 'b1', 7601, 40)
    await converse('a2', 'b1', 7602, 7)
    await askNginx('a2', 'b3', 7604)
    const before = await namespaceCounters(lab, 'a3')
    const { minute, result: refused } = await withinMinute(20, () =>
      dial(lab, 'a3', lab.addresses('b2').v4, 7699, [], ['--count', '5']),
    )
    expect(refused).toMatchObject({ opened: 0, failed: 5 })
    const segments = segmentsOf(counted(before, await namespaceCounters(lab, 'a3')))
    truth.add(
      minute,
      podOf('a3'),
      { service: 'external', pod: '' },
      {
        client: { failed: 5, ...segments },
      },
    )
    await minuteWith(60)
    await converse('b1', 'a1', 7603, 11)
  }, 600_000)

  it('are there, equal to what the ends and their kernels counted, and nothing else is', async () => {
    const reader = new OapReader(oap)
    const lastMinute = Math.floor(Date.now() / 60_000)
    await eventually(async () => {
      expectSeries(truth, await allSeries(reader, truth, firstMinute, lastMinute))
    })
    await expectNothingElse(reader, truth, firstMinute)
    const status = await product.get<{ oap: object }>('/status')
    expect(status.oap).toMatchObject({ connected: true, unknown: { intervals: 0 }, refused: {} })
  }, 600_000)
})

/** Of everything in a pod: what is sent again counts as sent, as its sockets count it. */
function segmentsOf(counters: Readonly<Record<string, number>>) {
  const { TcpOutSegs: first = 0, TcpRetransSegs: retransmits = 0, TcpInSegs: packetsReceived = 0 } = counters
  return { packetsSent: first + retransmits, packetsReceived, retransmits } satisfies SideTruth
}

/** The time between two segments of each handshake as the capture has them: whoever measures around both needs longer. */
function least(
  handshakes: readonly CapturedHandshake[],
  from: 'syn' | 'synAck',
  to: 'synAck' | 'ack',
): number {
  // the capture cuts off microseconds, and the sockets' owner nanoseconds
  const roundedNs = 3_000
  return handshakes.reduce((ns, each) => ns + Math.max(0, Number(each[to] - each[from]) - roundedNs), 0)
}

function most(seconds: readonly number[]): number {
  const roundedSeconds = 1e-6
  return sum(seconds.map(each => (each + roundedSeconds) * 1e9))
}
