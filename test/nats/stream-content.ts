import {
  type BatchHeader,
  batchLimits,
  createFlowColumns,
  decodeFlowBatch,
} from '../../packages/shared/src/index.ts'
import {
  decodeFlowPayload,
  flowHead,
  flowStream,
  type NatsLink,
  parseFlowSubject,
} from '../../packages/shared/src/nats/index.ts'

export interface StoredBatch {
  readonly header: BatchHeader
  readonly bytesSent: number
  readonly data: Uint8Array
  readonly encoding: string
}

export interface StreamContent {
  /** Every message, in the order of the stream. */
  readonly stored: readonly StoredBatch[]
  /** The same without repetitions of a boot, partition and sequence; a repetition must have the same bytes. */
  readonly batches: readonly StoredBatch[]
  readonly records: number
  readonly bytesSent: number
}

const columns = createFlowColumns()

/** Reads all that the FLOW stream holds and checks that headers, subject and batch agree. */
export async function streamContent(link: NatsLink, cluster = 'local'): Promise<StreamContent> {
  const stream = flowStream(cluster)
  const { state } = await link.jsm.streams.info(stream)
  const stored: StoredBatch[] = []
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const message = await link.jsm.streams.getMessage(stream, { seq })
    if (message === null) throw new Error(`message ${seq} is gone`)
    const head = flowHead(name => message.header.get(name))
    const subject = parseFlowSubject(message.subject)
    if (head === undefined || subject === undefined) throw new Error(`message ${seq} says not what it is`)
    const data = decodeFlowPayload(message.data, head.encoding, batchLimits.messageBytes)
    if (data === undefined || !decodeFlowBatch(data, columns).ok)
      throw new Error(`message ${seq} is no batch`)
    const { header, count } = columns
    const said = [head.node, head.bootId, head.partition, head.sequence, head.recordCount, subject.partition]
    const is = [header.node, header.bootId, header.partition, header.sequence, count, header.partition]
    if (String(said) !== String(is)) throw new Error(`message ${seq}: ${said} is not ${is}`)
    let bytesSent = 0
    for (let i = 0; i < count; i++) bytesSent += columns.u32.bytesSent[i]
    stored.push({ header: structuredClone(header), bytesSent, data, encoding: head.encoding })
  }
  const batches = withoutRepetitions(stored)
  const sum = (of: (batch: StoredBatch) => number) => batches.reduce((total, batch) => total + of(batch), 0)
  return { stored, batches, records: sum(b => b.header.recordCount), bytesSent: sum(b => b.bytesSent) }
}

function withoutRepetitions(stored: readonly StoredBatch[]): StoredBatch[] {
  const seen = new Map<string, StoredBatch>()
  for (const batch of stored) {
    const { bootId, partition, sequence } = batch.header
    const key = `${bootId} ${partition} ${sequence}`
    const known = seen.get(key)
    if (known === undefined) seen.set(key, batch)
    else if (Buffer.compare(known.data, batch.data) !== 0) throw new Error(`${key} came with other bytes`)
  }
  return [...seen.values()]
}

/** Sequence numbers that are missing, and whether each batch states what came before it, per boot and partition. */
export function gapsOf(batches: readonly StoredBatch[]): string[] {
  const gaps: string[] = []
  const next = new Map<string, { sequence: number; records: number }>()
  const ordered = [...batches].sort((a, b) => a.header.sequence - b.header.sequence)
  for (const { header } of ordered) {
    const key = `${header.bootId} ${header.partition}`
    const { sequence, records } = next.get(key) ?? { sequence: 1, records: 0 }
    if (header.sequence !== sequence || header.firstRecord !== records)
      gaps.push(`${key}: ${sequence} (${records}) expected, ${header.sequence} (${header.firstRecord}) found`)
    next.set(key, { sequence: header.sequence + 1, records: header.firstRecord + header.recordCount })
  }
  return gaps
}
