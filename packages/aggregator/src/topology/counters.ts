/**
 * What is kept per edge and minute. Client* is what the dialler's end saw, server* what the acceptor's end saw; the
 * two are never mixed. Sent and received are always from the point of view of the end that saw them.
 * The position in the list is the counter's index in a row.
 */
export const counterNames = [
  // what every reading adds to comes first: one line of memory for each end
  'clientBytesSent',
  'clientBytesReceived',
  'clientSegmentsSent',
  'clientSegmentsReceived',
  'clientDataSegmentsSent',
  'clientDataSegmentsReceived',
  'clientRetransmits',
  'clientOutOfOrder',
  'serverBytesSent',
  'serverBytesReceived',
  'serverSegmentsSent',
  'serverSegmentsReceived',
  'serverDataSegmentsSent',
  'serverDataSegmentsReceived',
  'serverRetransmits',
  'serverOutOfOrder',
  // true directional loss, over compared connections only
  'clientToServerLost',
  'clientToServerCompared',
  'serverToClientLost',
  'serverToClientCompared',
  /** Directions of connections whose segments were merged on the way: comparing would invent a loss. */
  'lossCoalesced',
  /** Records of which only the extent is known (a jump of the totals): bytes that never arrived here. */
  'missingBytes',
  'guessedRoles',
  // each connection is in exactly one of these three; booked in the dialler's minute
  'openedJoined',
  'openedClientOnly',
  'openedServerOnly',
  'clientOpened',
  'clientClosed',
  'serverAccepted',
  'serverClosed',
  'clientAdopted',
  'serverAdopted',
  // dials that never connected, as the dialler saw them
  'failedRefused',
  'failedTimedOut',
  'failedUnreachable',
  'failedReset',
  'failedAbandoned',
  'failedOther',
  // dials the listener saw that never completed
  'serverHalfOpen',
  'clientEndedFin',
  'clientEndedRstSent',
  'clientEndedRstReceived',
  'clientEndedTimeout',
  'serverEndedFin',
  'serverEndedRstSent',
  'serverEndedRstReceived',
  'serverEndedTimeout',
  /** Sums of what the handshake histograms hold as distributions. */
  'clientHandshakeUsSum',
  'serverHandshakeUsSum',
  /** Records and openings that stand for more than one connection: where it is not 0, amounts are estimates. */
  'sampled',
] as const

export type CounterName = (typeof counterNames)[number]
export const counterCount = counterNames.length

type Indexes = { readonly [N in CounterName]: number }
/** `Counter.openedJoined` is that counter's index. */
export const Counter = Object.fromEntries(counterNames.map((n, i) => [n, i])) as Indexes

/** Latency distributions per edge and minute, base-2 exponential of scale 3, in the unit of the name. */
export const histogramNames = [
  'clientHandshakeUs',
  'serverHandshakeUs',
  'clientRttUs',
  'serverRttUs',
  'clientMinRttUs',
  'serverMinRttUs',
  'clientDurationMs',
  'serverDurationMs',
] as const

export type HistogramName = (typeof histogramNames)[number]
export const Histogram = Object.fromEntries(histogramNames.map((n, i) => [n, i])) as {
  readonly [N in HistogramName]: number
}
