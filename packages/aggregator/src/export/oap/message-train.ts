import { type FramedMessages, frameBytes } from './interval/framed-messages.ts'

/**
 * Many messages that a gRPC stream gets as one write. The library writes one message at a time and waits for each to be
 * handed to the kernel, which costs more than the message; these it takes for one. It puts a frame in front of what it
 * takes for a message, then has it copied behind that: the copy sets the frame right, which is that of the first message,
 * and brings those of the further messages along.
 */
export function asOneMessage({ bytes }: FramedMessages): Buffer {
  const firstLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
  const rest = Buffer.from(bytes.buffer, bytes.byteOffset + frameBytes, bytes.byteLength - frameBytes)
  rest.copy = (target: Uint8Array, at = 0) => {
    const frame = new DataView(target.buffer, target.byteOffset, target.byteLength)
    // otherwise this is not the library that was pinned: better no message than a wrong one
    if (at !== frameBytes || frame.getUint32(1) !== rest.length)
      throw new Error('gRPC frames are laid out otherwise')
    frame.setUint32(1, firstLength)
    target.set(rest, at)
    return rest.length
  }
  return rest
}
