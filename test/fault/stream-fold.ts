import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { type Core, createCore } from '../../packages/aggregator/src/core.ts'
import {
  decodeFlowPayload,
  flowHead,
  flowStream,
  parseFlowSubject,
} from '../../packages/shared/src/nats/index.ts'
import { createDeliveredBook, type DeliveredBook } from './judge/delivered-book.ts'

const readBytes = 8 << 20
/** A minute was not enough for the stream of a full run on a machine with much else to do. */
const readMs = 15 * 60_000
const mostPayload = 1 << 20

export interface FoldedStream {
  readonly core: Core
  readonly delivered: DeliveredBook
}

/** What the FLOW stream holds, read from its beginning by an aggregator core of its own, every message at its time. */
export async function foldStream(url: string, cluster: string, startMs: number): Promise<FoldedStream> {
  const delivered = createDeliveredBook()
  const core = createCore({ startMs, joinCapacity: 400_000, maxEdges: 200_000, retentionMs: 24 * 3_600_000 })
  const connection = await connect({ servers: url, noAsyncTraces: true })
  try {
    const jsm = await jetstreamManager(connection)
    const stream = flowStream(cluster)
    const { state } = await jsm.streams.info(stream)
    if (state.messages === 0) return { core, delivered }
    const consumer = await jetstream(connection).consumers.get(stream, { deliver_policy: DeliverPolicy.All })
    const messages = await consumer.consume({ max_bytes: readBytes })
    const timer = setTimeout(() => void messages.close(), readMs)
    let [tickedMs, read] = [0, 0]
    for await (const message of messages) {
      const nowMs = Number(message.timestampNanos / 1_000_000n)
      if (nowMs - tickedMs >= 200) {
        tickedMs = nowMs
        core.tick(nowMs)
      }
      const subject = parseFlowSubject(message.subject)
      const head = flowHead(name => message.headers?.get(name))
      const data = decodeFlowPayload(message.data, head?.encoding ?? 'raw', mostPayload)
      if (subject === undefined || data === undefined) throw new Error(`unreadable: ${message.subject}`)
      delivered.add(data)
      core.accept({ node: subject.node, partition: subject.partition, data }, nowMs)
      read = message.seq
      if (read >= state.last_seq) break
    }
    clearTimeout(timer)
    await messages.close()
    // what was not read would look like batches that are missing
    if (read < state.last_seq) throw new Error(`the stream was read up to ${read} of ${state.last_seq}`)
    core.tick(Date.now())
    return { core, delivered }
  } finally {
    await connection.close()
  }
}
