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

/** Two digits for each number below 100, as they lie in memory. */
const digitPairs = Uint16Array.from(
  { length: 100 },
  (_, n) => (48 + Math.floor(n / 10)) | ((48 + (n % 10)) << 8),
)

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

  /** A whole number. */
  integer(value: number): void {
    let rest = value
    if (rest < 0) {
      this.#bytes[this.at++] = 45
      rest = -rest
    }
    if (rest < 10) this.#bytes[this.at++] = 48 + rest
    else if (rest < 1e9) this.#digits(rest | 0, digitsOf(rest | 0))
    else this.#largeInteger(rest)
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.at)
  }

  #largeInteger(value: number): void {
    const high = Math.floor(value / 1e9)
    if (high < 1e9) this.#digits(high, digitsOf(high))
    else this.text(String(high))
    this.#digits((value - high * 1e9) | 0, 9)
  }

  #digits(value: number, count: number): void {
    const view = this.#view
    let at = this.at + count
    let rest = value
    for (; at - 2 >= this.at; at -= 2) {
      const next = (rest / 100) | 0
      view.setUint16(at - 2, digitPairs[rest - next * 100], true)
      rest = next
    }
    if (at > this.at) this.#bytes[this.at] = 48 + rest
    this.at += count
  }
}

function digitsOf(value: number): number {
  if (value < 100) return value < 10 ? 1 : 2
  if (value < 10_000) return value < 1000 ? 3 : 4
  if (value < 1_000_000) return value < 100_000 ? 5 : 6
  return value < 100_000_000 ? (value < 10_000_000 ? 7 : 8) : 9
}
