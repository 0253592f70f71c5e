import { loadConfig } from '@skybraid/shared'
import pino from 'pino'
import { expect, it } from 'vitest'
import { exportConfigSchema } from '../../config.ts'
import { Counter } from '../../topology/counters.ts'
import { createTopology } from '../../topology/topology.ts'
import { booksForExports, type ExportConfig } from '../export-books.ts'
import { openExports, ownSource } from '../open-exports.ts'
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
  const exporter = openExports(config, books, own => ownSource(own, topology, nowMs), {
    log: pino({ level: 'silent' }),
    nowMs,
    version: '0',
    writeLine: line => void lines.push(line),
  })!
  await exporter.close()
  const [log, ...metrics] = lines.map(line => JSON.parse(line) as Record<string, object>)
  expect(lines.every(line => line.endsWith('\n'))).toBe(true)
  expect(log!.oap).toMatchObject({
    node: { bootTime: { seconds: minute * 60 }, clusterName: 'demo' },
    connection: {
      local: { kubernetes: { serviceName: 'demo::web.shop', podName: 'web-0' } },
      remote: { kubernetes: { serviceName: 'demo::orders.shop', podName: 'api-0' } },
    },
    kernelLogs: [{ connect: { success: true } }, { connect: {} }, { connect: {} }],
  })
  expect(metrics.map(line => line.oapMetrics)).toEqual([
    {
      minute,
      name: 'skybraid_failed_dials',
      side: 'client',
      service: 'demo::web.shop',
      client: 'demo::web.shop',
      server: 'demo::orders.shop',
      kind: 'refused',
      value: 2,
    },
  ])
  expect(exporter.oapStatus!()).toMatchObject({ isDryRun: true, sent: undefined })
})
