import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { FlowEncoding } from './flow-message.ts'

const zstdMagic = 0xfd2fb528
const ordinaryBytes = 65_536
const params = { [constants.ZSTD_c_compressionLevel]: 1 }

/** One zstd frame of level 1. */
export function compressFlowPayload(data: Uint8Array): Uint8Array {
  // told the size, it takes smaller tables and one buffer: a quarter less work
  const chunkSize = Math.max(1_024, data.length)
  return zstdCompressSync(data, { params, pledgedSrcSize: data.length, chunkSize })
}

/**
 * The batch in a payload; undefined if it is no zstd frame where it should be one, or if the batch would take more than
 * `maxBytes`: then nothing larger than that is ever made.
 */
export function decodeFlowPayload(
  data: Uint8Array,
  encoding: FlowEncoding,
  maxBytes: number,
): Uint8Array | undefined {
  if (encoding === 'raw') return data.length <= maxBytes ? data : undefined
  try {
    // one buffer for all of a batch of ordinary size, where there would be some to put together
    const chunkSize = Math.max(64, Math.min(ordinaryBytes, maxBytes))
    return zstdDecompressSync(data, { maxOutputLength: maxBytes, chunkSize })
  } catch {
    return undefined
  }
}

/** How a payload without headers is encoded, by its first bytes; a batch can't begin like a zstd frame. */
export function sniffFlowEncoding(data: Uint8Array): FlowEncoding {
  if (data.length < 4) return 'raw'
  const first = new DataView(data.buffer, data.byteOffset, 4).getUint32(0, true)
  return first === zstdMagic ? 'zstd' : 'raw'
}
