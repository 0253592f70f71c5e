import type { Clock } from '../../packages/collector/src/clock.ts'
import { type CaptureSource, type Collector, startCollector } from '../../packages/collector/src/collector.ts'
import type { CollectorConfig } from '../../packages/collector/src/config.ts'
import { noCounters } from '../../packages/collector/src/counters.ts'
import type { Log } from '../../packages/collector/src/log.ts'
import type { BusPublisher } from '../../packages/shared/src/index.ts'
import { configOn, quiet } from './observer.ts'
import type { World } from './world/world.ts'

export interface SimulationOptions {
  readonly world: World
  /** What each node publishes to. */
  readonly bus: (node: string) => BusPublisher
  readonly config?: Partial<CollectorConfig>
  readonly clock?: Clock
  readonly log?: Log
  readonly drainMs?: number
}

/** A real collector per node of a world, its kernel replaced by the world. */
export interface Simulation {
  readonly world: World
  readonly collectors: readonly Collector[]
  /** Hands every collector its next flush. */
  flush(): void
  /** Ends all collectors as SIGTERM does. */
  close(): Promise<void>
}

export async function startSimulation(options: SimulationOptions): Promise<Simulation> {
  const { world, clock, drainMs } = options
  const takers: ((flush: ArrayBuffer) => void)[] = []
  const sourceOf =
    (node: number): CaptureSource =>
    ({ onFlush }) => {
      takers[node] = onFlush
      return {
        hooks: [],
        capabilities: 0x7f,
        counters: () => ({ ...noCounters, recordsEncoded: world.records[node] }),
        setSampling: () => {},
        setPartitions: (first, partitions, fromMinute) =>
          world.splitFrom(node, first, partitions, fromMinute),
        close: () => {},
      }
    }
  const collectors = await Promise.all(
    world.map.nodes.map((node, n) =>
      startCollector({
        config: configOn('/', {
          ...options.config,
          node,
          flush: world.settings.flushMs,
          partitions: world.settings.partitions,
        }),
        bus: options.bus(node),
        log: options.log ?? quiet,
        source: sourceOf(n),
        ...(clock === undefined ? {} : { clock }),
        ...(drainMs === undefined ? {} : { drainMs }),
      }),
    ),
  )
  return {
    world,
    collectors,
    flush() {
      world.flush().forEach((flush, node) => {
        takers[node](flush)
      })
    },
    async close() {
      await Promise.all(collectors.map(collector => collector.close()))
    },
  }
}
