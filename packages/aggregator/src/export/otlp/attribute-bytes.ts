import { WireWriter } from '../oap/interval/wire-writer.ts'

export type Attributes = readonly (readonly [key: string, value: string | number])[]

/** Where a message of OpenTelemetry has its attributes: a point of a sum, and anything else that we send. */
export const AttributeField = { sum: 7, other: 1 } as const

const scratch = new WireWriter()

/** As fields of the message that they belong to, to be sent again and again. */
export function attributeBytes(field: number, attributes: Attributes): Uint8Array {
  for (const [key, value] of attributes) {
    const attribute = scratch.begin(field)
    scratch.text(1, key)
    const any = scratch.begin(2)
    if (typeof value === 'number') scratch.whole(3, value)
    else scratch.text(1, value)
    scratch.end(any)
    scratch.end(attribute)
  }
  return scratch.finish()
}
