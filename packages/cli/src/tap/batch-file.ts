import { payloadLimitBytes } from './flow-message-reader.ts'
import type { TapMessage } from './tap-message.ts'

/** A file that is no list of batches, or ends in the middle of one. */
export class BatchFileError extends Error {}

/** A payload as it stands in a file: its length as a protobuf varint, then itself. */
export function delimited(payload: Uint8Array): Uint8Array {
  const prefix: number[] = []
  let rest = payload.length
  while (rest > 0x7f) {
    prefix.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  prefix.push(rest)
  const bytes = new Uint8Array(prefix.length + payload.length)
  bytes.set(prefix)
  bytes.set(payload, prefix.length)
  return bytes
}

/**
 * The batches of a file: length-delimited, as protobuf libraries write lists of messages (`writeDelimitedTo`), each one
 * raw or a zstd frame; or one batch without a length. Holds one batch at a time. Throws BatchFileError.
 */
export async function* readBatchFile(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TapMessage> {
  let held: Uint8Array = new Uint8Array(0)
  let isSingle: boolean | undefined
  for await (const chunk of chunks) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    if (isSingle === undefined && held.length >= 4) isSingle = beginsLikeOneBatch(held)
    if (isSingle === true && held.length > payloadLimitBytes)
      throw new BatchFileError('it is larger than a batch may be')
    if (isSingle !== false) continue
    let at = 0
    for (;;) {
      const frame = frameAt(held, at)
      if (frame === undefined) break
      yield { payload: held.subarray(frame.start, frame.end) }
      at = frame.end
    }
    held = held.subarray(at)
  }
  if (held.length === 0) return
  if (isSingle !== true) throw new BatchFileError('it ends in the middle of a batch')
  yield { payload: held }
}

/** Where the next whole batch lies; undefined if more bytes are needed. */
function frameAt(bytes: Uint8Array, at: number): { start: number; end: number } | undefined {
  let length = 0
  for (let index = 0; index < 3; index++) {
    if (at + index >= bytes.length) return undefined
    const byte = bytes[at + index]
    length |= (byte & 0x7f) << (7 * index)
    if (byte >= 0x80) continue
    if (length === 0 || length > payloadLimitBytes) break
    const start = at + index + 1
    return start + length <= bytes.length ? { start, end: start + length } : undefined
  }
  throw new BatchFileError('what should be the length of a batch is none')
}

/**
 * A batch begins with its version (08 01), a zstd frame with its magic number. As a length, 8 would be too short for a
 * batch, and a batch of 40 bytes can't begin with the rest of the magic number.
 */
function beginsLikeOneBatch(bytes: Uint8Array): boolean {
  if (bytes[0] === 0x08) return true
  return bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd
}
