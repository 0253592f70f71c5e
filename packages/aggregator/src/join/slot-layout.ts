/**
 * The words of one connection in the table. A slot has a head and two sides: 0 is the client's (dialler's) view, 1 the
 * server's. What an ordinary record reads and writes are three lines of memory: the head, and a line for each side.
 * What is seldom needed lies elsewhere, so that it does not come along: the cold part.
 */
const lineWords = 16
export const hotWords = 3 * lineWords
export const coldWords = 20
export const slotWords = hotWords + coldWords

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
} as const

/** Words of a side that lie in the head, from `headSideAt` on. */
export const HeadSide = {
  // TCP: the latest comparison of what this side sent with what the other received
  lossDiff: 0,
  lossSent: 1,
  /** First ledger entry of the side, while its booking can move: nothing is compared then. */
  ledger: 0,
  entity: 2,
  dataSentBase: 3,
  dataReceivedBase: 4,
} as const
const headSideWords = 5

/** Words of a side's line, from `sideAt` on. */
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
  srttUs: 6,
  /** Sums of what came modulo 2^32: no record has a total of all segments. See `FlowSums`. */
  segmentsSent: 7,
  segmentsReceived: 8,
  // TCP: totals of the latest reading
  dataSentTotal: 9,
  dataReceivedTotal: 10,
  retransmittedTotal: 11,
  // byte totals reached, see `sentAt`
  sentLow: 12,
  sentHigh: 13,
  receivedLow: 14,
  receivedHigh: 15,
  // UDP: links of the list of flows with one pair of endpoints
  pairNext: 10,
  pairPrevious: 11,
} as const

/** Words of a side in the cold part, from `coldSideAt` on. A base is what a total has more than the sum of what came. */
export const Cold = {
  minRttUs: 0,
  handshakeUs: 1,
  /** IPv4 address as in the batch, or number in the address pool. */
  local: 2,
  remote: 3,
  ports: 4,
  lossBaseDiff: 5,
  lossBaseSent: 6,
  sentBase: 7,
  receivedBase: 8,
  retransmittedBase: 9,
  // UDP: links of the list of flows with one initiator
  initiatorNext: 5,
  initiatorPrevious: 6,
} as const
const coldSideWords = coldWords / 2

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
  /** Silent for so long that it is taken as gone. */
  expired: 1 << 14,
  /** Shifted by the side: at its latest reading nothing was under way. Side 0 has the bit of `Kind.quiet`. */
  quiet: 1 << 16,
  /** While a block of records is booked: one of its records of this connection goes the general way. */
  waits: 1 << 15,
  /** Stands for more than one connection, or may be represented by others; see sampling-rate.ts. */
  sampled: 1 << 18,
  representedByOthers: 1 << 19,
  exponentShift: 20,
  exponentMask: 0xf,
  /** What the connection was found to speak, as in `Kind`. */
  l7Shift: 24,
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

/** First word of a side's line within its slot. */
export function sideAt(side: number): number {
  return lineWords * (1 + side)
}

/** First word of what the head has for a side. */
export function headSideAt(side: number): number {
  return 6 + headSideWords * side
}

/** First word of a side within the slot's cold part. */
export function coldSideAt(side: number): number {
  return coldSideWords * side
}

/** The three stretches of words that a side has in a slot whose parts begin at `start` and `cold`. */
export function sideStretches(words: Uint32Array, start: number, cold: number, side: number): Uint32Array[] {
  const stretch = (at: number, length: number) => words.subarray(at, at + length)
  return [
    stretch(start + sideAt(side), lineWords),
    stretch(start + headSideAt(side), headSideWords),
    stretch(cold + coldSideAt(side), coldSideWords),
  ]
}

const twoTo32 = 2 ** 32

/** The byte total sent that a side reached; `s` is the side's first word. */
export function sentAt(words: Uint32Array, s: number): number {
  return words[s + Side.sentHigh] * twoTo32 + words[s + Side.sentLow]
}

export function receivedAt(words: Uint32Array, s: number): number {
  return words[s + Side.receivedHigh] * twoTo32 + words[s + Side.receivedLow]
}

export function setReached(words: Uint32Array, s: number, sent: number, received: number): void {
  words[s + Side.sentLow] = sent
  words[s + Side.sentHigh] = Math.floor(sent / twoTo32)
  words[s + Side.receivedLow] = received
  words[s + Side.receivedHigh] = Math.floor(received / twoTo32)
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
