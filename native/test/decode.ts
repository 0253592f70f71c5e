import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type Frame, readFrames } from '../../packages/collector/src/source/read-frames.ts'

const protoRoot = join(import.meta.dirname, '..', '..', 'proto')

/** One record as protoc read it: columns by their proto names; a column that was left out reads as 0. */
export interface DecodedRecord {
  readonly partition: number
  readonly baseUnixMs: number
  readonly owner: string
  at(column: string): number
  /** 64-bit columns. */
  big(column: string): bigint
}

/** What was said on a connection with one operation and status; -1: no response was seen. */
export interface DecodedSaid {
  readonly record: DecodedRecord
  readonly operation: string
  readonly host: string
  readonly status: number
  readonly count: number
  readonly isError: boolean
  /** Its time says nothing: a stream, a push, a blocking command. */
  readonly timeless: boolean
  readonly firstByteSumUs: number
  readonly lastByteSumUs: number
  /** Times to the first byte: how many are in each bucket of the histogram. */
  readonly buckets: ReadonlyMap<number, number>
}

export interface DecodedFrame {
  readonly frame: Frame
  readonly said: DecodedSaid[]
  readonly records: DecodedRecord[]
  readonly names: string[]
}

/** Decodes every frame of flushes with protoc, which shares no code with the encoder. */
export function decodeFlushes(flushes: readonly ArrayBuffer[]): DecodedFrame[] {
  const frames: DecodedFrame[] = []
  for (const flush of flushes) readFrames(flush, frame => frames.push(decodeFrame(frame)))
  return frames
}

export function recordsOf(flushes: readonly ArrayBuffer[]): DecodedRecord[] {
  return decodeFlushes(flushes).flatMap(f => f.records)
}

function decodeFrame(frame: Frame): DecodedFrame {
  const text = execFileSync(
    'protoc',
    ['--decode=skybraid.v1.FlowBatch', `-I${protoRoot}`, 'skybraid/v1/flow.proto'],
    { input: frame.body, encoding: 'utf8', maxBuffer: 1 << 26 },
  )
  const columns = new Map<string, string[]>()
  for (const [, name, value] of text.matchAll(/^(\w+): (\S+)$/gm)) {
    const column = columns.get(name!)
    if (column) column.push(value!)
    else columns.set(name!, [value!])
  }
  const messages = (name: string): string[] =>
    [...text.matchAll(new RegExp(`^${name} {\n([^}]*)}`, 'gm'))].map(m => m[1]!)
  const owners = messages('owners')
  const records = Array.from({ length: frame.recordCount }, (_, i): DecodedRecord => {
    const raw = (column: string): string => {
      const values = columns.get(column)
      if (values === undefined) return '0'
      if (values.length !== frame.recordCount) throw new Error(`${column} has ${values.length} values`)
      return values[i]!
    }
    const at = (column: string): number => Number(raw(column))
    return {
      partition: frame.partition,
      baseUnixMs: frame.baseUnixMs,
      owner: owners[at('owner')] ?? '',
      at,
      big: column => BigInt(raw(column)),
    }
  })
  return { frame, records, names: messages('names'), said: saidIn(text, columns, records) }
}

/** A column that was left out is zero for every row. */
function saidIn(
  text: string,
  columns: ReadonlyMap<string, readonly string[]>,
  records: readonly DecodedRecord[],
): DecodedSaid[] {
  const operations = [...text.matchAll(/^operations {\n(?: {2}.*\n)*?}/gm)].map(m => ({
    operation: / name: "(.*)"/.exec(m[0])?.[1] ?? '',
    host: / host: "(.*)"/.exec(m[0])?.[1] ?? '',
  }))
  const value = (column: string, row: number): number => Number(columns.get(column)?.[row] ?? 0)
  let bucket = 0
  return (columns.get('l7_count') ?? []).map((count, row) => {
    const first = bucket
    bucket += value('l7_bucket_count', row)
    const buckets = new Map<number, number>()
    for (let i = first; i < bucket; i++)
      buckets.set(value('l7_bucket_index', i) | 0, value('l7_bucket_value', i))
    return {
      record: records[value('l7_record', row)]!,
      ...operations[value('l7_operation', row)]!,
      status: value('l7_status', row) | 0,
      count: Number(count),
      isError: (value('l7_flags', row) & 1) !== 0,
      timeless: (value('l7_flags', row) & 2) !== 0,
      firstByteSumUs: value('l7_first_byte_sum_us', row),
      lastByteSumUs: value('l7_last_byte_sum_us', row),
      buckets,
    }
  })
}

export const speaksOf = (r: DecodedRecord): number => (r.at('kind') >>> 23) & 31
export const stateOf = (r: DecodedRecord): number => (r.at('kind') >> 6) & 7
export const roleOf = (r: DecodedRecord): number => (r.at('kind') >> 3) & 3
export const reasonOf = (r: DecodedRecord): number => (r.at('kind') >> 9) & 15
export const isFirst = (r: DecodedRecord): boolean => (r.at('kind') & (1 << 13)) !== 0
export const protocolOf = (r: DecodedRecord): number => r.at('kind') & 3
