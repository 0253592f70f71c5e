import { L7Protocol } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { SaidFlag } from '../../../topology/said-rows.ts'
import { createTopology } from '../../../topology/topology.ts'
import { ShopCluster } from '../shop-cluster.testing.ts'
import { noCounts } from './access-log.ts'
import type { BookedOperation } from './booked-operation.ts'
import { createEndNames } from './end-names.ts'
import { createExportBook } from './export-book.ts'
import { createFigureBook } from './figure-book.ts'
import { figuresInWords } from './oap-metrics.ts'

const minute = 29_500_000
const nowMs = minute * 60_000
const shop = new ShopCluster()
const names = createEndNames({ index: shop.index, cluster: '' })
const web = shop.process('web-0', 'node-a')
const api = shop.process('api-0', 'node-a')
const edge = { client: web, server: api, protocol: 1, dialled: api, dialledPort: 80 }

function operation(of: Partial<BookedOperation>): BookedOperation {
  return {
    role: 1,
    protocol: 'http1',
    name: 'GET /items/{id}',
    status: 200,
    isError: false,
    count: 3,
    latencies: [
      [100, 1],
      [300, 2],
    ],
    requestBytes: 30,
    responseBytes: 900,
    ...of,
  }
}

function requestsOf(of: Partial<BookedOperation>) {
  const book = createExportBook({ names, withFigures: true })
  book.addOperation(edge, minute, operation(of))
  const [taken] = book.drain(minute * 60_000)
  return taken!
}

describe('operations of application protocols', () => {
  it('are requests of the access log where they are HTTP, under the names of both ends', () => {
    const { requests, pairs } = requestsOf({})
    expect(pairs.count).toBe(0)
    expect(requests).toMatchObject([
      {
        role: 1,
        local: { service: 'orders.shop', pod: 'api-0' },
        remote: { service: 'web.shop', pod: 'web-0' },
        method: 'GET',
        path: '/items/{id}',
        status: 200,
        version: 1,
        requestBodyBytes: 30,
        responseBodyBytes: 900,
      },
    ])
    expect(requestsOf({ role: 0 }).requests[0]).toMatchObject({ local: { service: 'web.shop' } })
  })

  it('of gRPC have its status as HTTP would say it', () => {
    const of = (status: number) =>
      requestsOf({ protocol: 'grpc', name: '/shop.Orders/Put', status }).requests[0]
    expect(of(0)).toMatchObject({ method: 'POST', path: '/shop.Orders/Put', status: 200, version: 2 })
    expect([5, 14, 13].map(status => of(status)?.status)).toEqual([404, 503, 500])
  })

  it('that have no place in the access log, or no answer, are told as metrics alone', () => {
    expect(requestsOf({ protocol: 'redis', name: 'GET', status: 0 }).requests).toEqual([])
    const { requests, figures } = requestsOf({ status: undefined, latencies: [] })
    expect(requests).toEqual([])
    expect([...figuresInWords({ unixMinute: minute, figures }, nowMs, noCounts())]).toEqual([
      {
        minute,
        name: 'skybraid_requests',
        side: 'server',
        service: 'orders.shop',
        client: 'web.shop',
        server: 'orders.shop',
        protocol: 'http1',
        outcome: 'unanswered',
        value: 3,
      },
    ])
  })

  it('without a latency of their own count as long as the others took', () => {
    expect(requestsOf({ count: 5 }).requests[0]!.latencies).toEqual([
      [100, 1],
      [300, 2],
      [233, 2],
    ])
  })

  it('of a service with itself take nothing of the budget, and are counted as the rest of it is', () => {
    const book = createExportBook({ names, withFigures: true })
    const other = shop.process('api-1', 'node-b')
    book.addOperation({ ...edge, client: other }, minute, operation({ count: 900 }))
    const [taken] = book.drain(nowMs)
    expect(taken!.requests).toEqual([])
    expect(book.counts.sameService).toBe(900)
    // OpenTelemetry has a place for it
    expect(taken!.figures).toHaveLength(1)
  })

  it('have 500 endpoints of a service: what is beyond is told as one, and counted', () => {
    const book = createExportBook({ names })
    for (let i = 0; i < 502; i++) book.addOperation(edge, minute, operation({ name: `GET /${i}` }))
    // who asks makes no endpoint
    book.addOperation(edge, minute, operation({ name: 'GET /503', role: 0 }))
    const paths = book.drain(nowMs)[0]!.requests.map(({ path }) => path)
    expect(paths.slice(498)).toEqual(['/498', '/499', '/{other}', '/{other}', '/503'])
    expect(book.counts.foldedEndpoints).toBe(2 * 3)
  })

  it('of pairs beyond the limit are left out with the pair, and counted', () => {
    const book = createExportBook({ names, maxPairs: 1 })
    const kubelet = shop.nodeProcess('kubelet', 'node-b')
    const outside = { ...edge, client: kubelet }
    for (const of of [edge, outside, edge]) book.addOperation(of, minute, operation({ count: 7 }))
    const [taken] = book.drain(nowMs)
    expect(taken!.requests.map(({ remote }) => remote.service)).toEqual(['web.shop', 'web.shop'])
    expect(book.counts.tooManyPairs).toBe(7)
    // the next interval has room for the other
    book.addOperation(outside, minute, operation({ count: 7 }))
    expect(book.drain(nowMs)[0]!.requests).toHaveLength(1)
  })
})

describe('what was said on edges', () => {
  it('is told as it grows, and of edges that lack an end once their minute is closed', () => {
    const book = createExportBook({ names })
    const topology = createTopology({
      index: shop.index,
      startMs: minute * 60_000,
      onSaid: (of, at, said) => book.addSaid(of, at, said),
    })
    const { edge, row, said } = topology.book(0)
    const outside = shop.address('198.51.100.9', 'node-a', minute * 60_000)
    const [joined, oneSided] = [api, outside].map(server => edge(web, server, 1, 80, -1, 0))
    const rows = said(minute)!
    const operation = rows.operation({ protocol: L7Protocol.http1, name: 'GET /', host: '' })
    const say = (of: number, count: number) => {
      row(of, minute)
      const at = rows.row(of, operation, 200, SaidFlag.timeless)
      rows.add(at, 0, count)
    }
    const taken = () => {
      topology.takeDeltas()
      return book
        .drain(0)
        .flatMap(({ requests }) => requests.map(r => [r.remote.service, r.latencies[0]![1]]))
    }
    say(joined!, 3)
    say(oneSided!, 5)
    expect(taken()).toEqual([['orders.shop', 3]])
    say(joined!, 4)
    expect(taken()).toEqual([['orders.shop', 4]])
    expect(taken()).toEqual([])
    topology.flush((minute + 1) * 60_000)
    expect(taken()).toEqual([['external', 5]])
  })
})

describe('figures of pairs of services', () => {
  it('of too many pairs are told without the peer, and nothing is lost', () => {
    const book = createFigureBook(2)
    for (const peer of ['a', 'b', 'c', 'd'])
      book.addOperation(
        { service: 'web', pod: '', properties: [] },
        { service: peer, pod: '', properties: [] },
        minute,
        operation({ protocol: 'redis', status: 0 }),
      )
    const counts = [
      ...figuresInWords({ unixMinute: minute, figures: book.drain().get(minute)! }, nowMs, noCounts()),
    ] as {
      name: string
      client: string
      value: number
    }[]
    const requests = counts.filter(({ name }) => name === 'skybraid_requests')
    expect(requests.map(({ client, value }) => [client, value])).toEqual([
      ['a', 3],
      ['b', 3],
      ['external', 6],
    ])
  })
})
