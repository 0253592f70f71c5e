import type { FlowStateName } from '@skybraid/shared'
import type { EndFilter } from '../resolve/end-filter.ts'
import type { FoundBy, GroupBy } from '../resolve/entity.ts'
import type { ViewScope } from '../resolve/view-scope.ts'

/** Shapes that queries return and the API serves. Absent means not measured; 0 means measured, and zero. */

export interface TopologyQuery {
  /** Unix milliseconds, whole minutes; `toMs` exclusive. The running minute may be included. */
  readonly fromMs: number
  readonly toMs: number
  readonly groupBy: GroupBy
  /** Only what is within `depth` edges of this node id. */
  readonly focus?: string
  readonly depth?: number
  readonly protocol?: 'tcp' | 'udp'
  /** Only edges with such an end. */
  readonly ends?: EndFilter
  /** What whoever asks may see; everything if absent. */
  readonly scope?: ViewScope
  readonly minBytes?: number
  /** Every counter of each edge instead of a summary; only for `topologyJson`, because objects always have all. */
  readonly detail?: boolean
  /** Most nodes to return; over it the next coarser grouping is answered and `notes` says so. */
  readonly limit: number
}

export interface Completeness {
  readonly collectors: { readonly expected: number; readonly reporting: number }
  readonly lostRecords: number
  /** By place; only places that lost something. */
  readonly lost: Readonly<Record<string, number>>
  readonly oneSidedEdges: number
  readonly unresolvedEndpoints: number
  /** Edges whose amounts are estimates, because not every connection was recorded. */
  readonly sampledEdges: number
  /** Minutes of the range for which nothing is kept (before the start, or beyond retention). */
  readonly missingMinutes: number
  /** Of a bus with partitions: what of them is not in the answer. */
  readonly partitions?: MissingPartitions
}

export interface MissingPartitions {
  readonly count: number
  /** Nothing is known of these. */
  readonly missing: readonly number[]
  /** Closed minutes of these are there; the running one is where they are booked. */
  readonly openElsewhere: readonly number[]
}

export interface Percentiles {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export interface SideTcp {
  /** Client: connections it opened. Server: connections it accepted. */
  readonly opened: number
  readonly closed: number
  readonly adopted: number
  readonly ended: {
    readonly fin: number
    readonly resetSent: number
    readonly resetReceived: number
    readonly timeout: number
  }
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly segmentsSent: number
  readonly segmentsReceived: number
  readonly dataSegmentsSent: number
  readonly dataSegmentsReceived: number
  readonly retransmits: number
  readonly outOfOrder: number
  readonly handshakeUs?: Percentiles
  readonly rttUs?: Percentiles
  readonly minRttUs?: Percentiles
  readonly durationMs?: Percentiles
}

export type UnknownLoss = 'one_end_only' | 'not_yet_quiet' | 'segments_coalesced'

export interface DirectionLoss {
  readonly segmentsLost?: number
  readonly segmentsCompared?: number
  /** Why there is no figure, or why it does not cover every connection. */
  readonly unknown?: UnknownLoss
}

export interface TcpEdge {
  readonly opened: number
  readonly openedJoined: number
  readonly openedClientOnly: number
  readonly openedServerOnly: number
  readonly openNow: number
  readonly failed: number
  readonly failures: {
    readonly refused: number
    readonly timedOut: number
    readonly unreachable: number
    readonly resetInHandshake: number
    readonly abandoned: number
    readonly other: number
  }
  readonly client?: SideTcp
  readonly server?: SideTcp & { readonly halfOpen: number }
  readonly loss: { readonly clientToServer: DirectionLoss; readonly serverToClient: DirectionLoss }
}

/** Messages of an application protocol as one end saw them. */
export interface SaidView {
  readonly requests: number
  readonly errors: number
  /** No response was seen. */
  readonly unknown: number
  readonly requestBytes: number
  readonly responseBytes: number
  /** Requests by the protocol's own code, those of which no response was seen left out. */
  readonly statuses: Readonly<Record<string, number>>
  /** Sum of the times to the last byte, of those whose time says something. */
  readonly timeUs: number
  /** From the request's first byte to the response's first byte. */
  readonly firstByteUs?: Percentiles
  readonly meanFirstByteUs?: number
  readonly meanLastByteUs?: number
}

export interface SaidBlock {
  readonly protocols: readonly string[]
  readonly client?: SaidView
  readonly server?: SaidView
  /** Mean time to the first byte at the client less that at the server, where both timed the same messages. */
  readonly networkUs?: number
}

export type SaidBlocks = { readonly [N in SaidBlockName]?: SaidBlock }
export type SaidBlockName = 'http' | 'grpc' | 'dns' | 'sql' | 'redis' | 'tls' | 'mqtt' | 'other'

/** One operation of an edge. */
export interface OperationView {
  /** Id of the edge. */
  readonly edge: string
  readonly source: string
  readonly target: string
  readonly block: SaidBlockName
  readonly protocol: string
  readonly operation: string
  readonly host?: string
  readonly client?: SaidView
  readonly server?: SaidView
  readonly networkUs?: number
}

export interface OperationsQuery extends TopologyQuery {
  /** Only this edge. */
  readonly edge?: string
  /** Only edges with an end of this node id or name. */
  readonly service?: string
}

export interface OperationsAnswer
  extends Pick<TopologyAnswer, 'window' | 'completeness' | 'groupBy' | 'notes'> {
  /** Those that took the longest altogether come first. */
  readonly operations: readonly OperationView[]
}

export interface SideUdp {
  readonly flows: number
  readonly datagramsSent: number
  readonly datagramsReceived: number
  readonly bytesSent: number
  readonly bytesReceived: number
}

export interface TopologyNode {
  readonly id: string
  readonly kind: GroupBy | 'outside' | 'hidden'
  /** Of Kubernetes; absent for what is in none. */
  readonly namespace?: string
  readonly name: string
  readonly parent: string
  readonly foundBy: FoundBy
}

export interface TopologyEdge extends SaidBlocks {
  readonly id: string
  readonly source: string
  readonly target: string
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  /** The dialled address where it is not the server's own (a service's address), as `address:port`. */
  readonly via?: string
  /** Amounts are estimates: not every connection was recorded. Absent where every one was. */
  readonly sampled?: true
  readonly observed: 'client' | 'server' | 'both'
  readonly health: 'ok' | 'degraded' | 'failing'
  readonly reasons: readonly string[]
  readonly tcp?: TcpEdge
  readonly udp?: { readonly client?: SideUdp; readonly server?: SideUdp }
}

export interface TopologyAnswer {
  readonly schemaVersion: '1.0'
  readonly window: {
    readonly from: string
    readonly to: string
    readonly stepSeconds: 60
    readonly closed: boolean
  }
  readonly completeness: Completeness
  readonly groupBy: GroupBy
  readonly nodes: readonly TopologyNode[]
  readonly edges: readonly TopologyEdge[]
  readonly notes: readonly string[]
}

export interface FlowEnd {
  readonly node: string
  /** Group id at process grain. */
  readonly owner: string
  readonly local: string
  readonly remote: string
  readonly role: 'client' | 'server' | 'unknown'
  readonly roleGuessed: boolean
  readonly adopted: boolean
  /** Its collector was restarted since and has not seen this flow again yet. */
  readonly unconfirmed?: true
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly segmentsSent: number
  readonly segmentsReceived: number
  readonly dataSegmentsSent: number
  readonly dataSegmentsReceived: number
  readonly retransmits: number
  readonly srttUs?: number
  readonly minRttUs?: number
  readonly handshakeUs?: number
  readonly end?: string
}

/** One connection or UDP flow, with the ends that reported it. */
export interface FlowView {
  readonly id: string
  readonly protocol: 'tcp' | 'udp'
  /** What it was found to speak; absent where that is not known. */
  readonly application?: string
  readonly state: FlowStateName
  readonly observed: 'client' | 'server' | 'both'
  readonly openedAt: string
  readonly lastSeen: string
  readonly client?: FlowEnd
  readonly server?: FlowEnd
  readonly loss: { readonly clientToServer: DirectionLoss; readonly serverToClient: DirectionLoss }
}

export interface FlowQuery {
  readonly state?: FlowView['state']
  readonly protocol?: 'tcp' | 'udp'
  /** Substring of either end's owner, address or name. */
  readonly match?: string
  readonly port?: number
  /** Only flows with such an end. */
  readonly ends?: EndFilter
  /** What whoever asks may see; everything if absent. */
  readonly scope?: ViewScope
  readonly observed?: FlowView['observed']
  readonly limit: number
  readonly cursor?: string
}

/** What one live view was shown last; only the core knows what is in it. */
export interface AnswerMark {
  readonly isMark: true
}

/** How an answer differs from one that was shown before. */
export interface TopologyChange {
  readonly mark: AnswerMark
  /** Nothing to compare with, or the nodes are of another kind: the whole answer must be shown. */
  readonly isWhole: boolean
  /** JSON: `nodes` and `edges`, each with `add`, `update` and `remove`; undefined if none differs. */
  readonly patch: Uint8Array | undefined
  /** The rest of the answer, whether it differs or not. */
  readonly head: Pick<TopologyAnswer, 'window' | 'completeness' | 'groupBy' | 'notes'>
}

/** What the API asks of the core. Pure and synchronous; `nowMs` is passed in. */
export interface TopologyReader {
  topology(query: TopologyQuery, nowMs: number): TopologyAnswer
  /**
   * The JSON text of the same answer, in ASCII bytes: for large answers far cheaper than the object. Writes over the
   * memory of `reuse` (an earlier answer that nobody needs any more), because fresh memory costs as much as the rest.
   */
  topologyJson?(query: TopologyQuery, nowMs: number, reuse?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>
  /** How the answer to a query differs from the one that `before` marks; writes only the edges that do. */
  changedSince?(query: TopologyQuery, nowMs: number, before: AnswerMark | undefined): TopologyChange
  operations(query: OperationsQuery, nowMs: number): OperationsAnswer
  flows(
    query: FlowQuery,
    nowMs: number,
  ): { readonly flows: readonly FlowView[]; readonly nextCursor?: string }
  /** Changes whenever an answer for this range could change; part of the strong ETag. */
  generation(fromMs: number, toMs: number): string
  /** Latest minute that is closed (unix minutes), -1 if none. */
  closedMinute(): number
  completeness(fromMs: number, toMs: number, nowMs: number): Completeness
  ingestStatus(nowMs: number): IngestStatus
}

export interface NodeStatus {
  readonly node: string
  readonly bootId: string
  readonly lastSeen: string
  readonly clockOffsetMs: number
  readonly reporting: boolean
  readonly uncleanRestart: boolean
  readonly batches: number
  readonly records: number
  readonly duplicates: number
  /** The collector's identity: encoded = delivered + merged + sampledOut + queued + lost. */
  readonly identity: {
    readonly ring: {
      readonly produced: number
      readonly consumed: number
      readonly full: number
      readonly holds: boolean
    }
    readonly records: {
      readonly encoded: number
      readonly received: number
      readonly merged: number
      readonly sampledOut: number
      /** Absent where partitions are read elsewhere: what a collector says of all of them can't be split. */
      readonly inFlight?: number
      readonly lost: Readonly<Record<string, number>>
      readonly holds: boolean
    }
  }
  readonly capabilities: readonly string[]
  /** What the collector says of application protocols, since its start. */
  readonly applications: {
    /** By what they were found to speak; `unknown` for none that is known. */
    readonly connections: Readonly<Record<string, number>>
    /** What is in no operation, by cause. */
    readonly unread: Readonly<Record<string, number>>
  }
}

export interface IngestStatus {
  readonly nodes: readonly NodeStatus[]
  /** The aggregator's identity: received = applied + duplicates + lost by place. */
  readonly identity: {
    readonly received: number
    readonly applied: number
    readonly duplicates: number
    readonly lost: Readonly<Record<string, number>>
    readonly holds: boolean
  }
  readonly join: {
    readonly connections: number
    readonly capacity: number
    readonly joined: number
    readonly clientOnly: number
    readonly serverOnly: number
    readonly tombstones: number
    /** Ended connections forgotten early to make room: what still comes of them counts as a new connection. */
    readonly evicted: number
    /** Messages of application protocols that are not where one would look for them. */
    readonly said: {
      /** Of records that were not booked either: late, or a table was full. */
      readonly unbooked: number
      /** Booked as `{other}`, because an edge had too many operations. */
      readonly other: number
      /** Stay on a one-sided edge although the other end came, because too many waited for theirs. */
      readonly unmovable: number
    }
  }
  readonly edges: number
  readonly openMinutes: number
  readonly closedSegments: number
}
