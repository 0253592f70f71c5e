import Type from 'typebox'
import {
  mainPercentilesSchema,
  percentilesSchema,
  saidBlockFields,
  shortSaidBlockFields,
} from './operation-schema.ts'

const groupings = [
  'process',
  'container',
  'unit',
  'host',
  'pod',
  'workload',
  'service',
  'node',
  'zone',
  'namespace',
] as const

/** JSON schemas of what `/topology` and `/edges` answer; they mirror topology/answer.ts, checked in a test. */

const count = (description: string) => Type.Integer({ description })
const strict = { additionalProperties: false } as const

const lostByPlace = Type.Record(Type.String(), Type.Integer(), {
  description: 'Records lost, by place; only places that lost something',
})

export const completenessSchema = Type.Object(
  {
    collectors: Type.Object(
      { expected: count('heard of at all'), reporting: count('heard of lately') },
      strict,
    ),
    lostRecords: count('sum over all places'),
    lost: lostByPlace,
    oneSidedEdges: count('edges that only one end reported'),
    unresolvedEndpoints: count('endpoints known only by address'),
    sampledEdges: count('edges whose amounts are estimates, because not every connection was recorded'),
    missingMinutes: count('minutes of the range for which nothing is kept'),
    partitions: Type.Optional(
      Type.Object(
        {
          count: Type.Integer(),
          missing: Type.Array(Type.Integer(), { description: 'partitions of which nothing is known here' }),
          openElsewhere: Type.Array(Type.Integer(), {
            description: 'partitions whose running minute is in another replica',
          }),
        },
        { ...strict, description: 'of a bus with partitions: what of them is not in the answer' },
      ),
    ),
  },
  { ...strict, title: 'Completeness', description: 'How much of the truth this answer holds' },
)

const sideTcpFields = {
  opened: count('client: connections it opened; server: connections it accepted'),
  closed: count('connections that ended'),
  adopted: count('connections older than their collector, counted from adoption on'),
  ended: Type.Object(
    {
      fin: Type.Integer(),
      resetSent: Type.Integer(),
      resetReceived: Type.Integer(),
      timeout: Type.Integer(),
    },
    strict,
  ),
  bytesSent: count('payload bytes this end sent, each once however often it was retransmitted'),
  bytesReceived: count('payload bytes this end received'),
  segmentsSent: Type.Integer(),
  segmentsReceived: Type.Integer(),
  dataSegmentsSent: count('retransmissions included'),
  dataSegmentsReceived: Type.Integer(),
  retransmits: count('segments this end sent again'),
  outOfOrder: Type.Integer(),
  handshakeUs: Type.Optional(percentilesSchema),
  rttUs: Type.Optional(percentilesSchema),
  minRttUs: Type.Optional(percentilesSchema),
  durationMs: Type.Optional(percentilesSchema),
}

const directionLossSchema = Type.Object(
  {
    segmentsLost: Type.Optional(count('data segments one end sent that the other never received')),
    segmentsCompared: Type.Optional(count('data segments of the connections that could be compared')),
    unknown: Type.Optional(
      Type.Enum(['one_end_only', 'not_yet_quiet', 'segments_coalesced'], {
        description: 'why there is no figure, or why it does not cover every connection',
      }),
    ),
  },
  { ...strict, title: 'DirectionLoss' },
)

export const lossSchema = Type.Object(
  { clientToServer: directionLossSchema, serverToClient: directionLossSchema },
  { ...strict, title: 'Loss' },
)

const tcpSchema = Type.Object(
  {
    opened: count('openedJoined + openedClientOnly + openedServerOnly'),
    openedJoined: Type.Integer(),
    openedClientOnly: Type.Integer(),
    openedServerOnly: Type.Integer(),
    openNow: count('open at the time of the answer, whatever the window'),
    failed: count('dials that never connected'),
    failures: Type.Object(
      {
        refused: Type.Integer(),
        timedOut: Type.Integer(),
        unreachable: Type.Integer(),
        resetInHandshake: Type.Integer(),
        abandoned: Type.Integer(),
        other: Type.Integer(),
      },
      strict,
    ),
    client: Type.Optional(Type.Object(sideTcpFields, { ...strict, title: 'ClientTcp' })),
    server: Type.Optional(
      Type.Object(
        { ...sideTcpFields, halfOpen: count('dials the listener saw that never completed') },
        { ...strict, title: 'ServerTcp' },
      ),
    ),
    loss: lossSchema,
  },
  { ...strict, title: 'TcpEdge' },
)

const sideUdpSchema = Type.Object(
  {
    flows: Type.Integer(),
    datagramsSent: Type.Integer(),
    datagramsReceived: Type.Integer(),
    bytesSent: Type.Integer(),
    bytesReceived: Type.Integer(),
  },
  { ...strict, title: 'SideUdp' },
)

export const nodeSchema = Type.Object(
  {
    id: Type.String({ description: 'readable and stable over restarts' }),
    kind: Type.Enum([...groupings, 'outside', 'hidden'], {
      description: 'hidden: everything in namespaces that whoever asks may not list the pods of, as one node',
    }),
    name: Type.String(),
    namespace: Type.Optional(Type.String({ description: 'of Kubernetes; absent for what is in none' })),
    parent: Type.String(),
    foundBy: Type.Enum(
      ['kernel', 'pod-ip', 'cluster-ip', 'external-ip', 'node-address', 'endpoint', 'dns', 'cidr', 'address'],
      { description: 'how the name was found' },
    ),
  },
  { ...strict, title: 'TopologyNode' },
)

export const edgeSchema = Type.Object(
  {
    id: Type.String(),
    source: Type.String(),
    target: Type.String(),
    protocol: Type.Enum(['tcp', 'udp']),
    port: Type.Integer({ description: 'the port the server listens on' }),
    via: Type.Optional(Type.String({ description: 'the dialled address where it is not the server’s own' })),
    sampled: Type.Optional(
      Type.Literal(true, { description: 'amounts are estimates: not every connection was recorded' }),
    ),
    observed: Type.Enum(['client', 'server', 'both'], { description: 'which ends reported this edge' }),
    health: Type.Enum(['ok', 'degraded', 'failing']),
    reasons: Type.Array(Type.String()),
    tcp: Type.Optional(tcpSchema),
    udp: Type.Optional(
      Type.Object({ client: Type.Optional(sideUdpSchema), server: Type.Optional(sideUdpSchema) }, strict),
    ),
    ...saidBlockFields,
  },
  { ...strict, title: 'TopologyEdge' },
)

const { bytesSent, bytesReceived, retransmits } = sideTcpFields
const sideSummaryFields = {
  bytesSent,
  bytesReceived,
  retransmits,
  ended: Type.Optional(
    Type.Object(
      { resetSent: Type.Integer(), resetReceived: Type.Integer(), timeout: Type.Integer() },
      { ...strict, description: 'only where one of them is not 0' },
    ),
  ),
  rttUs: Type.Optional(mainPercentilesSchema),
  handshakeUs: Type.Optional(mainPercentilesSchema),
}

const { opened, openNow, failed, failures } = tcpSchema.properties
const tcpSummarySchema = Type.Object(
  {
    opened,
    openedClientOnly: Type.Optional(count('of opened; absent where 0')),
    openedServerOnly: Type.Optional(count('of opened; absent where 0. The rest was seen by both ends')),
    openNow,
    failed,
    failures: Type.Optional({ ...failures, description: 'only where failed is not 0' }),
    client: Type.Optional(Type.Object(sideSummaryFields, { ...strict, title: 'ClientTcpSummary' })),
    server: Type.Optional(
      Type.Object(
        {
          ...sideSummaryFields,
          halfOpen: Type.Optional(count('dials the listener saw that never completed; absent where 0')),
        },
        { ...strict, title: 'ServerTcpSummary' },
      ),
    ),
    loss: lossSchema,
  },
  { ...strict, title: 'TcpEdgeSummary' },
)

export const edgeSummarySchema = Type.Object(
  { ...edgeSchema.properties, tcp: Type.Optional(tcpSummarySchema), ...shortSaidBlockFields },
  { ...strict, title: 'TopologyEdgeSummary' },
)

export const windowSchema = Type.Object(
  {
    from: Type.String({ format: 'date-time' }),
    to: Type.String({ format: 'date-time' }),
    stepSeconds: Type.Literal(60),
    closed: Type.Boolean({ description: 'false while the window still fills' }),
  },
  { ...strict, title: 'Window' },
)

export const groupBySchema = Type.Enum([...groupings])

const answerFields = {
  schemaVersion: Type.Literal('1.0'),
  window: windowSchema,
  completeness: completenessSchema,
  groupBy: groupBySchema,
  nodes: Type.Array(nodeSchema, { description: 'sorted by id' }),
  edges: Type.Array(edgeSchema, { description: 'sorted by id' }),
  notes: Type.Array(Type.String(), { description: 'what the answer left out or changed, in words' }),
}

export const topologySchema = Type.Object(
  {
    ...answerFields,
    edges: Type.Array(Type.Union([edgeSummarySchema, edgeSchema]), {
      description: 'sorted by id; summaries, or with include=detail every counter',
    }),
    links: Type.Object(
      { self: Type.String(), prev: Type.String(), next: Type.Optional(Type.String()) },
      { ...strict, description: 'this window, the one before, the one after' },
    ),
  },
  { ...strict, $id: 'Topology', title: 'Topology' },
)

/** The answer without the links that the API adds; must describe TopologyAnswer exactly. */
export const topologyAnswerSchema = Type.Object(answerFields, strict)

export const edgeListSchema = Type.Object(
  {
    window: windowSchema,
    completeness: completenessSchema,
    groupBy: groupBySchema,
    total: Type.Integer({ description: 'edges that match, over all pages' }),
    edges: Type.Array(edgeSchema),
    nextCursor: Type.Optional(Type.String({ description: 'absent on the last page' })),
    notes: Type.Array(Type.String()),
  },
  { ...strict, $id: 'EdgeList', title: 'EdgeList' },
)
