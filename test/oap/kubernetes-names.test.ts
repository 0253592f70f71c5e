import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exportConfigSchema } from '../../packages/aggregator/src/config.ts'
import { booksForExports, type ExportConfig } from '../../packages/aggregator/src/export/export-books.ts'
import { ShopCluster } from '../../packages/aggregator/src/export/oap/shop-cluster.testing.ts'
import { type Exports, openExports, ownSource } from '../../packages/aggregator/src/export/open-exports.ts'
import { Counter, type CounterName } from '../../packages/aggregator/src/topology/counters.ts'
import { bucketValue } from '../../packages/aggregator/src/topology/latency-entries.ts'
import { SaidFlag } from '../../packages/aggregator/src/topology/said-rows.ts'
import { createTopology } from '../../packages/aggregator/src/topology/topology.ts'
import { createConsole } from '../../packages/cli/src/console.ts'
import { L7Protocol, loadConfig } from '../../packages/shared/src/index.ts'
import { eventually } from './eventually.ts'
import { Oap } from './oap.ts'
import { oapObstacle } from './oap-jars.ts'
import { OapReader } from './oap-reader.ts'
import { allSeries, expectNothingElse, expectSeries } from './shown.ts'
import { type SideTruth, Truth, type TruthEnd } from './truth.ts'

const missing = oapObstacle() ?? ''
const tcp = 1
const addressLike = /\d+\.\d+\.\d+\.\d+|^$|^Unknown$|^_blank$/

/** What one end counts in a row, by the name of its truth. */
const counterOf: Record<'client' | 'server', Partial<Record<keyof SideTruth, CounterName>>> = {
  client: {
    opened: 'clientOpened',
    failed: 'failedRefused',
    closed: 'clientClosed',
    bytesSent: 'clientBytesSent',
    bytesReceived: 'clientBytesReceived',
    packetsSent: 'clientSegmentsSent',
    packetsReceived: 'clientSegmentsReceived',
    retransmits: 'clientRetransmits',
  },
  server: {
    opened: 'serverAccepted',
    closed: 'serverClosed',
    bytesSent: 'serverBytesSent',
    bytesReceived: 'serverBytesReceived',
    packetsSent: 'serverSegmentsSent',
    packetsReceived: 'serverSegmentsReceived',
    retransmits: 'serverRetransmits',
  },
}

const amounts = (n: number): SideTruth => ({
  opened: n,
  closed: n,
  bytesSent: 100 * n,
  bytesReceived: 300 * n,
  packetsSent: 7 * n,
  packetsReceived: 9 * n,
  retransmits: n,
})

describe.skipIf(missing !== '')(`names of Kubernetes in a real OAP ${missing}`, () => {
  let oap: Oap
  let exporter: Exports
  let minute = 0
  const truth = new Truth()
  const shop = new ShopCluster()

  beforeAll(async () => {
    oap = await Oap.start()
  }, 600_000)

  afterAll(async () => {
    await exporter?.close()
    await oap?.stop()
  })

  /** What joined connections book, under the names that the cluster's objects give. */
  function bookTraffic(book: ReturnType<ReturnType<typeof createTopology>['book']>, atMs: number): void {
    const call = (
      [client, clientEnd]: [number, TruthEnd],
      [server, serverEnd]: [number, TruthEnd],
      via: number,
      sides: { client?: SideTruth; server?: SideTruth },
    ) => {
      const row = book.row(book.edge(client, server, tcp, 8080, via, via < 0 ? 0 : 80), minute)
      for (const side of ['client', 'server'] as const)
        for (const [name, value] of Object.entries(sides[side] ?? {}))
          book.counters[row + Counter[counterOf[side][name as keyof SideTruth]!]] += value
      truth.add(minute, clientEnd, serverEnd, sides)
    }
    const end = (service: string, pod: string): TruthEnd => ({ service, pod })
    const web = [shop.process('web-0', 'node-a'), shop.process('web-1', 'node-b')]
    const api = [shop.process('api-0', 'node-a'), shop.process('api-1', 'node-b')]
    const orders = shop.address('10.96.0.20', 'node-a', atMs)
    const both = (n: number) => ({ client: amounts(n), server: amounts(n + 1) })
    for (const i of [0, 1])
      call(
        [web[i]!, end('web.shop', `web-${i}`)],
        [api[i]!, end('orders.shop', `api-${i}`)],
        orders,
        both(5 + i),
      )
    // what they say to each other, as both ends saw it
    const edge = book.edge(web[0]!, api[0]!, tcp, 8080, orders, 80)
    const said = book.said(minute)!
    const [slot, flag] = [120, { client: 0, server: SaidFlag.server }]
    const latencyMs = Math.floor(bucketValue(slot) / 1_000)
    const operation = said.operation({ protocol: L7Protocol.http1, name: 'GET /items/{id}', host: 'orders' })
    for (const side of ['client', 'server'] as const)
      for (const [status, count] of [
        [200, 30],
        [404, 2],
        [503, 3],
      ] as const) {
        const of = said.row(edge, operation, status, flag[side])
        for (const [i, amount] of [count, count * 70, count * 900].entries()) said.add(of, i, amount)
        said.addBucket(of, slot, count)
        const bytes = { requestBytes: count * 70, responseBytes: count * 900 }
        const endpoint = 'GET:/items/{id}'
        const requests = { endpoint, status, count, durationMs: count * latencyMs, ...bytes }
        truth.addRequests(minute, end('web.shop', 'web-0'), end('orders.shop', 'api-0'), side, requests)
      }
    // a pod on a node without a collector: only the caller reports
    call(
      [api[0]!, end('orders.shop', 'api-0')],
      [shop.address('10.1.0.30', 'node-a', atMs), end('batch.shop', 'batch-0')],
      -1,
      { client: amounts(3) },
    )
    const kubelet: [number, TruthEnd] = [
      shop.nodeProcess('kubelet', 'node-b'),
      end('kubelet.kubelet.service', 'node-b'),
    ]
    call(kubelet, [api[1]!, end('orders.shop', 'api-1')], -1, both(2))
    const shell: [number, TruthEnd] = [shop.process('shell', 'node-b'), end('shell.shop', 'shell')]
    shop.learnName('203.0.113.7', 'api.example.org', 'node-b', atMs)
    for (const [address, service] of [
      ['203.0.113.7', 'api.example.org'],
      ['192.0.2.44', 'office'],
      ['198.51.100.9', 'external'],
    ] as const)
      call(shell, [shop.address(address, 'node-b', atMs), end(service, '')], -1, { client: amounts(4) })
    // somebody outside through a port of the node
    const stranger: [number, TruthEnd] = [shop.address('198.51.100.9', 'node-b', atMs), end('external', '')]
    const nodePort = shop.address('10.0.0.2', 'node-b', atMs)
    const row = book.row(book.edge(stranger[0], web[1]!, tcp, 8080, nodePort, 30_080), minute)
    book.counters[row + Counter.serverAccepted] += 6
    truth.add(minute, stranger[1], end('web.shop', 'web-1'), { server: { opened: 6 } })
    // nobody behind the service answered
    const idle = book.row(
      book.edge(web[0]!, shop.address('10.96.0.99', 'node-a', atMs), tcp, 80, -1, 0),
      minute,
    )
    book.counters[idle + Counter.failedTimedOut] += 2
    truth.add(minute, end('web.shop', 'web-0'), end('idle.shop', ''), { client: { failed: 2 } })
  }

  it('are those of the services dialled and the pods that answered, and the figures are whole', async () => {
    const loaded = loadConfig(exportConfigSchema, { args: ['--oap', oap.address], env: {} })
    if (loaded.help || !loaded.ok) throw new Error('options')
    const config = loaded.config as ExportConfig
    const books = booksForExports(config, false)!
    const startMs = Date.now()
    minute = Math.floor(startMs / 60_000)
    const topology = createTopology({
      index: shop.index,
      startMs,
      onDelta: books.onDelta(shop.index)!,
      onSaid: books.onSaid,
    })
    exporter = openExports(config, books, own => ownSource(own, topology, Date.now), {
      log: createConsole({ write: () => undefined }, 'silent').log,
      nowMs: Date.now,
      version: '0',
    })!
    bookTraffic(topology.book(0), startMs)
    const reader = new OapReader(oap)
    await eventually(async () => {
      expectSeries(truth, await allSeries(reader, truth, minute - 1, minute + 2))
    })
    expect(exporter.oapStatus!()).toMatchObject({ sent: { refused: {}, unknownIntervals: 0 } })
  })

  it('fill services, instances and topology, remote-only pods among them, and nothing else is there', async () => {
    await expectNothingElse(new OapReader(oap), truth, minute - 1, ['batch.shop | batch-0'])
    const names = [...truth.calls.keys(), ...truth.instances].join(' ').split(' ')
    expect(names.filter(name => addressLike.test(name))).toEqual([])
  })
})
