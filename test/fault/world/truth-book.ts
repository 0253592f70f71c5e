/**
 * What the API must say of one edge in one minute. Names are paths in an edge's detailed answer; a counter that the
 * answer derives from others is left out.
 */
const sideNames = [
  'opened',
  'closed',
  'ended.fin',
  'ended.resetSent',
  'ended.resetReceived',
  'ended.timeout',
  'bytesSent',
  'bytesReceived',
  'segmentsSent',
  'segmentsReceived',
  'dataSegmentsSent',
  'dataSegmentsReceived',
  'retransmits',
  'outOfOrder',
  'handshakeUs.count',
  'rttUs.count',
  'minRttUs.count',
  'durationMs.count',
] as const
const edgeNames = [
  'tcp.openedJoined',
  'tcp.openedClientOnly',
  'tcp.failures.refused',
  'tcp.failures.timedOut',
  'tcp.failures.unreachable',
  'tcp.failures.resetInHandshake',
  'tcp.failures.abandoned',
  'tcp.server.halfOpen',
] as const
const udpNames = ['flows', 'datagramsSent', 'datagramsReceived', 'bytesSent', 'bytesReceived'] as const

export type SideName = (typeof sideNames)[number]

export const truthNames: readonly string[] = [
  ...sideNames.map(name => `tcp.client.${name}`),
  ...sideNames.map(name => `tcp.server.${name}`),
  ...edgeNames,
  ...udpNames.map(name => `udp.client.${name}`),
  ...udpNames.map(name => `udp.server.${name}`),
]
export const truthCount = truthNames.length
/** The server's counters follow the client's by this. */
export const sideStride = sideNames.length
export const udpStride = udpNames.length

function indexOf(name: string): number {
  const index = truthNames.indexOf(name)
  if (index < 0) throw new RangeError(name)
  return index
}

/** Index of a client's counter; plus `sideStride` (`udpStride`) it is the server's. */
export const At = {
  opened: indexOf('tcp.client.opened'),
  closed: indexOf('tcp.client.closed'),
  /** Fin; reset sent, reset received and timeout follow. */
  endedFin: indexOf('tcp.client.ended.fin'),
  /** Then received, segments, data segments (each sent and received), retransmits, out of order. */
  bytesSent: indexOf('tcp.client.bytesSent'),
  handshakes: indexOf('tcp.client.handshakeUs.count'),
  rtts: indexOf('tcp.client.rttUs.count'),
  minRtts: indexOf('tcp.client.minRttUs.count'),
  durations: indexOf('tcp.client.durationMs.count'),
  openedJoined: indexOf('tcp.openedJoined'),
  openedClientOnly: indexOf('tcp.openedClientOnly'),
  /** Refused; the other kinds follow in the order of EndReason. */
  refused: indexOf('tcp.failures.refused'),
  halfOpen: indexOf('tcp.server.halfOpen'),
  udpFlows: indexOf('udp.client.flows'),
  /** Then datagrams received, bytes sent, bytes received. */
  udpDatagramsSent: indexOf('udp.client.datagramsSent'),
} as const

/** Per minute one array: `truthCount` numbers per edge. */
export interface TruthBook {
  readonly minutes: Map<number, Float64Array>
  /** Of one minute, made if it is new. */
  rows(minute: number): Float64Array
}

export function createTruthBook(edges: number): TruthBook {
  const minutes = new Map<number, Float64Array>()
  return {
    minutes,
    rows(minute) {
      const known = minutes.get(minute)
      if (known !== undefined) return known
      const fresh = new Float64Array(edges * truthCount)
      minutes.set(minute, fresh)
      return fresh
    },
  }
}

/** Counters by minute and edge that are not 0; what the judge takes and what crosses between processes. */
export type Told = Record<string, Record<string, Record<string, number>>>

export function tellTruth(book: TruthBook, edges: readonly string[]): Told {
  const told: Told = {}
  for (const [minute, rows] of book.minutes) {
    const ofMinute: Told[string] = {}
    edges.forEach((edge, index) => {
      const counters: Record<string, number> = {}
      for (let i = 0; i < truthCount; i++) {
        const value = rows[index * truthCount + i]
        if (value !== 0) counters[truthNames[i]] = value
      }
      if (Object.keys(counters).length > 0) ofMinute[edge] = counters
    })
    told[minute] = ofMinute
  }
  return told
}
