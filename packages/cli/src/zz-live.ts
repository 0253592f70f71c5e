import { aggregatorConfigSchema, startAggregator } from '@skybraid/aggregator'
import { collectorConfigSchema, startCollector } from '@skybraid/collector'
import { createInProcessBus, loadConfig } from '@skybraid/shared'
import pino from 'pino'

const log = pino({ level: 'info' })
const bus = createInProcessBus()
const a = loadConfig(aggregatorConfigSchema, { args: ['--listen', '127.0.0.1:7398'], env: {} }) as any
const c = loadConfig(collectorConfigSchema, {
  args: ['--cgroup', '/sys/fs/cgroup/unified', '--node', 'laptop'],
  env: {},
}) as any
let collector: any
const aggregator = await startAggregator({
  config: a.config,
  bus,
  log: log as any,
  version: '0.1.0',
  collectors: () => (collector ? [collector.status()] : []),
})
collector = await startCollector({ config: c.config, bus, log })
console.log(JSON.stringify(collector.hooks))
process.on('SIGTERM', async () => {
  await collector.close()
  await aggregator.close()
  process.exit(0)
})
