/** Bytes in front of every message of a gRPC stream: whether it is compressed, and its length. */
const frameBytes = 5

/**
 * Many messages that a gRPC stream gets as one write. The library writes one message at a time and waits for each to be
 * handed to the kernel, which costs more than the message; these it takes for one. It puts a frame in front of what
 * it takes for a message, then has it copied behind that: the copy brings the frames of the further messages along, and
 * sets the first one right.
 */
export class MessageTrain {
  readonly messages: number
  readonly #bytes: Buffer
  readonly #firstLength: number

  private constructor(bytes: Buffer, firstLength: number, messages: number) {
    this.#bytes = bytes
    this.#firstLength = firstLength
    this.messages = messages
  }

  /** Couples messages until there are enough bytes; undefined once there are no more. */
  static next(messages: Iterator<Uint8Array>, bytes = 64 * 1024): MessageTrain | undefined {
    const parts: Uint8Array[] = []
    let length = 0
    while (length < bytes) {
      const { value, done } = messages.next()
      if (done === true) break
      parts.push(value)
      length += frameBytes + value.length
    }
    return parts.length === 0
      ? undefined
      : new MessageTrain(coupled(parts, length), parts[0].length, parts.length)
  }

  /** What the library is given as the serialized message. */
  serialize(): Buffer {
    const [whole, firstLength] = [this.#bytes, this.#firstLength]
    const rest = whole.subarray(frameBytes)
    rest.copy = (target: Uint8Array, at = 0) => {
      const view = new DataView(target.buffer, target.byteOffset, target.byteLength)
      // otherwise this is not the library that was pinned: better no message than a wrong one
      if (at !== frameBytes || view.getUint32(1) !== rest.length)
        throw new Error('gRPC frames are laid out otherwise')
      view.setUint32(1, firstLength)
      target.set(rest, at)
      return rest.length
    }
    return rest
  }
}

function coupled(parts: readonly Uint8Array[], length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (const part of parts) {
    bytes[at] = 0
    bytes.writeUInt32BE(part.length, at + 1)
    bytes.set(part, at + frameBytes)
    at += frameBytes + part.length
  }
  return bytes
}
