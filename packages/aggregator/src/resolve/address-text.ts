import { v4MappedWord } from './entity-source.ts'

/** An address as four u32 words (the 16 bytes of the IPv6 form, read little endian). */
export interface AddressWords {
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
}

export function isV4(w0: number, w1: number, w2: number): boolean {
  return w0 === 0 && w1 === 0 && w2 >>> 0 === v4MappedWord
}

/** True for addresses that mean the machine itself: loopback, and the unspecified address, which dials loopback. */
export function isThisMachine(w0: number, w1: number, w2: number, w3: number): boolean {
  if (isV4(w0, w1, w2)) return (w3 & 0xff) === 127 || w3 === 0
  return w0 === 0 && w1 === 0 && w2 === 0 && (w3 === 0 || w3 >>> 0 === 0x01000000)
}

/** True where many machines share the address, so that using it says nothing about whose it is. */
export function isShared(w0: number, w1: number, w2: number, w3: number): boolean {
  if (isThisMachine(w0, w1, w2, w3)) return true
  if (isV4(w0, w1, w2)) {
    const first = w3 & 0xff
    // 224/4 multicast and 240/4 with the broadcast address; 169.254/16 is unique on one link only
    return first >= 224 || (first === 169 && ((w3 >>> 8) & 0xff) === 254)
  }
  // ff00::/8 multicast, fe80::/10 link-local
  const first = w0 & 0xff
  return first === 0xff || (first === 0xfe && ((w0 >>> 8) & 0xc0) === 0x80)
}

/** True for addresses that networks of one organisation use among themselves (RFC 1918, RFC 6598, RFC 4193). */
export function isPrivate(w0: number, w1: number, w2: number, w3: number): boolean {
  if (!isV4(w0, w1, w2)) return (w0 & 0xfe) === 0xfc
  const first = w3 & 0xff
  const next = (w3 >>> 8) & 0xff
  return (
    first === 10 ||
    (first === 172 && next >= 16 && next < 32) ||
    (first === 192 && next === 168) ||
    (first === 100 && next >= 64 && next < 128)
  )
}

/** Text of an address: dotted for IPv4 and v4-mapped ones, RFC 5952 for IPv6. */
export function addressText(w0: number, w1: number, w2: number, w3: number): string {
  if (isV4(w0, w1, w2)) return `${w3 & 0xff}.${(w3 >>> 8) & 0xff}.${(w3 >>> 16) & 0xff}.${w3 >>> 24}`
  return v6Text([w0, w1, w2, w3].flatMap(w => [swap16(w & 0xffff), swap16(w >>> 16)]))
}

function swap16(half: number): number {
  return ((half & 0xff) << 8) | (half >>> 8)
}

function v6Text(groups: readonly number[]): string {
  let bestAt = -1
  let bestLength = 1
  for (let i = 0; i < 8; ) {
    let end = i
    while (end < 8 && groups[end] === 0) end++
    if (end - i > bestLength) {
      bestAt = i
      bestLength = end - i
    }
    i = end + 1
  }
  const hex = (part: readonly number[]) => part.map(g => g.toString(16)).join(':')
  if (bestAt < 0) return hex(groups)
  return `${hex(groups.slice(0, bestAt))}::${hex(groups.slice(bestAt + bestLength))}`
}

/** Words of 4 or 16 bytes in network order; undefined for any other length. */
export function wordsOfBytes(bytes: Uint8Array): AddressWords | undefined {
  const word = (at: number) =>
    (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
  if (bytes.length === 4) return { w0: 0, w1: 0, w2: v4MappedWord, w3: word(0) }
  if (bytes.length === 16) return { w0: word(0), w1: word(4), w2: word(8), w3: word(12) }
  return undefined
}

/** Words of an address written by `addressText`; undefined for anything else. */
export function wordsOfText(text: string): AddressWords | undefined {
  const bytes = text.includes(':') ? v6Bytes(text) : v4Bytes(text)
  return bytes && wordsOfBytes(bytes)
}

function v4Bytes(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every(p => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) < 256))
    return undefined
  return Uint8Array.from(parts, Number)
}

function v6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2 || text.length > 39) return undefined
  const [head = [], tail = []] = halves.map(h => (h === '' ? [] : h.split(':')))
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail]
  if (!groups.every(g => /^[0-9a-f]{1,4}$/.test(g))) return undefined
  return Uint8Array.from(groups.flatMap(g => [Number.parseInt(g, 16) >> 8, Number.parseInt(g, 16) & 0xff]))
}
