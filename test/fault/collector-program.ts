// A collector in a process of its own, as on a node; the bus is the channel to the process that started it, which
// acknowledges each batch by its number. Ends cleanly when that process lets go of the channel's other end.
import { startCollector } from '../../packages/collector/src/collector.ts'
import { configOn, quiet } from './observer.ts'

const waiting = new Map<number, () => void>()
let last = 0
const collector = await startCollector({
  config: configOn(process.argv[2]!),
  log: quiet,
  bus: {
    publish({ node, partition, data }) {
      const id = ++last
      process.send?.({ id, node, partition, data: Buffer.from(data).toString('base64') })
      return new Promise(resolve => waiting.set(id, resolve))
    },
  },
})
process.on('message', (message: { taken?: number; stop?: true }) => {
  if (message.taken !== undefined) waiting.get(message.taken)?.()
  waiting.delete(message.taken ?? 0)
  if (message.stop) void collector.close().then(() => process.disconnect?.())
})
process.send?.({ ready: collector.bootId })
