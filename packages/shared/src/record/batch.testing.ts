import fc from 'fast-check'
import type { DnsName, FlowColumns, Operation, Owner, U32Column } from './columns.ts'
import { createFlowColumns } from './flow-columns.ts'
import { packKind } from './kind.ts'
import { batchLimits } from './limits.ts'

const minuteMs = 60_000
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const counter = fc.oneof(fc.nat(100), fc.integer({ min: 0, max: batchLimits.counted - batchLimits.records }))
const text = fc.string({ unit: 'grapheme', maxLength: 40 })

const owner: fc.Arbitrary<Owner> = fc.record({
  cgroup: text,
  podUid: text,
  containerId: text,
  unit: text,
  process: text,
  pid: u32,
})

const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
)

const dnsName: fc.Arbitrary<DnsName> = fc.record({
  address,
  name: fc.string({ minLength: 1, maxLength: 60 }),
  ttlSeconds: u32,
  seenUnixMs: fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2099, 0, 1) }),
})

const printable = fc.string({ unit: fc.constantFrom(...' !"%/{}~azAZ09'), minLength: 1, maxLength: 60 })

const operation: fc.Arbitrary<Operation> = fc.record({
  protocol: fc.integer({ min: 1, max: 31 }),
  name: fc.oneof(printable, fc.constant('x'.repeat(256))),
  host: fc.oneof(fc.constant(''), printable),
})

const header = fc.record({
  schemaVersion: fc.constant(1),
  cluster: text,
  node: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
  bootId: fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 16, maxLength: 16 }),
  partition: fc.nat(65_535),
  sequence: fc.integer({ min: 1, max: batchLimits.counted }),
  firstRecord: counter,
  baseUnixMs: fc
    .integer({ min: Date.UTC(2020, 0, 1) / minuteMs, max: Date.UTC(2099, 0, 1) / minuteMs })
    .map(minute => minute * minuteMs),
  flushIntervalMs: fc.integer({ min: 0, max: 60_000 }),
  capabilities: counter,
  minuteComplete: fc.boolean(),
  cleanStop: fc.boolean(),
  sampling: fc.nat(15),
  losses: fc.array(fc.record({ place: fc.integer({ min: 1, max: 9 }), records: counter }), { maxLength: 9 }),
  recordsEncoded: counter,
  recordsMerged: counter,
  recordsSampledOut: counter,
  ringProduced: counter,
  ringConsumed: counter,
  sentUnixMs: fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2099, 0, 1) }),
  owners: fc.array(owner, { minLength: 1, maxLength: 6 }),
  names: fc.array(dnsName, { maxLength: 4 }),
  l7Counts: fc.array(fc.record({ cause: fc.integer({ min: 1, max: 10 }), count: counter }), { maxLength: 3 }),
  l7Verdicts: fc.array(fc.record({ protocol: fc.nat(31), connections: counter }), { maxLength: 3 }),
  operations: fc.array(operation, { maxLength: 6 }),
})

/** Numbers from a seed: one integer shrinks well, where thousands of column values would not. */
function numbersFrom(seed: number): () => number {
  let state = seed | 1
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9
    return (state ^ (state >>> 12)) >>> 0
  }
}

export interface BatchSeed {
  readonly header: FlowColumns['header']
  readonly count: number
  readonly seed: number
  /** Columns that stay zero and so are not written. */
  readonly omitted: readonly U32Column[]
}

const optionalColumns: readonly U32Column[] = [
  'handshakeUs',
  'srttUs',
  'bytesSent',
  'outOfOrderSegments',
  'ageMs',
]

/** Valid batches of every shape: IPv4 and IPv6, wide deltas, omitted columns, empty ones, with or without operations. */
export const batchSeed: fc.Arbitrary<BatchSeed> = fc.record({
  header: header.map(value => ({ ...value, recordCount: 0 })),
  count: fc.oneof(fc.nat(20), fc.constant(1_000)),
  seed: fc.nat(),
  omitted: fc.subarray([...optionalColumns]),
})

export function columnsFrom({ header: values, count, seed, omitted }: BatchSeed): FlowColumns {
  const columns = createFlowColumns()
  const next = numbersFrom(seed)
  Object.assign(columns.header, structuredClone(values), { recordCount: count })
  columns.count = count
  for (const name of Object.keys(columns.u32) as U32Column[]) {
    if (name === 'wideAt' || name === 'wideHigh' || omitted.includes(name)) continue
    for (let row = 0; row < count; row++) columns.u32[name][row] = next()
  }
  for (const words of Object.values(columns.u64)) for (let at = 0; at < 2 * count; at++) words[at] = next()
  const v6Count = Math.min(2 * count, next() % 8)
  for (let at = 0; at < 16 * v6Count; at++) columns.v6Addresses[at] = next()
  for (let row = 0; row < count; row++) fillRow(columns, row, v6Count, next)
  fillWide(columns, next)
  fillL7(columns, next)
  return columns
}

function fillRow(columns: FlowColumns, row: number, v6Count: number, next: () => number): void {
  const { u32 } = columns
  const isV6 = v6Count > 0 && next() % 2 === 0
  const flags = (next() & 0x7e000) | (isV6 ? 4 : 0) | (next() & 0x20)
  u32.kind[row] = packKind(1 + (next() % 2), next() % 3, 1 + (next() % 4), next() % 12, flags)
  u32.owner[row] = next() % columns.header.owners.length
  u32.atMs[row] = next() % minuteMs
  if (!isV6) return
  u32.localAddress[row] = next() % v6Count
  u32.remoteAddress[row] = next() % v6Count
}

function fillWide(columns: FlowColumns, next: () => number): void {
  for (let row = 0; row < columns.count && columns.wideCount < 20; row += 1 + (next() % 5)) {
    columns.u32.wideAt[columns.wideCount] = ((row << 8) | (46 + (next() % 8))) >>> 0
    columns.u32.wideHigh[columns.wideCount++] = next()
  }
}

function fillL7({ l7, count, header: { operations } }: FlowColumns, next: () => number): void {
  if (operations.length === 0 || count === 0) return
  l7.rowCount = next() % Math.min(300, 3 * count + 1)
  for (let row = 0; row < l7.rowCount; row++) {
    for (const words of Object.values(l7.u32)) words[row] = next()
    l7.u32.l7Record[row] = next() % count
    l7.u32.l7Operation[row] = next() % operations.length
    l7.u32.l7Status[row] = next() % 4 === 0 ? 0xffff_ffff : next() % 600
    l7.u32.l7Flags[row] = next() % 4
    l7.u32.l7BucketCount[row] = next() % 5
    l7.u32.l7Count[row] = l7.u32.l7BucketCount[row] * 50 + 1 + (next() % 1_000)
    l7.bucketCount += l7.u32.l7BucketCount[row]
  }
  for (let at = 0; at < l7.bucketCount; at++) {
    l7.u32.l7BucketIndex[at] = (next() % 300) - 1
    l7.u32.l7BucketValue[at] = 1 + (next() % 50)
  }
}

/** What a reader may look at: equal for equal batches, whatever was in the arrays before. */
export function visibleParts(columns: FlowColumns): object {
  const { count, wideCount, header: seen } = columns
  const words = (values: Uint32Array, length: number) =>
    Buffer.from(values.slice(0, length).buffer).toString('hex')
  const u32: Record<string, string> = {}
  for (const [name, values] of Object.entries(columns.u32)) {
    u32[name] = words(values, name.startsWith('wide') ? wideCount : count)
  }
  const u64: Record<string, string> = {}
  for (const [name, values] of Object.entries(columns.u64)) u64[name] = words(values, 2 * count)
  const l7: Record<string, string> = {}
  for (const [name, values] of Object.entries(columns.l7.u32)) {
    const isBucket = name === 'l7BucketIndex' || name === 'l7BucketValue'
    l7[name] = words(values, isBucket ? columns.l7.bucketCount : columns.l7.rowCount)
  }
  let v6 = 0
  for (let row = 0; row < count; row++) {
    if ((columns.u32.kind[row] & 4) === 0) continue
    v6 = Math.max(v6, columns.u32.localAddress[row] + 1, columns.u32.remoteAddress[row] + 1)
  }
  const addresses = Buffer.from(columns.v6Addresses.slice(0, 16 * v6)).toString('hex')
  const { rowCount, bucketCount } = columns.l7
  return { count, wideCount, rowCount, bucketCount, header: structuredClone(seen), u32, u64, l7, addresses }
}
