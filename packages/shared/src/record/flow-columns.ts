import {
  type BatchHeader,
  type FlowColumns,
  type L7Column,
  type L7Columns,
  l7ColumnFields,
  type U32Column,
  type U64Column,
  u32ColumnFields,
  u64ColumnFields,
} from './columns.ts'
import { batchLimits } from './limits.ts'

type RecordColumn = Exclude<U32Column, 'wideAt' | 'wideHigh'> | U64Column

const u32Names = (Object.keys(u32ColumnFields) as U32Column[]).filter(
  name => name !== 'wideAt' && name !== 'wideHigh',
)
const u64Names = Object.keys(u64ColumnFields) as U64Column[]
const recordWords = (u32Names.length + 2 * u64Names.length) * batchLimits.records

/** Where a column with a value per record begins in `FlowColumns.words`; u64 columns take two words per record. */
export const columnStart = Object.fromEntries([
  ...u32Names.map((name, index) => [name, index * batchLimits.records]),
  ...u64Names.map((name, index) => [name, (u32Names.length + 2 * index) * batchLimits.records]),
]) as { readonly [C in RecordColumn]: number }

export function createBatchHeader(): BatchHeader {
  return {
    schemaVersion: 1,
    cluster: '',
    node: '',
    bootId: '0000000000000000',
    partition: 0,
    sequence: 0,
    firstRecord: 0,
    recordCount: 0,
    baseUnixMs: 0,
    flushIntervalMs: 0,
    capabilities: 0,
    minuteComplete: false,
    cleanStop: false,
    sampling: 0,
    losses: [],
    recordsEncoded: 0,
    recordsMerged: 0,
    recordsSampledOut: 0,
    ringProduced: 0,
    ringConsumed: 0,
    sentUnixMs: 0,
    owners: [],
    names: [],
    l7Counts: [],
    l7Verdicts: [],
    operations: [],
  }
}

/** Columns for up to 1,000 records, to be reused for every batch. About 500 KB. */
export function createFlowColumns(): FlowColumns {
  const words = new Uint32Array(recordWords)
  const column = (name: RecordColumn, length: number) =>
    words.subarray(columnStart[name], columnStart[name] + length)
  const u32 = {
    wideAt: new Uint32Array(batchLimits.wideValues),
    wideHigh: new Uint32Array(batchLimits.wideValues),
  } as Record<U32Column, Uint32Array>
  for (const name of u32Names) u32[name] = column(name as RecordColumn, batchLimits.records)
  const u64 = {} as Record<U64Column, Uint32Array>
  for (const name of u64Names) u64[name] = column(name, 2 * batchLimits.records)
  return {
    header: createBatchHeader(),
    count: 0,
    words,
    u32,
    u64,
    wideCount: 0,
    v6Addresses: new Uint8Array(16 * batchLimits.v6Addresses),
    l7: createL7Columns(),
  }
}

/** Pages that are never written to cost nothing. */
function createL7Columns(): L7Columns {
  const u32 = {} as Record<L7Column, Uint32Array>
  for (const name of Object.keys(l7ColumnFields) as L7Column[]) {
    const isBucket = name === 'l7BucketIndex' || name === 'l7BucketValue'
    u32[name] = new Uint32Array(isBucket ? batchLimits.l7Buckets : batchLimits.l7Rows)
  }
  return { speaksAny: false, rowCount: 0, bucketCount: 0, u32 }
}
