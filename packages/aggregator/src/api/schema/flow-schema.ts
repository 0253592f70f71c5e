import Type from 'typebox'
import { lossSchema } from './topology-schema.ts'

/** JSON schemas of `/flows`; they mirror FlowView in topology/answer.ts. */

const strict = { additionalProperties: false } as const

const flowEndSchema = Type.Object(
  {
    node: Type.String({ description: 'node whose collector reported this end' }),
    owner: Type.String({ description: 'node id at process grain' }),
    local: Type.String({ description: 'address and port as this end sees them' }),
    remote: Type.String(),
    role: Type.Enum(['client', 'server', 'unknown']),
    roleGuessed: Type.Boolean(),
    adopted: Type.Boolean({ description: 'older than the collector; counted from adoption on' }),
    unconfirmed: Type.Optional(
      Type.Literal(true, { description: 'its collector was restarted and has not seen this flow again yet' }),
    ),
    bytesSent: Type.Integer(),
    bytesReceived: Type.Integer(),
    segmentsSent: Type.Integer(),
    segmentsReceived: Type.Integer(),
    dataSegmentsSent: Type.Integer(),
    dataSegmentsReceived: Type.Integer(),
    retransmits: Type.Integer(),
    srttUs: Type.Optional(Type.Number()),
    minRttUs: Type.Optional(Type.Number()),
    handshakeUs: Type.Optional(Type.Number()),
    end: Type.Optional(Type.String({ description: 'how this end saw the connection end' })),
  },
  { ...strict, title: 'FlowEnd' },
)

export const flowStateSchema = Type.Enum(['open', 'closed', 'failed', 'halfOpen'])

export const flowSchema = Type.Object(
  {
    id: Type.String(),
    protocol: Type.Enum(['tcp', 'udp']),
    application: Type.Optional(
      Type.String({
        description: 'what it was found to speak, for example http1; absent where that is not known',
      }),
    ),
    state: flowStateSchema,
    observed: Type.Enum(['client', 'server', 'both']),
    openedAt: Type.String({ format: 'date-time' }),
    lastSeen: Type.String({ format: 'date-time' }),
    client: Type.Optional(flowEndSchema),
    server: Type.Optional(flowEndSchema),
    loss: lossSchema,
  },
  { ...strict, title: 'Flow' },
)

export const flowListSchema = Type.Object(
  {
    flows: Type.Array(flowSchema),
    nextCursor: Type.Optional(Type.String({ description: 'absent on the last page' })),
  },
  { ...strict, $id: 'FlowList', title: 'FlowList' },
)
