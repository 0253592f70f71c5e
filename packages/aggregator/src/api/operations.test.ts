import { encodeFlowBatch, Kind, L7Protocol, Role } from '@skybraid/shared'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createCore } from '../core.ts'
import { epochMs, flowBatch, record, type TestRecord, type TestSaid } from '../join/flow-batch.testing.ts'
import type { OperationView, TopologyEdge } from '../topology/answer.ts'
import { type ApiServer, defaultApiOptions } from './api-deps.ts'
import { buildServer } from './server.ts'

const nowMs = epochMs + 30_000
let app: ApiServer
let sequences: Record<string, number>
let closeMinutes: () => void
let send: (node: string, records: readonly Partial<TestRecord>[]) => void

beforeEach(async () => {
  const core = createCore({ startMs: epochMs, joinCapacity: 1_000, maxEdges: 100, retentionMs: 3_600_000 })
  sequences = {}
  closeMinutes = () => core.tick(nowMs + 90_000)
  send = (node, records) => {
    const sequence = (sequences[node] ?? 0) + 1
    sequences[node] = sequence
    const firstRecord = sequence - 1
    const columns = flowBatch({ node, sequence, firstRecord, sentUnixMs: nowMs }, records.map(record))
    core.accept({ node, partition: 0, data: encodeFlowBatch(columns) }, nowMs)
  }
  app = await buildServer({
    reader: core.reader,
    now: () => nowMs,
    log: pino({ level: 'silent' }),
    version: '0.0.0-test',
    readiness: () => ({ ready: true, reasons: [] }),
    collectors: () => [],
    options: { ...defaultApiOptions, requestsPerSecond: 0, edgeMetrics: 1 },
  })
})

afterEach(() => app.close())

const http1 = L7Protocol.http1 << Kind.l7Shift
const client: Partial<TestRecord> = { flowId: 1, owner: 'curl', flags: Kind.first | http1 }
const server: Partial<TestRecord> = {
  role: Role.server,
  flowId: 2,
  owner: 'nginx',
  local: '10.0.0.2:80',
  remote: '10.0.0.1:1000',
  flags: Kind.first | http1,
}
const get: TestSaid = {
  operation: 'GET /users/{id}',
  status: 200,
  flags: 0,
  count: 8,
  bytes: 100,
  us: 900,
  host: 'shop',
}
const missing: TestSaid = { ...get, status: 404, flags: 1, count: 2 }
const silent: TestSaid = { ...get, status: 0xffff_ffff, flags: 2, count: 1 }
const post: TestSaid = { ...get, operation: 'POST /orders', count: 3, us: 5_000 }
const faster = ({ us, ...said }: TestSaid): TestSaid => ({ ...said, us: us - 300 })

async function ask<T>(url: string): Promise<T> {
  const response = await app.inject(url)
  expect(response.statusCode, response.body).toBe(200)
  return response.json()
}

function bothEnds(): void {
  send('north', [{ ...client, said: [get, missing, silent, post] }])
  send('south', [{ ...server, said: [get, missing, post].map(faster) }])
}

const edgeOf = async (query = '') => (await ask<{ edges: TopologyEdge[] }>(`/topology${query}`)).edges[0]!

describe('/topology', () => {
  it('tells each end’s view of what was said, and the network’s time where both timed the same', async () => {
    bothEnds()
    const { http } = await edgeOf('?include=detail')
    expect(http).toMatchObject({
      protocols: ['http1'],
      client: { requests: 14, errors: 2, unknown: 1, statuses: { 200: 11, 404: 2 }, requestBytes: 1400 },
      server: { requests: 13, errors: 2, unknown: 0, statuses: { 200: 11, 404: 2 } },
      networkUs: 300,
    })
    expect(http?.client?.firstByteUs?.count).toBe(13)
    expect(http?.client?.meanFirstByteUs).toBe(Math.round((10 * 900 + 3 * 5_000) / 13))
    const short = await edgeOf()
    expect(short.http?.client).toMatchObject({ requests: 14, errors: 2, unknown: 1 })
    expect(short.http?.server).not.toHaveProperty('unknown')
    expect(short.http?.client).not.toHaveProperty('statuses')
  })

  it('has no block where nothing was said, and no network time of one end alone', async () => {
    send('north', [client])
    expect(await edgeOf()).not.toHaveProperty('http')
    send('north', [{ ...client, flags: http1, atMs: epochMs + 2_000, said: [get] }])
    expect((await edgeOf()).http).not.toHaveProperty('networkUs')
    expect((await edgeOf()).http).not.toHaveProperty('server')
  })

  it('keeps protocols apart: a name lookup is no request', async () => {
    send('north', [
      { ...client, said: [{ ...get, protocol: L7Protocol.dns, operation: 'A shop.example' }, post] },
    ])
    expect(await edgeOf()).toMatchObject({
      dns: { client: { requests: 8 } },
      http: { client: { requests: 3 } },
    })
  })
})

describe('/operations', () => {
  it('lists them by the time they took altogether, with both views', async () => {
    bothEnds()
    const { operations, total } = await ask<{ operations: OperationView[]; total: number }>('/operations')
    expect(total).toBe(2)
    expect(operations.map(({ operation }) => operation)).toEqual(['POST /orders', 'GET /users/{id}'])
    expect(operations[1]).toMatchObject({
      block: 'http',
      protocol: 'http1',
      host: 'shop',
      client: { requests: 11, statuses: { 200: 8, 404: 2 }, unknown: 1 },
      server: { requests: 10 },
      networkUs: 300,
    })
  })

  it('filters and pages, and a cursor belongs to its question', async () => {
    bothEnds()
    const names = async (query: string) =>
      (await ask<{ operations: OperationView[] }>(`/operations?${query}`)).operations.map(
        each => each.operation,
      )
    expect(await names('status=404')).toEqual(['GET /users/{id}'])
    expect(await names('match=ORDERS')).toEqual(['POST /orders'])
    expect(await names('block=dns')).toEqual([])
    expect(await names('service=nginx')).toHaveLength(2)
    expect(await names('service=redis')).toEqual([])
    expect(await names('sort=requests')).toEqual(['GET /users/{id}', 'POST /orders'])
    const first = await ask<{ nextCursor: string }>('/operations?limit=1')
    const cursor = encodeURIComponent(first.nextCursor)
    expect(await names(`limit=1&cursor=${cursor}`)).toEqual(['GET /users/{id}'])
    const other = await app.inject(`/operations?match=x&cursor=${cursor}`)
    expect(other.json()).toMatchObject({ status: 400, errors: [{ parameter: 'cursor' }] })
  })

  it.each(['sort=size', 'status=-1', 'block=ftp', 'limit=0', 'services=x', 'from=yesterday'])(
    'refuses %s by name',
    async query => {
      const response = await app.inject(`/operations?${query}`)
      expect(response.statusCode).toBe(400)
      expect(response.json().errors[0].parameter).toBe(query.split('=')[0])
    },
  )

  it('has at most 200 of an edge and protocol, and counts the rest', async () => {
    const many = Array.from({ length: 250 }, (_, n) => ({ ...get, operation: `GET /${n}`, count: 1 }))
    send('north', [{ ...client, said: many }])
    const { operations } = await ask<{ operations: OperationView[] }>('/operations?limit=1000')
    expect(operations).toHaveLength(201)
    expect(operations.find(({ operation }) => operation === '{other}')).toMatchObject({
      client: { requests: 50 },
    })
    const status = await ask<{ ingest: { join: { said: object } } }>('/status')
    expect(status.ingest.join.said).toEqual({ unbooked: 0, other: 50, unmovable: 0 })
  })
})

describe('/edges/{id}', () => {
  it('tells of one edge with its operations', async () => {
    bothEnds()
    const { id } = await edgeOf()
    const answer = await ask<{ edge: TopologyEdge; operations: OperationView[] }>(
      `/edges/${encodeURIComponent(id)}`,
    )
    expect(answer.edge).toMatchObject({ id, http: { client: { requests: 14 } } })
    expect(answer.operations.map(({ operation }) => operation)).toEqual(['POST /orders', 'GET /users/{id}'])
    const none = await app.inject('/edges/nobody')
    expect(none.statusCode).toBe(404)
    expect(none.json()).toMatchObject({ title: expect.any(String), status: 404 })
  })
})

describe('/flows', () => {
  it('says what a connection speaks', async () => {
    bothEnds()
    const { flows } = await ask<{ flows: object[] }>('/flows')
    expect(flows).toMatchObject([{ application: 'http1', protocol: 'tcp' }])
  })
})

describe('/metrics', () => {
  it('has requests and times per pair and end, as many as were asked for', async () => {
    bothEnds()
    const dns: TestSaid = { ...get, protocol: L7Protocol.dns, operation: 'A shop.example', count: 2 }
    send('north', [{ ...client, flags: http1, atMs: epochMs + 2_000, said: [dns] }])
    closeMinutes()
    const { body } = await app.inject('/metrics')
    const lines = body.split('\n').filter(line => /^skybraid_edge_(minute_)?request/.test(line))
    const pair = 'source="host/north/-/curl",destination="host/south/-/nginx",protocol="http"'
    const requests = (side: string, outcome: string, count: number) =>
      `skybraid_edge_minute_requests{${pair},side="${side}",outcome="${outcome}"} ${count}`
    const time = (side: string, quantile: string, seconds: number) =>
      `skybraid_edge_minute_request_duration_seconds{${pair},side="${side}",quantile="${quantile}"} ${seconds}`
    expect(lines).toEqual([
      'skybraid_edge_requests_not_shown 1',
      requests('client', 'ok', 11),
      requests('client', 'error', 2),
      requests('client', 'unanswered', 1),
      requests('server', 'ok', 11),
      requests('server', 'error', 2),
      requests('server', 'unanswered', 0),
      time('client', '0.5', 0.000899),
      time('client', '0.99', 0.005087),
      time('server', '0.5', 0.000583),
      time('server', '0.99', 0.004664),
    ])
  })
})
