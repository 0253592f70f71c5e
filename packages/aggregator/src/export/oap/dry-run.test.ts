import { loadConfig } from '@skybraid/shared'
import pino from 'pino'
import { expect, it } from 'vitest'
import { exportConfigSchema } from '../../config.ts'
import { Counter } from '../../topology/counters.ts'
import { createTopology } from '../../topology/topology.ts'
import { booksForExports, type ExportConfig } from '../export-books.ts'
import { openExports, ownSource } from '../open-exports.ts'
import { packPairs } from './interval/packed-pairs.testing.ts'
import { noPairCounts } from './interval/pair-book.ts'
import { Amount, amountCount, Role } from './interval/pod-pair.ts'
import { startOapExporter } from './oap-exporter.ts'
import { type OapConfig, oapConfigSchema } from './options.ts'
import { ShopCluster } from './shop-cluster.testing.ts'

const minute = 29_500_000
const nowMs = () => minute * 60_000 + 30_000

it('a dry run writes in words what would be sent, a line each, and sends nothing', async () => {
  const args = ['--oap-dry-run', '--oap-cluster', 'demo', '--oap-metrics']
  const loaded = loadConfig(exportConfigSchema, { args, env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const config = loaded.config as ExportConfig
  const shop = new ShopCluster()
  const books = booksForExports(config, false)!
  const topology = createTopology({
    index: shop.index,
    startMs: minute * 60_000,
    onDelta: books.onDelta(shop.index)!,
    onFinal: books.onFinal!,
  })
  const book = topology.book(0)
  const [web, api] = [shop.process('web-0', 'node-a'), shop.process('api-0', 'node-a')]
  const row = book.row(book.edge(web, api, 1, 80, -1, 0), minute)
  book.counters[row + Counter.clientOpened] += 1
  book.counters[row + Counter.failedRefused] += 2
  topology.flush(nowMs())
  const lines: string[] = []
  const logged: Record<string, unknown>[] = []
  const exporter = openExports(config, books, own => ownSource(own, topology, nowMs), {
    log: pino({}, { write: line => void logged.push(JSON.parse(line)) }),
    nowMs,
    version: '0',
    writeLine: line => void lines.push(line),
  })!
  await exporter.close()
  const [log, metrics, ...announced] = lines.map(line => JSON.parse(line) as Record<string, object>)
  expect(lines.every(line => line.endsWith('\n'))).toBe(true)
  expect(log!.oap).toMatchObject({
    node: { bootTime: { seconds: minute * 60 }, clusterName: 'demo' },
    connection: {
      local: { kubernetes: { serviceName: 'demo::web.shop', podName: 'web-0' } },
      remote: { kubernetes: { serviceName: 'demo::orders.shop', podName: 'api-0' } },
    },
    kernelLogs: [{ connect: { success: true } }, { connect: {} }, { connect: {} }],
  })
  expect(metrics!.oapMetrics).toEqual({
    minute,
    name: 'skybraid_failed_dials',
    side: 'client',
    service: 'demo::web.shop',
    client: 'demo::web.shop',
    server: 'demo::orders.shop',
    kind: 'refused',
    value: 2,
  })
  const instances = [
    ['demo::web.shop', 'web-0'],
    ['demo::orders.shop', 'api-0'],
  ]
  for (const [service, serviceInstance] of instances) {
    const who = { service, serviceInstance, layer: 'K8S_SERVICE' }
    expect(announced).toContainEqual({ oapKeepAlive: who })
    const properties = expect.arrayContaining([{ key: 'namespace', value: 'shop' }])
    expect(announced).toContainEqual({ oapProperties: { ...who, properties } })
  }
  expect(announced).toHaveLength(4)
  expect(logged.at(-1)).toMatchObject({ messages: 1, logs: 3, refused: {}, leftOut: { udp: 0 } })
  expect(exporter.oapStatus!()).toMatchObject({ isDryRun: true, sent: undefined })
})

it('a dry run says at its end what OAP could not have borne, by reason', async () => {
  const loaded = loadConfig(oapConfigSchema, { args: ['--oap-dry-run'], env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const lines: string[] = []
  const logged: Record<string, unknown>[] = []
  const exporter = startOapExporter({
    config: loaded.config as OapConfig,
    node: 'node-a',
    figures: { leftOut: () => ({ ...noPairCounts(), udp: 7 }), foldedNames: () => 0 },
    log: pino({}, { write: line => void logged.push(JSON.parse(line)) }),
    nowMs,
    random: () => 0,
    write: line => void lines.push(line),
  })
  const amounts = new Float64Array(amountCount)
  amounts[Amount.opened] = 1
  const end = (service: string) => ({ service, pod: 'pod', properties: [] })
  const pairs = packPairs([
    { role: Role.client, local: end('web'), remote: end('192.0.2.1'), amounts },
    { role: Role.client, local: end('web'), remote: end('api'), amounts },
  ])
  let settled = 0
  const take = { pairs, requests: [], figures: [] }
  const takes = [minute, minute - 31].map(unixMinute => ({ ...take, unixMinute }))
  exporter.accept(takes, () => settled++)
  await exporter.close()
  expect(settled).toBe(1)
  expect(lines.filter(line => line.startsWith('{"oap":'))).toHaveLength(1)
  expect(logged.at(-1)).toMatchObject({
    messages: 1,
    logs: 1,
    refused: { address_as_name: 1, minute_out_of_range: 2 },
    leftOut: { udp: 7 },
  })
})
