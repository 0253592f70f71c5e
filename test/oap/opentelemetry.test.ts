import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exportConfigSchema } from '../../packages/aggregator/src/config.ts'
import { booksForExports, type ExportConfig } from '../../packages/aggregator/src/export/export-books.ts'
import { checkOap } from '../../packages/aggregator/src/export/oap/check-oap.ts'
import { ShopCluster } from '../../packages/aggregator/src/export/oap/shop-cluster.testing.ts'
import { type Exports, openExports, ownSource } from '../../packages/aggregator/src/export/open-exports.ts'
import { Counter, type CounterName, Histogram } from '../../packages/aggregator/src/topology/counters.ts'
import { createTopology } from '../../packages/aggregator/src/topology/topology.ts'
import { createConsole } from '../../packages/cli/src/console.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { eventually } from './eventually.ts'
import { Oap } from './oap.ts'
import { oapObstacle } from './oap-jars.ts'

const missing = oapObstacle() ?? ''
const dashboard = new URL('../../helm/skybraid/files/oap/dashboards/skybraid-service.json', import.meta.url)

interface Found {
  readonly error: string | null
  readonly results: readonly {
    readonly metric: { readonly labels: readonly { key: string; value: string }[] }
    readonly values: readonly { readonly value: string | null }[]
  }[]
}

describe.skipIf(missing !== '')(`what the access log has no place for, in a real OAP ${missing}`, () => {
  let oap: Oap
  let exporter: Exports
  let config: ExportConfig
  const shop = new ShopCluster()
  const minute = Math.floor(Date.now() / 60_000)

  beforeAll(async () => {
    oap = await Oap.start({ metricRules: 'skybraid/*' })
    const args = ['--oap', oap.address, '--oap-metrics', '--oap-http-logs-per-second', '1']
    const loaded = loadConfig(exportConfigSchema, { args, env: {} })
    if (loaded.help || !loaded.ok) throw new Error('options')
    config = loaded.config as ExportConfig
    const books = booksForExports(config, false)!
    const topology = createTopology({
      index: shop.index,
      startMs: minute * 60_000,
      onDelta: books.onDelta(shop.index)!,
      ...(books.onFinal && { onFinal: books.onFinal }),
    })
    const atMs = minute * 60_000
    const [web, api] = [shop.process('web-0', 'node-a'), shop.process('api-0', 'node-a')]
    const orders = shop.address('10.96.0.20', 'node-a', atMs)
    const book = topology.book(0)
    const row = book.row(book.edge(web, api, 1, 8080, orders, 80), minute)
    const counted: Partial<Record<CounterName, number>> = {
      failedRefused: 3,
      failedTimedOut: 2,
      clientToServerLost: 7,
      clientToServerCompared: 1_000,
      serverToClientCompared: 900,
      clientEndedRstReceived: 4,
      serverEndedRstSent: 4,
      serverHalfOpen: 1,
      clientEndedTimeout: 5,
    }
    for (const [name, value] of Object.entries(counted))
      book.counters[row + Counter[name as CounterName]] += value
    for (let i = 0; i < 90; i++) book.sample(row, Histogram.clientRttUs, 200, 1)
    for (let i = 0; i < 10; i++) book.sample(row, Histogram.clientRttUs, 40_000, 1)
    const edge = { client: web, server: api, protocol: 1, dialled: orders, dialledPort: 80 }
    const operation = {
      role: 1,
      protocol: 'http1',
      name: 'GET /items/{id}',
      isError: false,
      requestBytes: 1_000,
      responseBytes: 9_000,
    } as const
    books
      .of(0)
      .addOperation(edge, minute, { ...operation, status: 200, count: 40_000, latencies: [[800, 40_000]] })
    books
      .of(0)
      .addOperation(edge, minute, { ...operation, status: 503, count: 17, latencies: [[90_000, 17]] })
    const redis = {
      ...operation,
      protocol: 'redis',
      name: 'GET',
      status: 0,
      count: 123,
      latencies: [[60, 123]],
    } as const
    books.of(0).addOperation(edge, minute, redis)
    topology.flush(Date.now())
    exporter = openExports(config, books, own => ownSource(own, topology, Date.now), {
      log: createConsole({ write: () => undefined }, 'silent').log,
      nowMs: Date.now,
      version: '0',
    })!
  }, 600_000)

  afterAll(async () => {
    await exporter?.close()
    await oap?.stop()
  })

  async function ask(expression: string, entity: object): Promise<Record<string, number>> {
    const text = (m: number) =>
      new Date(m * 60_000).toISOString().replace('T', ' ').replace(':', '').slice(0, 15)
    const { found } = await oap.graphql<{ found: Found }>(
      `query($x: String!, $e: Entity!, $d: Duration!) { found: execExpression(expression: $x, entity: $e, duration: $d) {
        error results { metric { labels { key value } } values { value } } } }`,
      { x: expression, e: entity, d: { start: text(minute), end: text(minute), step: 'MINUTE' } },
    )
    if (found.error) throw new Error(`${expression}: ${found.error}`)
    return Object.fromEntries(
      found.results.map(({ metric, values }) => [
        metric.labels
          .map(({ value }) => value)
          .sort()
          .join(' '),
        Number(values[0]?.value ?? Number.NaN),
      ]),
    )
  }
  const service = (serviceName: string) => ({ serviceName, normal: true })
  const relation = { ...service('web.shop'), destServiceName: 'orders.shop', destNormal: true }

  it('appears through the shipped rules, exactly', async () => {
    const client = (name: string) => ask(`skybraid_service_${name}`, service('web.shop'))
    const server = (name: string) => ask(`skybraid_service_${name}`, service('orders.shop'))
    await eventually(async () => {
      expect(await client('failed_dials')).toEqual({ refused: 3, timed_out: 2 })
      expect(await client('lost_segments')).toEqual({ sent: 7 })
      expect(await client('compared_segments')).toEqual({ sent: 1_000, received: 900 })
      expect(await server('lost_segments')).toEqual({ received: 7 })
      expect(await client('reset_connections')).toEqual({ 'client received': 4 })
      expect(await server('reset_connections')).toEqual({ 'sent server': 4 })
      expect(await client('timed_out_connections')).toEqual({ client: 5 })
      expect(await server('half_open_connections')).toEqual({ '': 1 })
      expect(await client('round_trip_count')).toEqual({ client: 100 })
      expect(await server('requests')).toEqual({
        '2xx http1 server': 40_000,
        '5xx http1 server': 17,
        'ok redis server': 123,
      })
      expect(await server('request_count')).toEqual({ 'http1 server': 40_017, 'redis server': 123 })
      expect(await server('request_sum')).toMatchObject({ 'http1 server': 40_000 * 800 + 17 * 90_000 })
      expect(await ask('skybraid_relation_failed_dials', relation)).toEqual({ refused: 3, timed_out: 2 })
      expect(await ask('skybraid_relation_round_trip_count', relation)).toEqual({ '': 100 })
      const percentiles = "skybraid_service_round_trip_percentile{p='50,90,99'}"
      expect(await ask(percentiles, service('web.shop'))).toEqual({ '50': 250, '90': 250, '99': 50_000 })
    })
    expect(exporter.oapStatus!().sent).toMatchObject({ unknownMetricPoints: 0 })
    expect(exporter.oapStatus!().sent!.metricPoints).toBeGreaterThan(20)
  })

  it('is wanted, the preflight says', async () => {
    const at = { host: '127.0.0.1', port: oap.ports.rest }
    const { found, missing } = await checkOap(oap.address, config, at)
    expect(missing).toEqual([])
    expect(found).toContain('it takes OpenTelemetry metrics')
    expect(found.join('\n')).toMatch(/^\d+ metrics by the rules of skybraid$/m)
  })

  it('is what every widget of the shipped dashboard asks for', async () => {
    const [{ configuration }] = JSON.parse(readFileSync(dashboard, 'utf8')) as [
      { configuration: { children: { expressions: string[] }[] } },
    ]
    const expressions = configuration.children.flatMap(widget => widget.expressions)
    expect(expressions.length).toBeGreaterThan(8)
    for (const expression of expressions)
      await eventually(async () => {
        const ends = await Promise.all(
          ['web.shop', 'orders.shop'].map(name => ask(expression, service(name))),
        )
        expect(
          ends.some(found => Object.values(found).some(value => value > 0)),
          expression,
        ).toBe(true)
      })
  })

  it('samples the requests that go one by one, and says by how much', () => {
    const { http } = exporter.oapStatus!()
    expect(http.seen).toBe(40_017)
    expect(http.sent).toBeLessThanOrEqual(75 + 30)
    expect(http.factor).toBeGreaterThan(300)
  })
})
