import { type Core, createCore } from '../../packages/aggregator/src/core.ts'
import type { NodeStatus } from '../../packages/aggregator/src/topology/answer.ts'
import { type Collector, startCollector } from '../../packages/collector/src/collector.ts'
import { testConfig } from '../../packages/collector/src/config.testing.ts'
import type { CollectorConfig } from '../../packages/collector/src/config.ts'
import type { BusMessage, BusPublisher } from '../../packages/shared/src/bus.ts'

export const quiet = { info() {}, warn() {}, error: console.error }

/** Settings of a collector on this cgroup: the defaults, but for a quick flush. */
export function configOn(cgroup: string, change: Partial<CollectorConfig> = {}): CollectorConfig {
  return testConfig({ node: 'n', cgroup, flush: 100, partitions: 4, ...change })
}

/** The aggregator's core, with room for everything that these tests send. */
export function roomyCore(): Core {
  return createCore({
    startMs: Date.now(),
    joinCapacity: 200_000,
    maxEdges: 200_000,
    retentionMs: 24 * 3_600_000,
  })
}

/** What stands between collector and aggregator: decides for each batch how often it arrives. May throw: not taken. */
export type Way = (message: BusMessage) => number

/** A collector on the real kernel and an aggregator, with a way in between that can be made to fail. */
export class Observer {
  readonly core = roomyCore()
  readonly collector: Collector
  way: Way

  private constructor(collector: Collector, way: Way) {
    this.collector = collector
    this.way = way
  }

  static async start(
    cgroup: string,
    change: Partial<CollectorConfig> = {},
    way: Way = () => 1,
  ): Promise<Observer> {
    const holder: { observer?: Observer } = {}
    const early: BusMessage[] = []
    const bus: BusPublisher = {
      async publish(message) {
        if (holder.observer === undefined) early.push({ ...message, data: message.data.slice() })
        else holder.observer.#deliver(message)
      },
    }
    const collector = await startCollector({ config: configOn(cgroup, change), bus, log: quiet })
    const observer = new Observer(collector, way)
    holder.observer = observer
    for (const message of early) observer.#deliver(message)
    return observer
  }

  #deliver(message: BusMessage): void {
    for (let times = this.way(message); times > 0; times--) this.core.accept(message, Date.now())
  }

  /** The collector as the aggregator knows it. */
  get node(): NodeStatus {
    return this.core.reader.ingestStatus(Date.now()).nodes[0]!
  }
}
