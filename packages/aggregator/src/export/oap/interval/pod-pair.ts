import type { EndName } from './end-name.ts'

export const Role = { client: 0, server: 1 } as const
export type Role = (typeof Role)[keyof typeof Role]

/** What one end measured of all its connections with another in an interval, in the order of `PairAmounts`. */
export const pairAmounts = [
  'opened',
  'handshakeUs',
  'closed',
  'bytesSent',
  'bytesReceived',
  'packetsSent',
  'packetsReceived',
  'retransmits',
  'failed',
] as const

export const amountCount = pairAmounts.length
/** `Amount.opened` is that amount's index. A server's `opened` are the connections it accepted. */
export const Amount = Object.fromEntries(pairAmounts.map((name, i) => [name, i])) as {
  readonly [N in (typeof pairAmounts)[number]]: number
}

/** Connections of one local with one remote end in one role: what a connection of the protocol stands for. */
export interface PodPair {
  readonly role: Role
  readonly local: EndName
  readonly remote: EndName
  /** Never negative, whole, below 2^53. */
  readonly amounts: Float64Array
}
