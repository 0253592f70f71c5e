import {
  columnStart,
  type FlowColumns,
  isV6,
  Kind,
  mix32,
  Protocol,
  protocolOf,
  Role,
} from '@skybraid/shared'
import { v4MappedWord } from '../resolve/entity-source.ts'
import { wordAt } from './key-hash.ts'

/** The hash of the dialler's part of a record's key, whose remainder is its partition; flow.proto defines it. */
export function partitionHash(columns: FlowColumns, i: number): number {
  const { localAddress, remoteAddress, ports, kind, diallerIsn } = columns.u32
  if (protocolOf(kind[i]) === Protocol.tcp) return mix32(diallerIsn[i])
  const isServer = ((kind[i] >>> Kind.roleShift) & Kind.roleMask) === Role.server
  const address = isServer ? remoteAddress[i] : localAddress[i]
  let hash = 0
  for (let word = 0; word < 4; word++) {
    const v4 = word === 3 ? address : word === 2 ? v4MappedWord : 0
    hash = mix32(hash ^ (isV6(kind[i]) ? wordAt(columns.v6Addresses, 16 * address + 4 * word) : v4))
  }
  return mix32(hash ^ (isServer ? ports[i] & 0xffff : ports[i] >>> 16))
}

const placeOf = new Int32Array(1_000)

/** Takes every record out whose hash leaves another remainder, and what was said on its connection. */
export function keepPartition(columns: FlowColumns, partitions: number, remainder: number): void {
  let kept = 0
  for (let i = 0; i < columns.count; i++)
    placeOf[i] = partitionHash(columns, i) % partitions === remainder ? kept++ : -1
  if (kept === columns.count) return
  const { words, u32, u64 } = columns
  for (const name in columnStart) {
    const start = columnStart[name as keyof typeof columnStart]
    const width = name in u64 ? 2 : 1
    for (let i = 0; i < columns.count; i++)
      if (placeOf[i] >= 0)
        for (let word = 0; word < width; word++)
          words[start + placeOf[i] * width + word] = words[start + i * width + word]
  }
  let wides = 0
  for (let w = 0; w < columns.wideCount; w++) {
    const at = placeOf[u32.wideAt[w] >>> 8]
    if (at < 0) continue
    u32.wideAt[wides] = (at << 8) | (u32.wideAt[w] & 0xff)
    u32.wideHigh[wides++] = u32.wideHigh[w]
  }
  columns.wideCount = wides
  columns.count = kept
  keepRows(columns)
}

/** Rows of records that stay, with their buckets. */
function keepRows({ l7 }: FlowColumns): void {
  const { l7Record, l7BucketCount, l7BucketIndex, l7BucketValue } = l7.u32
  let [rows, buckets, from] = [0, 0, 0]
  for (let row = 0; row < l7.rowCount; row++) {
    const to = from + l7BucketCount[row]
    const record = placeOf[l7Record[row]]
    if (record >= 0) {
      for (const column of Object.values(l7.u32))
        if (column !== l7BucketIndex && column !== l7BucketValue) column[rows] = column[row]
      l7Record[rows++] = record
      for (let b = from; b < to; b++, buckets++) {
        l7BucketIndex[buckets] = l7BucketIndex[b]
        l7BucketValue[buckets] = l7BucketValue[b]
      }
    }
    from = to
  }
  l7.rowCount = rows
  l7.bucketCount = buckets
}
