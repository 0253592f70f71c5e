import protobuf from 'protobufjs'

/** Points that a receiver did not want, and why. */
export interface PartialSuccess {
  readonly rejectedPoints: number
  readonly why: string
}

const mostWhy = 200

/** Of an `ExportMetricsServiceResponse`; undefined where all was taken, or the answer is none. */
export function readPartialSuccess(bytes: Uint8Array): PartialSuccess | undefined {
  try {
    const partial = fieldsOf(bytes).get(1)
    if (!(partial instanceof Uint8Array)) return undefined
    const fields = fieldsOf(partial)
    const [rejected, why] = [fields.get(1), fields.get(2)]
    if (typeof rejected !== 'number' || rejected <= 0) return undefined
    const text = why instanceof Uint8Array ? new TextDecoder().decode(why) : ''
    return { rejectedPoints: rejected, why: text.slice(0, mostWhy).replace(/\p{Cc}/gu, ' ') }
  } catch {
    return undefined
  }
}

/** The numbers and bytes of a message, by field. */
function fieldsOf(bytes: Uint8Array): Map<number, number | Uint8Array> {
  const reader = protobuf.Reader.create(bytes)
  const fields = new Map<number, number | Uint8Array>()
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    const [field, type] = [tag >>> 3, tag & 7]
    if (type === 0) fields.set(field, Number(reader.int64()))
    else if (type === 2) fields.set(field, reader.bytes())
    else reader.skipType(type)
  }
  return fields
}
