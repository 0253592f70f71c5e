import { WireWriter } from './wire-writer.ts'

/** Messages one behind the other, each in the frame that gRPC puts around it. */
export interface FramedMessages {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly messages: number
}

/** In front of every message: whether it is compressed, and its length in four bytes. */
export const frameBytes = 5
/** So many bytes, and what the last message adds to them, are given at once. */
const bytesAtOnce = 64 * 1024

/** The messages without their frames. */
export function* messagesOf(framed: Iterable<FramedMessages>): Generator<Uint8Array<ArrayBuffer>> {
  for (const { bytes } of framed) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let at = 0; at < bytes.length; ) {
      const end = at + frameBytes + view.getUint32(at + 1)
      yield bytes.subarray(at + frameBytes, end)
      at = end
    }
  }
}

/** Messages are begun and ended here, and written with `writer` in between. */
export class FrameWriter {
  readonly writer = new WireWriter()
  #messages = 0
  #frame = 0

  begin(): void {
    this.#frame = this.writer.gap(frameBytes)
  }

  end(): void {
    this.writer.fill8(this.#frame, 0)
    this.writer.fill32(this.#frame + 1, this.writer.length - this.#frame - frameBytes)
    this.#messages++
  }

  get isEmpty(): boolean {
    return this.#messages === 0
  }

  get isFull(): boolean {
    return this.writer.length >= bytesAtOnce
  }

  take(): FramedMessages {
    const messages = this.#messages
    this.#messages = 0
    return { bytes: this.writer.finish(), messages }
  }
}
