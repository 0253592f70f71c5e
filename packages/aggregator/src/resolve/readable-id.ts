const plain = /^[A-Za-z0-9._@+=,-]+$/
const longestSegment = 128

/**
 * One segment of an id, made from a name that anybody may have chosen: everything but letters, digits and `._@+=,-`
 * is percent-encoded as UTF-8, so that no name can imitate a separator, and a very long name is cut and told apart
 * by a hash. Equal names give equal segments in every process; an empty name gives `-`.
 */
export function idSegment(name: string): string {
  if (name === '' || name === '-') return name === '' ? '-' : '%2D'
  if (name.length <= longestSegment && plain.test(name)) return name
  const encoded = escapeSegment(name)
  if (encoded.length <= longestSegment) return encoded
  // never cut inside a percent escape; `!` does not occur in an encoded name, so a cut name can't equal a whole one
  const cut = encoded.slice(0, longestSegment - 20).replace(/%.?$/, '')
  return `${cut}!${hash53(name).toString(16)}`
}

function escapeSegment(name: string): string {
  let out = ''
  for (const character of name.toWellFormed()) {
    if (plain.test(character)) out += character
    else for (const byte of utf8(character)) out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return out
}

function utf8(character: string): Uint8Array {
  return encoder.encode(character)
}

const encoder = new TextEncoder()

/** 53 bits of a string, the same in every process: for telling names apart, not for security. */
export function hash53(text: string): number {
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    high = Math.imul(high ^ unit, 2654435761)
    low = Math.imul(low ^ unit, 1597334677)
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
  return (low >>> 0) * 2 ** 21 + (high >>> 11)
}
