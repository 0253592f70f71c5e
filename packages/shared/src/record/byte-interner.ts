export interface ByteInterner<T> {
  /** The value of these bytes: the very same object as last time if it is still remembered. */
  get(message: DataView, start: number, end: number): T | undefined
}

const ways = 4
/** A place has three words: the hash, the length (0 where nothing is kept) and where the bytes are. */
const placeWords = 4
const averageBytes = 160

/**
 * Remembers what a stretch of bytes was decoded to. Most batches of a node repeat the same owners, and comparing
 * bytes is much cheaper than decoding text again. Each stretch has four places where it may be. Their bytes lie one
 * after another, so that those in use stay near the processor; when there is no more room, everything is forgotten.
 * So memory is bounded whatever is sent; stretches longer than `maxBytes` are decoded every time. `build` answers
 * undefined for malformed bytes, which is not kept. `slots` is a power of two.
 */
export function createByteInterner<T>(
  slots: number,
  maxBytes: number,
  build: (bytes: Uint8Array, start: number, end: number) => T | undefined,
): ByteInterner<T> {
  const values = new Array<T | undefined>(slots).fill(undefined)
  const places = new Uint32Array(slots * placeWords)
  const kept = new Uint8Array(Math.max(maxBytes, slots * averageBytes))
  const view = new DataView(kept.buffer)
  const homeMask = slots / ways - 1
  let used = 0
  let turn = 0

  function forgetAll(): void {
    values.fill(undefined)
    places.fill(0)
    used = 0
  }

  function keep(home: number, hash: number, bytes: Uint8Array, value: T): void {
    if (used + bytes.length > kept.length) forgetAll()
    let slot = home
    while (slot < home + ways && places[slot * placeWords + 1] !== 0) slot++
    if (slot === home + ways) slot = home + (turn++ % ways)
    kept.set(bytes, used)
    places[slot * placeWords] = hash
    places[slot * placeWords + 1] = bytes.length
    places[slot * placeWords + 2] = used
    values[slot] = value
    used += bytes.length
  }

  return {
    get(message, start, end) {
      const length = end - start
      if (length > maxBytes || length === 0) return build(bytesOf(message), start, end)
      const hash = sampledHash(message, start, end)
      const home = (hash & homeMask) * ways
      for (let slot = home; slot < home + ways; slot++) {
        const at = slot * placeWords
        if (places[at] !== hash || places[at + 1] !== length) continue
        if (same(view, places[at + 2], message, start, length)) return values[slot]
      }
      const value = build(bytesOf(message), start, end)
      if (value !== undefined) keep(home, hash, bytesOf(message).subarray(start, end), value)
      return value
    },
  }
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

// Some ten words, the last two among them, tell owners apart well enough; a clash costs one more comparison.
function sampledHash(bytes: DataView, start: number, end: number): number {
  const length = end - start
  let hash = length ^ 0x811c9dc5
  if (length < 8) {
    for (let at = start; at < end; at++) hash = mixed(hash, bytes.getUint8(at))
    return hash >>> 0
  }
  const step = Math.max(4, length >>> 3)
  for (let at = start; at < end - 8; at += step) hash = mixed(hash, bytes.getUint32(at, true))
  return mixed(mixed(hash, bytes.getUint32(end - 8, true)), bytes.getUint32(end - 4, true)) >>> 0
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1)
  return product ^ (product >>> 15)
}

// From the end, where one node's owners differ, eight bytes at a time. BigInts that are only compared stay in registers.
function same(known: DataView, from: number, bytes: DataView, start: number, length: number): boolean {
  let at = length
  for (; at >= 8; at -= 8) {
    if (known.getBigUint64(from + at - 8, true) !== bytes.getBigUint64(start + at - 8, true)) return false
  }
  for (; at > 0; at--) if (known.getUint8(from + at - 1) !== bytes.getUint8(start + at - 1)) return false
  return true
}
