/** Where each length-delimited field of a message begins, and how long it is; -1 if it is not there. By field number. */
export interface FieldPlaces {
  readonly at: Int32Array
  readonly bytes: Int32Array
}

/** Words of a packed column, which begins anywhere; one that was left out is zero everywhere. */
export function copyColumn(
  message: Uint8Array,
  { at, bytes }: FieldPlaces,
  field: number,
  column: Uint32Array,
  words: number,
): void {
  const length = bytes[field]
  if (length < 0) {
    column.fill(0, 0, words)
    return
  }
  const start = message.byteOffset + at[field]
  if (start % 4 === 0) column.set(new Uint32Array(message.buffer, start, words))
  else new Uint8Array(column.buffer, column.byteOffset, length).set(bytesAt(message, at[field], length))
}

export function bytesAt(message: Uint8Array, at: number, length: number): Uint8Array {
  return new Uint8Array(message.buffer, message.byteOffset + at, length)
}
