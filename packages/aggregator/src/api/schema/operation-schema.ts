import Type from 'typebox'

/** JSON schemas of what was said on an edge; they mirror SaidBlock and OperationView in topology/answer.ts. */

const strict = { additionalProperties: false } as const
const count = (description: string) => Type.Integer({ description })

export const percentilesSchema = Type.Object(
  { count: Type.Number(), p50: Type.Number(), p90: Type.Number(), p99: Type.Number(), max: Type.Number() },
  { ...strict, title: 'Percentiles' },
)

export const mainPercentilesSchema = Type.Object(
  { p50: Type.Number(), p99: Type.Number() },
  { ...strict, title: 'MainPercentiles' },
)

const viewSchema = Type.Object(
  {
    requests: Type.Integer(),
    errors: count(
      'as the protocol has them, at both ends alike: HTTP 500 and above, a grpc-status, an SQLSTATE …',
    ),
    unknown: count('no response was seen, and none is made up'),
    requestBytes: count('heads and bodies'),
    responseBytes: count('heads and bodies'),
    statuses: Type.Record(Type.String(), Type.Integer(), {
      description: 'requests by the protocol’s own code',
    }),
    timeUs: count('sum of the times to the last byte, of those whose time says something'),
    firstByteUs: Type.Optional(percentilesSchema),
    meanFirstByteUs: Type.Optional(Type.Integer()),
    meanLastByteUs: Type.Optional(Type.Integer()),
  },
  { ...strict, title: 'SaidView', description: 'messages as one end saw them' },
)

const viewFields = {
  client: Type.Optional(viewSchema),
  server: Type.Optional(viewSchema),
  networkUs: Type.Optional(
    Type.Integer({
      description:
        'mean time to the first byte at the client less that at the server; only where both timed the same messages',
    }),
  ),
}

const protocols = Type.Array(Type.String(), { description: 'what was spoken' })
const blockSchema = Type.Object({ protocols, ...viewFields }, { ...strict, title: 'SaidBlock' })

const shortViewSchema = Type.Object(
  {
    requests: Type.Integer(),
    errors: Type.Integer(),
    unknown: Type.Optional(count('no response was seen; absent where 0')),
    firstByteUs: Type.Optional(mainPercentilesSchema),
  },
  { ...strict, title: 'SaidViewSummary' },
)
const shortBlockSchema = Type.Object(
  {
    protocols,
    client: Type.Optional(shortViewSchema),
    server: Type.Optional(shortViewSchema),
    networkUs: viewFields.networkUs,
  },
  { ...strict, title: 'SaidBlockSummary' },
)

/** The blocks of an edge; one is there where something of it was said. */
export const saidBlockFields = {
  http: Type.Optional(blockSchema),
  grpc: Type.Optional(blockSchema),
  dns: Type.Optional(blockSchema),
  sql: Type.Optional(blockSchema),
  redis: Type.Optional(blockSchema),
  tls: Type.Optional(blockSchema),
  mqtt: Type.Optional(blockSchema),
  other: Type.Optional(blockSchema),
}

export const shortSaidBlockFields = {
  http: Type.Optional(shortBlockSchema),
  grpc: Type.Optional(shortBlockSchema),
  dns: Type.Optional(shortBlockSchema),
  sql: Type.Optional(shortBlockSchema),
  redis: Type.Optional(shortBlockSchema),
  tls: Type.Optional(shortBlockSchema),
  mqtt: Type.Optional(shortBlockSchema),
  other: Type.Optional(shortBlockSchema),
}

export const operationSchema = Type.Object(
  {
    edge: Type.String({ description: 'id of the edge' }),
    source: Type.String(),
    target: Type.String(),
    block: Type.Enum(['http', 'grpc', 'dns', 'sql', 'redis', 'tls', 'mqtt', 'other']),
    protocol: Type.String(),
    operation: Type.String({
      description: 'GET /users/{id}, shop.Cart/Add, SELECT orders …; {other} for those beyond 200',
    }),
    host: Type.Optional(Type.String({ description: 'HTTP alone' })),
    ...viewFields,
  },
  { ...strict, title: 'Operation' },
)
