import { readStream } from '../../packages/aggregator/src/bus/stream-reader.ts'
import { type CoreOptions, createPartitionedCore } from '../../packages/aggregator/src/core.ts'
import type { PartitionCore } from '../../packages/aggregator/src/partition/partition-core.ts'
import type { TopologyAnswer } from '../../packages/aggregator/src/topology/answer.ts'
import type { Topology } from '../../packages/aggregator/src/topology/topology.ts'
import { decodeFlowPayload } from '../../packages/shared/src/nats/flow-body.ts'
import {
  flowFilter,
  flowHead,
  flowStream,
  type NatsLink,
  parseFlowSubject,
} from '../../packages/shared/src/nats/index.ts'

const minuteMs = 60_000

export interface UninterruptedOptions extends Pick<CoreOptions, 'onDelta' | 'onFinal' | 'onSaid'> {
  /** A partition's message with this position comes next; infinity: there is none. */
  readonly before?: (own: PartitionCore, topology: Topology, sequence: number) => void
}

/** What one process that was never interrupted makes of the stream of batches: the same code, read in one go. */
export async function readUninterrupted(
  link: NatsLink,
  cluster: string,
  { before, ...options }: UninterruptedOptions = {},
) {
  const core = createPartitionedCore({
    startMs: Date.now(),
    joinCapacity: 200_000,
    maxEdges: 10_000,
    retentionMs: 60 * minuteMs,
    ...options,
  })
  const partitions = new Map<number, PartitionCore>()
  const { promise: idle, resolve } = Promise.withResolvers<void>()
  const reader = readStream({
    link,
    stream: flowStream(cluster),
    filters: () => [flowFilter(cluster)],
    start: {},
    onMessage({ subject, data, header, sequence, unixMs }) {
      const from = parseFlowSubject(subject)!
      const bytes = decodeFlowPayload(data, flowHead(header)!.encoding, 1 << 20)!
      const own =
        partitions.get(from.partition) ??
        core.open(from.partition, {
          startMs: unixMs,
          closedThrough: Math.floor(unixMs / minuteMs) - 2,
          onRound: () => undefined,
        })
      partitions.set(from.partition, own)
      before?.(own, core.topology, sequence)
      own.accept({ node: from.node, partition: from.partition, data: bytes }, { sequence, unixMs })
    },
    onIdle: resolve,
    onTrouble: reason => console.error(reason),
  })
  await idle
  await reader.stop()
  for (const own of partitions.values()) before?.(own, core.topology, Number.POSITIVE_INFINITY)
  return (fromMs: number, toMs: number) =>
    core.reader.topology({ fromMs, toMs, groupBy: 'process', limit: 5000 }, Date.now())
}

/** Every number of every edge. */
export function figures({ edges }: TopologyAnswer): Record<string, number> {
  const found: Record<string, number> = {}
  const visit = (path: string, value: unknown) => {
    if (typeof value === 'number') {
      if (value !== 0 && !path.endsWith('openNow')) found[path] = value
    } else if (typeof value === 'object' && value !== null)
      for (const [key, inner] of Object.entries(value)) visit(`${path}.${key}`, inner)
  }
  for (const { id, tcp, udp } of edges) visit(id, { tcp, udp })
  return found
}
