import { type Collector, startCollector } from '../../packages/collector/src/collector.ts'
import { testConfig } from '../../packages/collector/src/config.testing.ts'
import type { CollectorConfig } from '../../packages/collector/src/config.ts'
import { noCounters } from '../../packages/collector/src/counters.ts'
import {
  createJetStreamPublisher,
  type JetStreamPublisher,
  type JetStreamPublisherOptions,
} from '../../packages/collector/src/program.ts'
import { writeFlush } from '../../packages/collector/src/write-flush.testing.ts'
import {
  createFlowColumns,
  encodeBody,
  Kind,
  Protocol,
  packKind,
  Role,
  State,
} from '../../packages/shared/src/index.ts'
import { afterTest } from './cleanup.ts'

/** A collector whose kernel is a script: everything behind the capture is the real thing. */
export interface ScriptedCollector {
  readonly collector: Collector
  readonly bus: JetStreamPublisher
  /** A flush with the next reading of each of `flows` connections of partitions 0 and 1; one byte more every time. */
  flush(flows?: number): void
  /** Records and bytes of all flushes so far. */
  readonly sent: { records: number; bytes: number }
}

export interface ScriptOptions extends Partial<JetStreamPublisherOptions> {
  readonly config?: Partial<CollectorConfig>
  readonly collector?: Partial<Parameters<typeof startCollector>[0]>
}

export const quietLog = { info() {}, warn() {}, error() {} }
const minuteMs = Math.floor(Date.now() / 60_000) * 60_000

export async function scriptedCollector(options: ScriptOptions = {}): Promise<ScriptedCollector> {
  const { config, collector: others, ...publishing } = options
  const bus = createJetStreamPublisher({ cluster: 'local', encoding: 'zstd', log: quietLog, ...publishing })
  let deliver: (flush: ArrayBuffer) => void = () => {}
  const sent = { records: 0, bytes: 0 }
  let round = 0
  const collector = await startCollector({
    config: testConfig(config),
    bus,
    log: quietLog,
    drainMs: 200,
    source: ({ onFlush }) => {
      deliver = onFlush
      const counters = () => ({ ...noCounters, recordsEncoded: sent.records })
      return { hooks: [], capabilities: 1, counters, setSampling() {}, setPartitions() {}, close() {} }
    },
    ...others,
  })
  afterTest(() => collector.close())
  return {
    collector,
    bus,
    sent,
    flush(flows = 50) {
      round++
      sent.records += 2 * flows
      sent.bytes += 2 * flows * round
      deliver(writeFlush([0, 1].map(partition => frame(partition, flows, round))))
    },
  }
}

/** Reading number `round` of each flow: it sent `round` bytes since the one before. */
function frame(partition: number, flows: number, round: number) {
  const columns = createFlowColumns()
  columns.count = flows
  columns.header.owners.push({ cgroup: '/x', podUid: '', containerId: '', unit: '', process: 'p', pid: 1 })
  for (let i = 0; i < flows; i++) {
    columns.u32.kind[i] = packKind(Protocol.tcp, Role.client, State.open, 0, round === 1 ? Kind.first : 0)
    columns.u64.flowId[2 * i] = 1 + i
    columns.u64.flowId[2 * i + 1] = partition
    columns.u32.diallerIsn[i] = 1 + i
    columns.u32.atMs[i] = round
    columns.u32.ageMs[i] = round
    columns.u32.bytesSent[i] = round
    columns.u64.bytesSentTotal[2 * i] = (round * (round + 1)) / 2
  }
  return { partition, recordCount: flows, baseUnixMs: minuteMs, body: encodeBody(columns) }
}
