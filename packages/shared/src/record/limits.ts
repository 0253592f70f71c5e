/**
 * Bounds of one flow batch. They are checked before anything is built from a message, so that a hostile sender can
 * make the reader spend only this much.
 */
export const batchLimits = {
  messageBytes: 256 * 1024,
  /**
   * Sequence numbers, and records that one boot counts: a million a second for eight years. Readers add them up over
   * gaps, nodes and minutes, and have room for that below 2^53.
   */
  counted: 2 ** 48,
  records: 1_000,
  owners: 1_000,
  names: 1_000,
  losses: 64,
  /** Two addresses per record. */
  v6Addresses: 2_000,
  /** Eight delta columns per record. */
  wideValues: 8_000,
  partitions: 65_536,
  /** Different operations of one batch, and the bytes of one's name or host. */
  operations: 1_000,
  operationBytes: 256,
  l7Rows: 6_000,
  l7Buckets: 6_000,
  l7Counts: 64,
  /** cgroup paths are the longest text of a batch. */
  textBytes: 1_024,
  dnsNameBytes: 255,
  recordSpanMs: 60_000,
  earliestUnixMs: Date.UTC(2020, 0, 1),
  latestUnixMs: Date.UTC(2100, 0, 1),
} as const

export const schemaVersion = 1
