/** The shape of a decoded batch. Column names are those of proto/skybraid/v1/flow.proto in camelCase. */

export interface Owner {
  readonly cgroup: string
  readonly podUid: string
  readonly containerId: string
  readonly unit: string
  readonly process: string
  readonly pid: number
}

export interface DnsName {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array
  readonly name: string
  readonly ttlSeconds: number
  readonly seenUnixMs: number
}

export interface LossCount {
  readonly place: number
  readonly records: number
}

/** What was asked for: at most 256 printable bytes. `protocol` is a value of `L7Protocol`, or of a later one. */
export interface Operation {
  readonly protocol: number
  readonly name: string
  /** HTTP alone; otherwise empty. */
  readonly host: string
}

/** Since this boot. `cause` is a number of L7Cause in flow.proto. */
export interface L7Count {
  readonly cause: number
  readonly count: number
}

/** Since this boot. */
export interface L7Verdict {
  readonly protocol: number
  readonly connections: number
}

export interface BatchHeader {
  schemaVersion: number
  cluster: string
  node: string
  /** 16 hexadecimal digits. */
  bootId: string
  partition: number
  sequence: number
  firstRecord: number
  recordCount: number
  baseUnixMs: number
  flushIntervalMs: number
  capabilities: number
  minuteComplete: boolean
  /** The partition's last batch of this boot. */
  cleanStop: boolean
  /** New connections are chosen one in 2^this. */
  sampling: number
  losses: LossCount[]
  recordsEncoded: number
  recordsMerged: number
  recordsSampledOut: number
  ringProduced: number
  ringConsumed: number
  sentUnixMs: number
  owners: Owner[]
  names: DnsName[]
  l7Counts: L7Count[]
  l7Verdicts: L7Verdict[]
  operations: Operation[]
}

/** u32 columns in field-number order. The position here is the column's index in `FlowColumns.u32`. */
export const u32ColumnFields = {
  diallerIsn: 32,
  acceptorIsn: 33,
  networkNamespace: 35,
  localAddress: 36,
  remoteAddress: 37,
  ports: 38,
  kind: 39,
  owner: 40,
  atMs: 41,
  ageMs: 42,
  handshakeUs: 43,
  srttUs: 44,
  minRttUs: 45,
  bytesSent: 46,
  bytesReceived: 47,
  segmentsSent: 48,
  segmentsReceived: 49,
  dataSegmentsSent: 50,
  dataSegmentsReceived: 51,
  retransmittedSegments: 52,
  outOfOrderSegments: 53,
  dataSegmentsSentTotal: 56,
  dataSegmentsReceivedTotal: 57,
  retransmittedSegmentsTotal: 58,
  wideAt: 60,
  wideHigh: 61,
} as const

/** u64 columns: each is kept as two u32 views (low, high), because BigInt per record would allocate. */
export const u64ColumnFields = { flowId: 34, bytesSentTotal: 54, bytesReceivedTotal: 55 } as const

/** u32 columns of what was said on the connections: a value per row, or per bucket, and not per record. */
export const l7ColumnFields = {
  l7Record: 65,
  l7Operation: 66,
  l7Status: 67,
  l7Flags: 68,
  l7Count: 69,
  l7RequestBytes: 70,
  l7ResponseBytes: 71,
  l7FirstByteSumUs: 72,
  l7LastByteSumUs: 73,
  l7BucketCount: 74,
  l7BucketIndex: 75,
  l7BucketValue: 76,
} as const

export type U32Column = keyof typeof u32ColumnFields
export type U64Column = keyof typeof u64ColumnFields
export type L7Column = keyof typeof l7ColumnFields

/**
 * What was said: the first `rowCount` values of each column with a value per row, the first `bucketCount` of
 * `l7BucketIndex` and `l7BucketValue`. Rows' buckets follow each other.
 */
export interface L7Columns {
  /** Some record says what its connection speaks. */
  speaksAny: boolean
  rowCount: number
  bucketCount: number
  readonly u32: { readonly [C in L7Column]: Uint32Array }
}

/**
 * A batch decoded into reusable typed arrays: only the first `count` values of each column are meaningful, and the
 * object is overwritten by the next decode. `u64` columns hold low and high words interleaved (little endian).
 */
export interface FlowColumns {
  readonly header: BatchHeader
  count: number
  /** All columns with a value per record in one array, which the others are views of: see `columnStart`. */
  readonly words: Uint32Array
  readonly u32: { readonly [C in U32Column]: Uint32Array }
  readonly u64: { readonly [C in U64Column]: Uint32Array }
  /** How many entries of `wideAt` and `wideHigh` are in use. */
  wideCount: number
  v6Addresses: Uint8Array
  readonly l7: L7Columns
}

export type MalformedReason =
  | 'truncated'
  | 'too_large'
  | 'unknown_version'
  | 'column_length'
  | 'record_count'
  | 'owner_index'
  | 'address_index'
  | 'operation_index'
  | 'bucket_count'
  | 'time_out_of_range'
  | 'bad_value'

export type DecodeResult = { readonly ok: true } | { readonly ok: false; readonly reason: MalformedReason }
