import { type AddressWords, isV4, wordsOfText } from './address-text.ts'

/** A range of addresses, as in `10.0.0.0/8`. */
export interface AddressRange {
  /** Of the 16-byte form. */
  readonly bits: number
  readonly words: AddressWords
}

/** Undefined for texts that are no range. */
export function addressRange(text: string): AddressRange | undefined {
  const [address, length, more] = text.split('/')
  const words = wordsOfText(address.toLowerCase())
  if (!words || length === undefined || more !== undefined || !/^\d{1,3}$/.test(length)) return undefined
  const isFour = isV4(words.w0, words.w1, words.w2)
  const bits = Number(length) + (isFour ? 96 : 0)
  return bits <= 128 ? { bits, words } : undefined
}

export function isWithin(range: AddressRange, w0: number, w1: number, w2: number, w3: number): boolean {
  const { words, bits } = range
  return (
    sameBits(words.w0, w0, bits) &&
    sameBits(words.w1, w1, bits - 32) &&
    sameBits(words.w2, w2, bits - 64) &&
    sameBits(words.w3, w3, bits - 96)
  )
}

/** Compares the first `bits` bits in network order of words read little endian. */
function sameBits(a: number, b: number, bits: number): boolean {
  if (bits <= 0) return true
  const difference = bigEndian((a ^ b) >>> 0)
  return bits >= 32 ? difference === 0 : difference >>> (32 - bits) === 0
}

function bigEndian(word: number): number {
  return (
    (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | ((word >>> 24) & 0xff)) >>> 0
  )
}

/** Names for ranges of outside addresses. */
export interface OutsideRanges {
  /** Name of the narrowest range that holds the address; the first of equal ones. */
  nameOf(w0: number, w1: number, w2: number, w3: number): string | undefined
}

export interface NamedRange {
  readonly name: string
  readonly range: AddressRange
}

export function createOutsideRanges(ranges: readonly NamedRange[]): OutsideRanges {
  const narrowFirst = ranges.toSorted((a, b) => b.range.bits - a.range.bits)
  return {
    nameOf: (w0, w1, w2, w3) => narrowFirst.find(({ range }) => isWithin(range, w0, w1, w2, w3))?.name,
  }
}
