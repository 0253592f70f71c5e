import { schemaVersion } from '../record/limits.ts'

/** What the headers of a batch's message say, so that nobody has to decode it to know what is in it. */
export interface FlowMessageHead {
  readonly schemaVersion: number
  /** As in the batch, dots included. */
  readonly node: string
  /** 16 hexadecimal digits. */
  readonly bootId: string
  readonly partition: number
  readonly sequence: number
  readonly recordCount: number
  readonly encoding: FlowEncoding
}

/** How the payload is encoded: the batch itself, or one zstd frame of it. */
export type FlowEncoding = 'raw' | 'zstd'

export const flowHeader = {
  schema: 'Skybraid-Schema',
  node: 'Skybraid-Node',
  boot: 'Skybraid-Boot',
  partition: 'Skybraid-Partition',
  sequence: 'Skybraid-Sequence',
  count: 'Skybraid-Count',
  encoding: 'Content-Encoding',
} as const

/** The same batch always has the same id, so that the server drops what is published again within its window. */
export function flowMessageId(head: Pick<FlowMessageHead, 'bootId' | 'partition' | 'sequence'>): string {
  return `${head.bootId}.${head.partition}.${head.sequence}`
}

/** Names and values of the headers, the message id not among them. */
export function flowHeaders(head: Omit<FlowMessageHead, 'schemaVersion'>): [string, string][] {
  const list: [string, string][] = [
    [flowHeader.schema, String(schemaVersion)],
    [flowHeader.node, head.node],
    [flowHeader.boot, head.bootId],
    [flowHeader.partition, String(head.partition)],
    [flowHeader.sequence, String(head.sequence)],
    [flowHeader.count, String(head.recordCount)],
  ]
  if (head.encoding !== 'raw') list.push([flowHeader.encoding, head.encoding])
  return list
}

/** What the headers say; undefined if one is missing, malformed, or names an encoding that we don't know. */
export function flowHead(header: (name: string) => string | undefined): FlowMessageHead | undefined {
  const node = header(flowHeader.node)
  const bootId = header(flowHeader.boot)
  const encoding = header(flowHeader.encoding) || 'raw'
  const schema = wholeNumber(header(flowHeader.schema))
  const partition = wholeNumber(header(flowHeader.partition))
  const sequence = wholeNumber(header(flowHeader.sequence))
  const recordCount = wholeNumber(header(flowHeader.count))
  if (!node || bootId === undefined || !/^[0-9a-f]{16}$/.test(bootId)) return undefined
  if (encoding !== 'raw' && encoding !== 'zstd') return undefined
  if (schema < 0 || partition < 0 || sequence < 0 || recordCount < 0) return undefined
  return { schemaVersion: schema, node, bootId, partition, sequence, recordCount, encoding }
}

/** -1 if the text is not a whole number that a double holds exactly. */
function wholeNumber(text: string | undefined): number {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return -1
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : -1
}
