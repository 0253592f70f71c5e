interface Entry<T> {
  readonly bytes: Uint8Array
  readonly value: T
}

export interface ByteInterner<T> {
  /** The value of these bytes: the very same object as last time if it is still remembered. */
  get(bytes: Uint8Array, start: number, end: number): T | undefined
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
    get(bytes, start, end) {
      if (end - start > maxBytes) return build(bytes, start, end)
      const slot = hash(bytes, start, end) % slots
      const entry = table[slot]
      if (entry !== undefined && same(entry.bytes, bytes, start, end)) return entry.value
      const value = build(bytes, start, end)
      if (value !== undefined) table[slot] = { bytes: bytes.slice(start, end), value }
      return value
    },
  }
}

function hash(bytes: Uint8Array, start: number, end: number): number {
  let value = 0x811c9dc5
  for (let at = start; at < end; at++) value = Math.imul(value ^ bytes[at], 0x01000193)
  return (value ^ (value >>> 15)) >>> 0
}

function same(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false
  for (let at = 0; at < known.length; at++) if (known[at] !== bytes[start + at]) return false
  return true
}
