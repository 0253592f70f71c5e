interface Entry<T> {
  readonly bytes: DataView
  readonly value: T
}

export interface ByteInterner<T> {
  /** The value of these bytes: the very same object as last time if it is still remembered. */
  get(message: DataView, start: number, end: number): T | undefined
}

/**
 * Remembers what a stretch of bytes was decoded to. Most batches of a node repeat the same owners, and comparing
 * bytes is much cheaper than decoding text again. Direct mapped, so memory is bounded whatever is sent; stretches
 * longer than `maxBytes` are decoded every time. `build` answers undefined for malformed bytes, which is not kept.
 */
export function createByteInterner<T>(
  slots: number,
  maxBytes: number,
  build: (bytes: Uint8Array, start: number, end: number) => T | undefined,
): ByteInterner<T> {
  const table = new Array<Entry<T> | undefined>(slots).fill(undefined)
  return {
    get(message, start, end) {
      if (end - start > maxBytes) return build(bytesOf(message), start, end)
      const slot = sampledHash(message, start, end) % slots
      const entry = table[slot]
      if (entry !== undefined && same(entry.bytes, message, start, end)) return entry.value
      const bytes = bytesOf(message)
      const value = build(bytes, start, end)
      if (value !== undefined) table[slot] = { bytes: new DataView(bytes.slice(start, end).buffer), value }
      return value
    },
  }
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

// Some 24 bytes, the last eight among them, tell owners apart well enough; a clash costs one more decoding.
function sampledHash(bytes: DataView, start: number, end: number): number {
  const length = end - start
  const step = 1 + (length >>> 4)
  let value = length ^ 0x811c9dc5
  for (let at = start; at < end; at += step) value = Math.imul(value ^ bytes.getUint8(at), 0x01000193)
  for (let at = Math.max(start, end - 8); at < end; at++)
    value = Math.imul(value ^ bytes.getUint8(at), 0x01000193)
  return (value ^ (value >>> 15)) >>> 0
}

// From the end, where one node's owners differ, eight bytes at a time. BigInts that are only compared stay in registers.
function same(known: DataView, bytes: DataView, start: number, end: number): boolean {
  let at = end - start
  if (known.byteLength !== at) return false
  for (; at >= 8; at -= 8) {
    if (known.getBigUint64(at - 8, true) !== bytes.getBigUint64(start + at - 8, true)) return false
  }
  for (; at > 0; at--) if (known.getUint8(at - 1) !== bytes.getUint8(start + at - 1)) return false
  return true
}
