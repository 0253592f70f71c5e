export interface FrameToWrite {
  readonly partition: number
  readonly recordCount: number
  readonly baseUnixMs: number
  readonly body: Uint8Array
}

/** A flush as the addon lays it out; see native/index.d.ts. */
export function writeFlush(frames: readonly FrameToWrite[]): ArrayBuffer {
  const padded = (length: number) => Math.ceil(length / 8) * 8
  const flush = new ArrayBuffer(frames.reduce((sum, { body }) => sum + 32 + padded(body.length), 0))
  const view = new DataView(flush)
  let at = 0
  for (const { partition, recordCount, baseUnixMs, body } of frames) {
    view.setUint32(at, partition, true)
    view.setUint32(at + 4, recordCount, true)
    view.setFloat64(at + 8, baseUnixMs, true)
    view.setUint32(at + 16, body.length, true)
    view.setFloat64(at + 24, baseUnixMs + 1, true)
    new Uint8Array(flush, at + 32).set(body)
    at += 32 + padded(body.length)
  }
  return flush
}
