/**
 * The words of one connection in the table. A slot has a head and two sides: 0 is the client's (dialler's) view, 1 the
 * server's. Doubles lie at even words, so that the same chunk can be read as u32 and as f64.
 */
export const slotWords = 76
export const sideWords = 34
export const headWords = 8

export const Head = {
  /** TCP: dialler's and acceptor's initial sequence number. UDP: initiator's endpoint. */
  keyA: 0,
  keyB: 1,
  flags: 2,
  /** Edge id + 1; 0 where the edge was refused. */
  edge: 3,
  /** First ledger entry + 1 of either side. */
  ledger: 4,
  /** Unix seconds of the aggregator's clock when a record last came. */
  heard: 6,
  /** Position + 1 in the ring of ended flows. */
  ring: 7,
} as const

export const Side = {
  // doubles
  openedMs: 0,
  maxSent: 2,
  maxReceived: 4,
  sumSent: 6,
  sumReceived: 8,
  // words
  flowLow: 10,
  flowHigh: 11,
  /** node << 8 | boot ordinal of that node modulo 256 */
  session: 12,
  entity: 13,
  /** IPv4 address as in the batch, or index into the address pool. */
  local: 14,
  remote: 15,
  ports: 16,
  flags: 17,
  /** Time of the latest reading, Unix milliseconds modulo 2^32. */
  lastAt: 18,
  segmentsSent: 19,
  segmentsReceived: 20,
  dataSentTotal: 21,
  dataReceivedTotal: 22,
  retransmittedTotal: 23,
  dataSent: 24,
  dataReceived: 25,
  retransmitted: 26,
  handshakeUs: 27,
  srttUs: 28,
  minRttUs: 29,
  // TCP: the comparison of what this side sent with what the other received
  lossBaseDiff: 30,
  lossBaseSent: 31,
  lossDiff: 32,
  lossSent: 33,
  // UDP: links of the lists of flows with one initiator, and of flows with one pair of endpoints
  initiatorNext: 30,
  initiatorPrevious: 31,
  pairNext: 32,
  pairPrevious: 33,
} as const

/** What kind of conversation a slot holds; part of the key. */
export const SlotClass = { tcp: 1, udp: 2, failedDial: 3 } as const

export const SlotFlag = {
  classMask: 0x3,
  /** Shifted by the side. */
  present: 1 << 2,
  complete: 1 << 4,
  coalesced: 1 << 6,
  baseline: 1 << 8,
  compared: 1 << 10,
  /** 0 none, 1 client, 2 server, 3 joined: how the open gauge counts it now. */
  gaugeShift: 12,
  gaugeMask: 0x3,
  /** Silent for so long that it is taken as gone. */
  expired: 1 << 14,
} as const

/** Bits of a side's flags beside those of `Kind` (0 to 18). */
export const SideFlag = {
  /** Some collector saw it open, so it counts as opened and its totals begin at 0. */
  sawOpen: 1 << 20,
  ended: 1 << 21,
} as const

/** First word of a side within its slot. */
export function sideAt(side: number): number {
  return headWords + side * sideWords
}
