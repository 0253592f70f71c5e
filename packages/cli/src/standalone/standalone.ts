import { type Aggregator, startAggregator } from '@skybraid/aggregator'
import { type Collector, startCollector } from '@skybraid/collector'
import { createInProcessBus } from '@skybraid/shared'
import { attachReport } from '../attach-report.ts'
import type { Console } from '../console.ts'
import type { NodeSpec } from '../node-spec.ts'
import type { StandaloneConfig } from './options.ts'

export interface Standalone {
  readonly aggregator: Aggregator
  /** Detaches everything and closes the API. Idempotent. */
  close(): Promise<void>
}

/**
 * The whole product in one process: the aggregator with its API, then one collector per node, joined by a bus in
 * memory. Rejects if something could not start; what had started is closed again.
 */
export async function startStandalone(
  config: StandaloneConfig,
  nodes: readonly NodeSpec[],
  version: string,
  console: Console,
  notes: readonly string[],
): Promise<Standalone> {
  const { log } = console
  const bus = createInProcessBus()
  const collectors: Collector[] = []
  const aggregator = await startAggregator({
    config,
    bus,
    log,
    version,
    notes,
    collectors: () => collectors.map(collector => collector.status()),
  })
  const close = async () => {
    // collectors first: what they still hold goes through the bus while there is somebody to take it
    await Promise.all(collectors.map(collector => collector.close()))
    await bus.idle()
    await aggregator.close()
  }
  try {
    for (const { name, cgroupPath } of nodes) {
      const own = { ...config, node: name, cgroup: cgroupPath }
      collectors.push(await startCollector({ config: own, bus, log }))
    }
  } catch (error) {
    await close()
    throw error
  }
  for (const line of attachReport(collectors)) console.say(line)
  return { aggregator, close }
}
