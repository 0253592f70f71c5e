import { headers } from '@nats-io/transport-node'
import { type BatchParts, batchOf } from '../../packages/cli/src/flow-lines/rows.testing.ts'
import {
  compressFlowPayload,
  ensureStreams,
  flowHeaders,
  flowMessageId,
  flowSubject,
  type NatsLink,
} from '../../packages/shared/src/nats/index.ts'
import { linkWith } from './bus-link.ts'
import { streamSettings } from './stream-settings.ts'

/** A collector's end of the bus, without a kernel: it sends batches of invented records. */
export interface BatchSender {
  readonly link: NatsLink
  /** Acknowledged by the stream. */
  send(parts: BatchParts, options?: SendOptions): Promise<void>
  /** Sends so many batches of ten records each, with sequences from `first` on. */
  sendTens(first: number, count: number, parts?: BatchParts): Promise<void>
}

export interface SendOptions {
  readonly compress?: boolean
  /** Under another node's subject. */
  readonly subjectNode?: string
}

const tenRecords = Array.from({ length: 10 }, (_, index) => ({ localPort: 40_000 + index }))

export interface SenderOptions {
  readonly cluster?: string
  readonly login?: readonly string[]
  /** False: somebody else makes the streams. */
  readonly makesStreams?: boolean
}

export async function connectSender(url: string, options: SenderOptions = {}): Promise<BatchSender> {
  const { cluster = 'local', login = [], makesStreams = true } = options
  const link = await linkWith(['--nats', url, ...login], { name: 'sender', spreadMs: 500 })
  if (makesStreams) await ensureStreams(link.jsm, cluster, streamSettings())
  const send = async (parts: BatchParts, { compress = false, subjectNode }: SendOptions = {}) => {
    const payload = batchOf({ cluster, ...parts })
    const { node = 'n1', bootId = '00000000000000aa', partition = 0, sequence = 1, records = [{}] } = parts
    const head = { node, bootId, partition, sequence, recordCount: records.length }
    const list = headers()
    list.set('Nats-Msg-Id', flowMessageId(head))
    for (const [name, value] of flowHeaders({ ...head, encoding: compress ? 'zstd' : 'raw' }))
      list.set(name, value)
    await link.js.publish(
      flowSubject(cluster, partition, subjectNode ?? node),
      compress ? compressFlowPayload(payload) : payload,
      { headers: list, timeout: 60_000 },
    )
  }
  return {
    link,
    send,
    async sendTens(first, count, parts = {}) {
      for (let sequence = first; sequence < first + count; sequence++) {
        const batch = { records: tenRecords, ...parts, sequence, firstRecord: 10 * (sequence - 1) }
        await send(batch, { compress: sequence % 2 === 0 })
      }
    },
  }
}
