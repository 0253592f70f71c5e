import {
  type BatchHeader,
  type FlowColumns,
  type U32Column,
  type U64Column,
  u32ColumnFields,
  u64ColumnFields,
} from './columns.ts'
import { batchLimits } from './limits.ts'

const wideColumns: ReadonlySet<string> = new Set(['wideAt', 'wideHigh'])

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
    losses: [],
    recordsEncoded: 0,
    recordsMerged: 0,
    recordsSampledOut: 0,
    ringProduced: 0,
    ringConsumed: 0,
    sentUnixMs: 0,
    owners: [],
    names: [],
  }
}

/** Columns for up to 1,000 records, to be reused for every batch. About 200 KB. */
export function createFlowColumns(): FlowColumns {
  const u32 = {} as Record<U32Column, Uint32Array>
  for (const name of Object.keys(u32ColumnFields) as U32Column[]) {
    u32[name] = new Uint32Array(wideColumns.has(name) ? batchLimits.wideValues : batchLimits.records)
  }
  const u64 = {} as Record<U64Column, Uint32Array>
  for (const name of Object.keys(u64ColumnFields) as U64Column[]) {
    u64[name] = new Uint32Array(2 * batchLimits.records)
  }
  return {
    header: createBatchHeader(),
    count: 0,
    u32,
    u64,
    wideCount: 0,
    v6Addresses: new Uint8Array(16 * batchLimits.v6Addresses),
  }
}
