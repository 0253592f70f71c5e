import Type from 'typebox'
import { busSchema } from './bus-schema.ts'
import { kubernetesSchema } from './kubernetes-schema.ts'
import { oapStatusSchema } from './oap-status-schema.ts'
import { otlpStatusSchema } from './otlp-status-schema.ts'

/** JSON schemas of `/status`, `/livez` and `/readyz`; the ingest part mirrors IngestStatus in topology/answer.ts. */

const strict = { additionalProperties: false } as const
const lost = Type.Record(Type.String(), Type.Integer(), { description: 'records lost, by place' })

export const nodeStatusSchema = Type.Object(
  {
    node: Type.String(),
    bootId: Type.String(),
    lastSeen: Type.String({ format: 'date-time' }),
    clockOffsetMs: Type.Number({ description: 'this node’s clock minus the aggregator’s' }),
    reporting: Type.Boolean(),
    uncleanRestart: Type.Boolean({
      description:
        'the previous start of this collector was killed: what it still held is lost, how much is unknown',
    }),
    batches: Type.Integer(),
    records: Type.Integer(),
    duplicates: Type.Integer(),
    identity: Type.Object(
      {
        ring: Type.Object(
          { produced: Type.Integer(), consumed: Type.Integer(), full: Type.Integer(), holds: Type.Boolean() },
          { ...strict, description: 'produced = consumed + full' },
        ),
        records: Type.Object(
          {
            encoded: Type.Integer(),
            received: Type.Integer(),
            merged: Type.Integer(),
            sampledOut: Type.Integer(),
            inFlight: Type.Optional(Type.Integer()),
            lost,
            holds: Type.Boolean(),
          },
          {
            ...strict,
            description:
              'encoded = received + merged + sampledOut + inFlight + lost; without inFlight where other replicas read some of the partitions',
          },
        ),
      },
      strict,
    ),
    capabilities: Type.Array(Type.String(), { description: 'what is live on this node' }),
    applications: Type.Object(
      {
        connections: Type.Record(Type.String(), Type.Integer(), {
          description: 'by what they were found to speak; unknown: none that is known',
        }),
        unread: Type.Record(Type.String(), Type.Integer(), {
          description: 'what is in no operation, by cause',
        }),
      },
      { ...strict, description: 'what the collector says of application protocols, since its start' },
    ),
  },
  { ...strict, title: 'NodeStatus' },
)

export const ingestStatusSchema = Type.Object(
  {
    nodes: Type.Array(nodeStatusSchema),
    identity: Type.Object(
      {
        received: Type.Integer(),
        applied: Type.Integer(),
        duplicates: Type.Integer(),
        lost,
        holds: Type.Boolean(),
      },
      { ...strict, description: 'received = applied + duplicates + lost' },
    ),
    join: Type.Object(
      {
        connections: Type.Integer(),
        capacity: Type.Integer(),
        joined: Type.Integer(),
        clientOnly: Type.Integer(),
        serverOnly: Type.Integer(),
        tombstones: Type.Integer(),
        evicted: Type.Integer(),
        said: Type.Object(
          {
            unbooked: Type.Integer({ description: 'of records that came late or found a table full' }),
            other: Type.Integer({ description: 'booked as {other}: the edge had too many operations' }),
            unmovable: Type.Integer({
              description: 'stay on a one-sided edge, because too many waited for the other end',
            }),
          },
          {
            ...strict,
            description: 'messages of application protocols that are not where one would look for them',
          },
        ),
      },
      strict,
    ),
    edges: Type.Integer(),
    openMinutes: Type.Integer(),
    closedSegments: Type.Integer(),
  },
  { ...strict, title: 'IngestStatus' },
)

export const collectorSelfStatusSchema = Type.Object(
  {},
  {
    additionalProperties: true,
    title: 'CollectorSelfStatus',
    description: 'what a collector in this process says',
  },
)

export const statusSchema = Type.Object(
  {
    version: Type.String(),
    startedAt: Type.String({ format: 'date-time' }),
    now: Type.String({ format: 'date-time' }),
    ready: Type.Boolean(),
    reasons: Type.Array(Type.String(), { description: 'why it is not ready' }),
    notes: Type.Array(Type.String(), { description: 'what a reader of any answer should know' }),
    ingest: ingestStatusSchema,
    kubernetes: Type.Optional(kubernetesSchema),
    bus: Type.Optional(busSchema),
    collectors: Type.Array(collectorSelfStatusSchema, {
      description: 'collectors that run in this process; empty if there are none',
    }),
    oap: Type.Optional(oapStatusSchema),
    otlp: Type.Optional(otlpStatusSchema),
    api: Type.Object(
      {
        streamClients: Type.Integer(),
        streamClientsMax: Type.Integer(),
        streamClientsCut: Type.Integer({ description: 'live clients cut because they did not read' }),
      },
      strict,
    ),
    process: Type.Object(
      {
        rssBytes: Type.Integer(),
        heapUsedBytes: Type.Integer(),
        cpuSeconds: Type.Number(),
        eventLoopDelayP99Ms: Type.Number(),
      },
      strict,
    ),
  },
  { ...strict, $id: 'Status', title: 'Status' },
)

export const healthSchema = Type.Object(
  { status: Type.Enum(['ok', 'not_ready']), reasons: Type.Array(Type.String()) },
  { ...strict, $id: 'Health', title: 'Health' },
)
