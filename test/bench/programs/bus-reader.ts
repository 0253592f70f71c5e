import { readStream } from '../../../packages/aggregator/src/bus/stream-reader.ts'
import { createPartitionedCore } from '../../../packages/aggregator/src/core.ts'
import { openNativeJoin } from '../../../packages/aggregator/src/native/open-native-join.ts'
import {
  decodeFlowPayload,
  flowHead,
  flowPartitionFilter,
  flowStream,
  parseFlowSubject,
} from '../../../packages/shared/src/nats/index.ts'
import { linkWith } from '../../nats/bus-link.ts'

/*
 * What an aggregator does for the batches of one partition, from the socket to the counters of edges, in a process of
 * its own: bus-reader.ts URL CLUSTER subscription|stream. Answers every message of its parent with a `ReaderReport`.
 */

export interface ReaderReport {
  readonly received: number
  readonly applied: number
  /** Of the whole process. */
  readonly cpuMs: number
}

const largestBatchBytes = 1 << 20
const partition = 0
const [url, cluster, way] = process.argv.slice(2)
const startMs = Date.now()
const shared = createPartitionedCore({
  startMs,
  joinCapacity: 1_200_000,
  maxEdges: 100_000,
  retentionMs: 3_600_000,
  openNative: openNativeJoin(),
})
const core = shared.open(partition, { startMs })
const link = await linkWith(['--nats', url])
const filter = flowPartitionFilter(cluster, partition)

function take(
  subject: string,
  data: Uint8Array,
  header: (name: string) => string | undefined,
  position: { readonly sequence: number; readonly unixMs: number },
): void {
  const from = parseFlowSubject(subject)
  const head = flowHead(header)
  if (from === undefined || head === undefined) throw new Error(`a message without its head on ${subject}`)
  const bytes = decodeFlowPayload(data, head.encoding, largestBatchBytes)
  if (bytes === undefined) throw new Error('a payload that cannot be read')
  core.accept({ node: from.node, partition: from.partition, data: bytes }, position)
}

let sequence = 0
if (way === 'stream') {
  readStream({
    link,
    stream: flowStream(cluster),
    filters: () => [filter],
    start: {},
    onMessage: message => take(message.subject, message.data, message.header, message),
    onIdle: () => undefined,
    onTrouble: reason => process.stderr.write(`${reason}\n`),
  })
} else {
  link.connection.subscribe(filter, {
    callback: (error, { subject, data, headers }) => {
      if (error) throw error
      take(subject, data, name => headers?.get(name), { sequence: ++sequence, unixMs: Date.now() })
    },
  })
  await link.connection.flush()
}

setInterval(() => {
  core.tick(Date.now())
  shared.tidy(Date.now())
}, 200)
process.on('message', () => {
  const { received, applied } = core.figures()
  const { user, system } = process.cpuUsage()
  process.send?.({ received, applied, cpuMs: (user + system) / 1_000 } satisfies ReaderReport)
})
process.on('disconnect', () => process.exit())
