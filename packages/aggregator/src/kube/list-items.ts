const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
/** Depth of nesting inside the list's array of items. */
const itemsDepth = 2
const itemsKey = /(?:^|[^\\])"items"\s*:\s*$/

/**
 * Takes a list of the API apart while it comes in, each item as soon as it is whole: a page is megabytes, and neither
 * its text nor what it says is ever there at once.
 */
export interface ListItems {
  /** Items that end within these bytes, in order, as JSON. The bytes are not kept. */
  take(bytes: Buffer): Generator<string, void, void>
  /** What the list says beside its items, with none in it; throws if it is not whole. */
  end(): unknown
}

export function createListItems(): ListItems {
  let depth = 0
  let inString = false
  let isEscaped = false
  let inItems = false
  /** Bytes before these of an item, or of what is beside the items, that is not whole yet. */
  let before: Buffer[] = []
  let beside = ''

  function textUntil(bytes: Buffer, from: number, to: number): string {
    if (before.length === 0) return bytes.toString('utf8', from, to)
    const whole = Buffer.concat([...before, bytes.subarray(from, to)])
    before = []
    return whole.toString()
  }

  /** Where the next byte is that may begin or end something; follows strings on the way. */
  function nextBracket(bytes: Buffer, from: number): number {
    for (let i = from; i < bytes.length; i++) {
      const byte = bytes[i]!
      if (inString) {
        if (isEscaped) isEscaped = false
        else if (byte === backslash) isEscaped = true
        else if (byte === quote) inString = false
      } else if (byte === quote) inString = true
      else if (byte === openBrace || byte === closeBrace || byte === openBracket || byte === closeBracket)
        return i
    }
    return bytes.length
  }

  return {
    *take(bytes) {
      let from = 0
      for (let i = nextBracket(bytes, 0); i < bytes.length; i = nextBracket(bytes, i + 1)) {
        const opens = bytes[i] === openBrace || bytes[i] === openBracket
        depth += opens ? 1 : -1
        if (inItems) {
          if (opens && depth === itemsDepth + 1) from = i
          else if (depth === itemsDepth) yield textUntil(bytes, from, i + 1)
          else if (depth < itemsDepth) {
            inItems = false
            from = i
          }
        } else if (bytes[i] === openBracket && depth === itemsDepth) {
          beside += textUntil(bytes, from, i)
          from = i
          inItems = itemsKey.test(beside)
          if (inItems) beside += '['
        }
      }
      // copied: whoever gave them may use them again
      if (!inItems || depth > itemsDepth) before.push(Buffer.from(bytes.subarray(from)))
    },
    end() {
      const text = beside + textUntil(Buffer.alloc(0), 0, 0)
      return JSON.parse(text)
    },
  }
}
