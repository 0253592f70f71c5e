// A collector and nothing else in one process, as on a node of a cluster, with a bus that takes every batch at once.
import { collectorConfigSchema, startCollector } from '../../../packages/collector/dist/index.js'
import { loadConfig } from '../../../packages/shared/dist/index.js'

const loaded = loadConfig(collectorConfigSchema, { args: process.argv.slice(2), env: {} })
if (!loaded.ok) throw new Error(loaded.errors.join(' '))
let batches = 0
let bytes = 0
const bus = {
  publish({ data }) {
    batches += 1
    bytes += data.length
    return Promise.resolve()
  },
}
const log = { info() {}, warn: console.error, error: console.error }
const collector = await startCollector({ config: loaded.config, bus, log })
console.log('ready')
process.stdin.on('data', () => console.log(JSON.stringify({ ...collector.status(), batches, bytes })))
process.stdin.on('end', async () => {
  await collector.close()
})
