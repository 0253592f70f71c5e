import type { JsonText } from './json-text.ts'

/** Text and the counter whose number follows it. */
export interface Field {
  readonly text: string
  readonly counter: number
}

/**
 * Fields that follow each other. Most counters of most edges are zero: `zeros` is the whole run written with zeros,
 * and any stretch of zero fields is copied from it in one go.
 */
export interface FieldRun {
  readonly counters: readonly number[]
  readonly zeros: DataView
  /** Where each field begins in `zeros`; one more at the end. */
  readonly starts: Int32Array
}

export function fieldRun(fields: readonly Field[]): FieldRun {
  const texts = fields.map(f => `${f.text}0`)
  const starts = new Int32Array(fields.length + 1)
  texts.forEach((text, i) => {
    starts[i + 1] = starts[i] + text.length
  })
  // 8 bytes more, because copying goes by whole words
  const bytes = new Uint8Array(starts[fields.length] + 8)
  new TextEncoder().encodeInto(texts.join(''), bytes)
  return { counters: fields.map(f => f.counter), zeros: new DataView(bytes.buffer), starts }
}

/** `row` is where the counters of the edge begin in `amounts`. */
export function writeRun(out: JsonText, run: FieldRun, amounts: Float64Array, row: number): void {
  const { counters, zeros, starts } = run
  let from = 0
  for (let i = 0; i < counters.length; i++) {
    const value = amounts[row + counters[i]]
    if (value === 0) continue
    // up to and with this field's text, without its zero
    out.part(zeros, from, starts[i + 1] - 1)
    out.integer(value)
    from = starts[i + 1]
  }
  out.part(zeros, from, starts[counters.length])
}
