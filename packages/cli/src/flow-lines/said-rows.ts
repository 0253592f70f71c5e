import { bucketUpperBound, type FlowColumns, L7Protocol } from '@skybraid/shared'

/** What a record says of one operation, ended in one way. Absent means not measured. */
export interface SaidRow {
  readonly protocol: string
  readonly operation: string
  readonly host?: string
  /** The protocol's own code; absent where no response was seen. */
  readonly status?: number
  readonly isError: boolean
  readonly count: number
  readonly requestBytes: number
  readonly responseBytes: number
  /** From the request's first byte to the response's first and last, on average. */
  readonly meanFirstByteUs?: number
  readonly meanLastByteUs?: number
  /** No message took longer to its first byte. */
  readonly mostFirstByteUs?: number
}

const unknownStatus = 0xffff_ffff
const protocolNames = new Map<number, string>(Object.entries(L7Protocol).map(([name, of]) => [of, name]))

/** A collector may be newer than this program. */
export function protocolText(protocol: number): string {
  return protocolNames.get(protocol) ?? `protocol_${protocol}`
}

/** What each record of a batch says, by its place; records that say nothing are left out. */
export function saidRows({ l7, header }: FlowColumns): Map<number, SaidRow[]> {
  const rows = new Map<number, SaidRow[]>()
  const { u32 } = l7
  let bucket = 0
  for (let row = 0; row < l7.rowCount; row++) {
    let samples = 0
    let highest = -2
    for (const end = bucket + u32.l7BucketCount[row]; bucket < end; bucket++) {
      samples += u32.l7BucketValue[bucket]
      highest = Math.max(highest, u32.l7BucketIndex[bucket] | 0)
    }
    const { protocol, name, host } = header.operations[u32.l7Operation[row]]
    const said: SaidRow = {
      protocol: protocolText(protocol),
      operation: name,
      ...(host !== '' && { host }),
      ...(u32.l7Status[row] !== unknownStatus && { status: u32.l7Status[row] }),
      isError: (u32.l7Flags[row] & 1) !== 0,
      count: u32.l7Count[row],
      requestBytes: u32.l7RequestBytes[row],
      responseBytes: u32.l7ResponseBytes[row],
      ...(samples > 0 && {
        meanFirstByteUs: Math.round(u32.l7FirstByteSumUs[row] / samples),
        meanLastByteUs: Math.round(u32.l7LastByteSumUs[row] / samples),
        mostFirstByteUs: Math.floor(bucketUpperBound(highest)),
      }),
    }
    const record = u32.l7Record[row]
    rows.set(record, [...(rows.get(record) ?? []), said])
  }
  return rows
}
