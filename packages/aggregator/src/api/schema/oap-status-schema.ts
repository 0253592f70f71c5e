import Type from 'typebox'
import { exportNotesSchema } from './export-notes-schema.ts'

const strict = { additionalProperties: false } as const
const byReason = Type.Record(Type.String(), Type.Integer())

/** The export to OAP in `/status`; mirrors OapStatus in export/oap/oap-status.ts. */
export const oapStatusSchema = Type.Object(
  {
    addresses: Type.Array(Type.String()),
    dryRun: Type.Boolean({ description: 'what would be sent goes to stdout' }),
    connected: Type.Boolean(),
    connectedTo: Type.Optional(Type.String({ description: 'the OAP that takes what is sent' })),
    lastError: Type.Optional(Type.String({ description: 'what went wrong last, in words' })),
    failedOpenings: Type.Integer({
      description: 'streams that failed in a row, opened or not; 0 once one with messages was read',
    }),
    sent: Type.Object(
      {
        intervals: Type.Integer(),
        messages: Type.Integer(),
        logs: Type.Integer({ description: 'of these OAP makes its figures' }),
      },
      strict,
    ),
    unknown: Type.Object(
      { intervals: Type.Integer(), logs: Type.Integer() },
      { ...strict, description: 'in flight when a stream broke; never sent again' },
    ),
    refused: Type.Record(Type.String(), Type.Integer(), {
      description: 'not sent because OAP could not bear it, by reason',
    }),
    queue: Type.Object(
      {
        intervals: Type.Integer(),
        bytes: Type.Integer(),
        oldestSeconds: Type.Optional(Type.Number({ description: 'age of the oldest that waits' })),
        droppedIntervals: Type.Integer({ description: 'waited too long, or found no room' }),
        droppedPairs: Type.Integer({ description: 'pairs and groups of requests in them' }),
      },
      strict,
    ),
    leftOut: { ...byReason, description: 'seen, but not for OAP, by reason, in connections and requests' },
    http: Type.Object(
      {
        seen: Type.Integer(),
        sent: Type.Integer(),
        factor: Type.Number({
          description:
            'of the latest interval with any: seen for each one sent; 1 if none came for over a minute',
        }),
      },
      strict,
    ),
    metrics: Type.Object(
      {
        sent: Type.Integer(),
        unknown: Type.Integer(),
        dropped: Type.Integer({ description: 'never sent, or to an OAP without a receiver for them' }),
      },
      { ...strict, description: 'points of OpenTelemetry metrics (--oap-metrics)' },
    ),
    notes: Type.Optional(exportNotesSchema),
    pods: Type.Object(
      {
        known: Type.Integer(),
        announced: Type.Integer(),
        failures: Type.Integer(),
        turnedAway: Type.Integer({
          description: 'how often one came up that is not told, because too many are known',
        }),
      },
      { ...strict, description: 'instances told to OAP by name' },
    ),
  },
  { ...strict, title: 'OapStatus' },
)
