/** Bytes of the head in front of every frame's body; the layout is documented in native/index.d.ts. */
const headBytes = 32

/** One frame of a flush. `body` is a view into the flush, not a copy: keep it only as long as the flush itself. */
export interface Frame {
  readonly partition: number
  readonly recordCount: number
  /** Start of the minute that the frame's records belong to, unix milliseconds. */
  readonly baseUnixMs: number
  /** The collector's clock when the frame was encoded, unix milliseconds. */
  readonly atUnixMs: number
  /** Nothing of minute `baseUnixMs` follows in this partition. Such a frame has no records and no body. */
  readonly minuteComplete: boolean
  /** Fields 20 to 62 of a FlowBatch: put the header's bytes in front and the message is complete. */
  readonly body: Uint8Array
}

/**
 * Splits a flush into its frames, in order, without copying. Returns how many there were.
 * Throws a RangeError if the buffer is not a whole sequence of frames: that is a bug, never an input.
 */
export function readFrames(flush: ArrayBuffer, onFrame: (frame: Frame) => void): number {
  const view = new DataView(flush)
  let offset = 0
  let count = 0
  while (offset < flush.byteLength) {
    if (flush.byteLength - offset < headBytes)
      throw new RangeError(`frame ${count} of a flush is cut in its head`)
    const recordCount = view.getUint32(offset + 4, true)
    const bodyBytes = view.getUint32(offset + 16, true)
    const end = offset + headBytes + Math.ceil(bodyBytes / 8) * 8
    if (end > flush.byteLength) throw new RangeError(`frame ${count} of a flush is longer than the flush`)
    onFrame({
      partition: view.getUint32(offset, true),
      recordCount,
      baseUnixMs: view.getFloat64(offset + 8, true),
      atUnixMs: view.getFloat64(offset + 24, true),
      minuteComplete: recordCount === 0 && bodyBytes === 0,
      body: new Uint8Array(flush, offset + headBytes, bodyBytes),
    })
    offset = end
    count++
  }
  return count
}
