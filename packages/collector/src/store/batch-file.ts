import { crc32 } from 'node:zlib'
import type { SealedBatch } from '../batch/seal.ts'

/**
 * One sealed batch as a file: u32 magic, u32 CRC-32 of all that follows, u32 length of the head, the head as JSON, the
 * message. Little endian.
 */
const magic = 0x31424253 // "SBB1"
const fixedBytes = 12
/** Larger than any batch with its head. */
export const largestFileBytes = 512 * 1024

interface Head {
  readonly order: number
  readonly partition: number
  readonly node: string
  readonly bootId: string
  readonly sequence: number
  readonly recordCount: number
}

export function encodeBatchFile({ order, message }: SealedBatch): Uint8Array | undefined {
  const { head, partition, data } = message
  if (head === undefined) return undefined
  const text = new TextEncoder().encode(JSON.stringify({ order, partition, ...head } satisfies Head))
  const file = new Uint8Array(fixedBytes + text.length + data.length)
  const view = new DataView(file.buffer)
  view.setUint32(0, magic, true)
  view.setUint32(8, text.length, true)
  file.set(text, fixedBytes)
  file.set(data, fixedBytes + text.length)
  view.setUint32(4, crc32(file.subarray(8)), true)
  return file
}

/** The batch in a file of a node; undefined if the file is torn, changed or another node's. */
export function decodeBatchFile(file: Uint8Array<ArrayBuffer>, node: string): SealedBatch | undefined {
  if (file.length < fixedBytes) return undefined
  const view = new DataView(file.buffer, file.byteOffset, file.length)
  if (view.getUint32(0, true) !== magic || view.getUint32(4, true) !== crc32(file.subarray(8)))
    return undefined
  const dataAt = fixedBytes + view.getUint32(8, true)
  if (dataAt > file.length) return undefined
  const head = JSON.parse(new TextDecoder().decode(file.subarray(fixedBytes, dataAt))) as Head
  if (head.node !== node) return undefined
  const { order, partition, bootId, sequence, recordCount } = head
  return {
    order,
    recordCount,
    message: {
      node: node.replaceAll('.', '_'),
      partition,
      // no Buffer, whatever the file was read as
      data: new Uint8Array(file.buffer, file.byteOffset + dataAt, file.length - dataAt),
      head: { node, bootId, sequence, recordCount },
    },
  }
}
