/** Text that is written often: ASCII, padded to whole 8-byte words, which are copied one at a time. */
export interface Literal {
  readonly words: Float64Array
  readonly length: number
}

/** Characters beyond ASCII become `\uXXXX` escapes: legal only inside JSON strings, which is where they occur. */
export function asciiJson(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

export function literal(json: string): Literal {
  const ascii = asciiJson(json)
  const bytes = new Uint8Array(Math.ceil(ascii.length / 8) * 8)
  for (let i = 0; i < ascii.length; i++) bytes[i] = ascii.charCodeAt(i)
  // ASCII words are never NaN as floats, so copying them as floats changes no bit
  return { words: new Float64Array(bytes.buffer), length: ascii.length }
}

const tenThousand = 10_000
/** Numbers below 10,000 as four characters in memory: with zeros in front, and without them from the left. */
const padded = Uint32Array.from({ length: tenThousand }, (_, n) => wordOf(String(n).padStart(4, '0')))
const plain = Uint32Array.from({ length: tenThousand }, (_, n) => wordOf(String(n)))

function wordOf(text: string): number {
  let word = 0
  for (let i = 0; i < text.length; i++) word |= text.charCodeAt(i) << (8 * i)
  return word >>> 0
}

/** Every single write below is at most this long, but for `text`, which looks for room itself. */
const slack = 64

/**
 * Writes JSON text into a growing buffer; far faster than joining strings for answers of many megabytes. Call
 * `reserve` before a series of writes: the writes themselves don't look whether there is room.
 */
export class JsonText {
  at = 0
  #bytes: Uint8Array<ArrayBuffer>
  #view: DataView

  /** Writes over `buffer` where there is one: fresh memory costs more than the writing. */
  constructor(expectedBytes: number, buffer?: ArrayBuffer) {
    this.#bytes = new Uint8Array(buffer ?? new ArrayBuffer(Math.max(expectedBytes, 1024)))
    this.#view = new DataView(this.#bytes.buffer)
  }

  reserve(bytes: number): void {
    if (this.at + bytes + slack <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.at + bytes + slack))
    larger.set(this.#bytes)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }

  literal(text: Literal): void {
    const { words } = text
    const view = this.#view
    let at = this.at
    for (let i = 0; i < words.length; i++, at += 8) view.setFloat64(at, words[i], true)
    this.at += text.length
  }

  /** Bytes `[from, to)` of a text: a run of fields. */
  part(source: DataView, from: number, to: number): void {
    const view = this.#view
    let at = this.at
    for (let i = from; i < to; i += 8, at += 8) view.setFloat64(at, source.getFloat64(i, true), true)
    this.at += to - from
  }

  /** For text that is written once; of any length. */
  text(json: string): void {
    const once = literal(json)
    this.reserve(once.words.length * 8)
    this.literal(once)
  }

  /** A text and the whole number behind it. */
  field(text: Literal, value: number): void {
    this.literal(text)
    this.integer(value)
  }

  /** A whole number. */
  integer(value: number): void {
    if (value >= 0 && value < tenThousand) {
      this.#view.setUint32(this.at, plain[value], true)
      this.at += value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4
    } else if (value >= 0) this.#large(value)
    else {
      this.#bytes[this.at++] = 45
      this.integer(-value)
    }
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.at)
  }

  #large(value: number): void {
    // hostile amounts may add up to what is no longer exact
    if (value > Number.MAX_SAFE_INTEGER) {
      this.text(JSON.stringify(value))
      return
    }
    if (value < 1e8) {
      const high = (value / tenThousand) | 0
      this.integer(high)
      this.#four(value - high * tenThousand)
      return
    }
    const high = Math.floor(value / 1e8)
    const low = value - high * 1e8
    this.integer(high)
    const middle = (low / tenThousand) | 0
    this.#four(middle)
    this.#four(low - middle * tenThousand)
  }

  #four(value: number): void {
    this.#view.setUint32(this.at, padded[value], true)
    this.at += 4
  }
}
