import { copyColumn, type FieldPlaces } from './column-copy.ts'
import { type L7Column, type L7Columns, l7ColumnFields, type MalformedReason } from './columns.ts'
import { batchLimits } from './limits.ts'

const names = Object.keys(l7ColumnFields) as L7Column[]
const isOfBuckets = (name: L7Column) => name === 'l7BucketIndex' || name === 'l7BucketValue'
const rowFields = names.filter(name => !isOfBuckets(name)).map(name => l7ColumnFields[name])
const firstField = Math.min(...Object.values(l7ColumnFields))
const lastField = Math.max(...Object.values(l7ColumnFields))
/** Bucket -1 holds what is not above a microsecond; the highest is that of the histogram's last slot. */
const lowestBucket = -1
const highestBucket = 509

/** Whether a message has any column of what was said; `bytes` are lengths by field number, -1 without the field. */
export function hasL7(bytes: Int32Array): boolean {
  for (let field = firstField; field <= lastField; field++) if (bytes[field] > 0) return true
  return false
}

/** No row is without messages and no bucket without samples: these two columns are never left out. */
export function checkL7Lengths(bytes: Int32Array): MalformedReason | undefined {
  const rowBytes = Math.max(0, bytes[l7ColumnFields.l7Count])
  const bucketBytes = Math.max(0, bytes[l7ColumnFields.l7BucketValue])
  const indexBytes = bytes[l7ColumnFields.l7BucketIndex]
  if (rowBytes % 4 !== 0 || bucketBytes % 4 !== 0) return 'column_length'
  if (rowBytes > 4 * batchLimits.l7Rows || bucketBytes > 4 * batchLimits.l7Buckets) return 'column_length'
  if (indexBytes > 0 && indexBytes !== bucketBytes) return 'column_length'
  for (const field of rowFields) if (bytes[field] > 0 && bytes[field] !== rowBytes) return 'column_length'
  return undefined
}

/** The lengths were checked. */
export function copyL7(message: Uint8Array, places: FieldPlaces, into: L7Columns): void {
  into.rowCount = Math.max(0, places.bytes[l7ColumnFields.l7Count]) / 4
  into.bucketCount = Math.max(0, places.bytes[l7ColumnFields.l7BucketValue]) / 4
  for (const name of names) {
    const words = isOfBuckets(name) ? into.bucketCount : into.rowCount
    if (places.bytes[l7ColumnFields[name]] === 0) into.u32[name].fill(0, 0, words)
    else copyColumn(message, places, l7ColumnFields[name], into.u32[name], words)
  }
}

export function checkL7(l7: L7Columns, records: number, operations: number): MalformedReason | undefined {
  const { l7Record, l7Operation, l7Count } = l7.u32
  for (let row = 0; row < l7.rowCount; row++) {
    if (l7Record[row] >= records || l7Operation[row] >= operations) return 'operation_index'
    if (l7Count[row] === 0) return 'bad_value'
  }
  return checkBuckets(l7)
}

/** Every bucket is one row's, and no row has more samples than messages. */
function checkBuckets({ rowCount, bucketCount, u32 }: L7Columns): MalformedReason | undefined {
  const { l7Count, l7BucketCount, l7BucketIndex, l7BucketValue } = u32
  let at = 0
  for (let row = 0; row < rowCount; row++) {
    const end = at + l7BucketCount[row]
    if (end > bucketCount) return 'bucket_count'
    let samples = 0
    for (; at < end; at++) {
      const index = l7BucketIndex[at] | 0
      if (index < lowestBucket || index > highestBucket || l7BucketValue[at] === 0) return 'bad_value'
      samples += l7BucketValue[at]
    }
    if (samples > l7Count[row]) return 'bucket_count'
  }
  return at === bucketCount ? undefined : 'bucket_count'
}
