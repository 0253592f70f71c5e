/**
 * Gives the memory of bytes back at once; they have no length afterwards. A collector makes so little garbage on the
 * heap that buffers would pile up to 64 MB before V8 looks for any, and looking more often costs more than all the
 * rest of the work. Bytes that are a part of something larger are left alone.
 */
export function freeBytes({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
