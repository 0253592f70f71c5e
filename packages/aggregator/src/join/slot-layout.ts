/**
 * The words of one connection in the table. A slot has a head and two sides: 0 is the client's (dialler's) view, 1 the
 * server's. Doubles lie at even words, so that the same chunk can be read as u32 and as f64. What an ordinary record
 * reads and writes is in the head and in the first words of its side, two or three cache lines in all.
 */
export const slotWords = 68
export const headWords = 14
export const sideWords = 27

export const Head = {
  /** TCP: dialler's and acceptor's initial sequence number. UDP: initiator's address (hashed if IPv6) and endpoint. */
  keyA: 0,
  keyB: 1,
  flags: 2,
  /** Edge id + 1; 0 where the edge was refused. */
  edge: 3,
  /** Unix seconds of the aggregator's clock when a record last came. */
  heard: 4,
  /** Position + 1 in the ring of ended flows. */
  ring: 5,
  /** Doubles: the byte totals reached, client's sent and received, then the server's; see `reachedAt`. */
  reached: 6,
} as const

export const Side = {
  flowLow: 0,
  flowHigh: 1,
  /** node << 8 | boot ordinal of that node modulo 256 */
  session: 2,
  flags: 3,
  /** Time of the latest reading, Unix milliseconds modulo 2^32. */
  lastAt: 4,
  /** Unix seconds; the milliseconds are in the flags. See `openedMsAt`. */
  opened: 5,
  // sums of what came, in the order of a record's amounts; what exceeds 32 bits is in WideSums
  sumSent: 6,
  sumReceived: 7,
  segmentsSent: 8,
  segmentsReceived: 9,
  dataSent: 10,
  dataReceived: 11,
  retransmitted: 12,
  // TCP: totals of the latest reading, and the comparison of what this side sent with what the other received
  dataSentTotal: 13,
  dataReceivedTotal: 14,
  retransmittedTotal: 15,
  lossDiff: 16,
  lossSent: 17,
  srttUs: 18,
  lossBaseDiff: 19,
  lossBaseSent: 20,
  minRttUs: 21,
  handshakeUs: 22,
  entity: 23,
  /** IPv4 address as in the batch, or number in the address pool. */
  local: 24,
  remote: 25,
  ports: 26,
  /** First ledger entry of the side, while its booking can move: nothing is compared then. */
  ledger: 16,
  // UDP: links of the lists of flows with one initiator, and of flows with one pair of endpoints
  initiatorNext: 19,
  initiatorPrevious: 20,
  pairNext: 14,
  pairPrevious: 15,
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
  /** First heard of in the middle, while catching up: what came before is booked, and nothing of it is missing. */
  midway: 1 << 19,
  /** Some collector saw it open, so it counts as opened and its totals begin at 0. */
  sawOpen: 1 << 20,
  ended: 1 << 21,
  openedMsShift: 22,
  openedMsMask: 0x3ff << 22,
} as const

/** First word of a side within its slot. */
export function sideAt(side: number): number {
  return headWords + side * sideWords
}

/** Index among the doubles of a side's byte total sent; received is the next one. `start` is the slot's first word. */
export function reachedAt(start: number, side: number): number {
  return ((start + Head.reached) >>> 1) + 2 * side
}

/** Unix milliseconds when a side opened or was adopted; `s` is the side's first word. */
export function openedMsAt(words: Uint32Array, s: number): number {
  return words[s + Side.opened] * 1000 + (words[s + Side.flags] >>> SideFlag.openedMsShift)
}

export function setOpenedMs(words: Uint32Array, s: number, unixMs: number): void {
  const seconds = Math.floor(unixMs / 1000)
  words[s + Side.opened] = seconds
  const rest = words[s + Side.flags] & ~SideFlag.openedMsMask
  words[s + Side.flags] = rest | ((unixMs - seconds * 1000) << SideFlag.openedMsShift)
}
