import Type from 'typebox'
import { exportNotesSchema } from './export-notes-schema.ts'

const strict = { additionalProperties: false } as const

function overstatedSchema(description: string) {
  return Type.Object({ requests: Type.Integer(), connections: Type.Integer() }, { ...strict, description })
}

/** The export to OpenTelemetry in `/status`; mirrors OtlpStatus in export/otlp-push/otlp-status.ts. */
export const otlpStatusSchema = Type.Object(
  {
    address: Type.String({ description: 'where requests go' }),
    connected: Type.Boolean({ description: 'the latest request was answered' }),
    lastError: Type.Optional(Type.String({ description: 'what went wrong last, in words' })),
    points: Type.Object(
      {
        sent: Type.Integer(),
        refused: Type.Integer({ description: 'the receiver does not want them' }),
        unknown: Type.Integer({ description: 'in flight when a connection broke; never sent again' }),
        dropped: Type.Integer({ description: 'waited too long, or found no room' }),
      },
      { ...strict, description: 'by what became of them' },
    ),
    queue: Type.Object(
      {
        requests: Type.Integer(),
        points: Type.Integer(),
        bytes: Type.Integer(),
        oldestSeconds: Type.Optional(Type.Number({ description: 'age of the oldest that waits' })),
      },
      strict,
    ),
    series: Type.Object(
      {
        known: Type.Integer({ description: 'sets of attributes' }),
        limit: Type.Integer(),
        folded: Type.Integer({ description: 'figures told as {other} because there were too many series' }),
      },
      strict,
    ),
    leftOut: Type.Object(
      {
        unnamed: Type.Integer({ description: 'figures of entities that nobody knows any more' }),
        overstated: overstatedSchema('told, then taken back, with nothing to take them from'),
        owed: overstatedSchema('told, then taken back: as much less is told of what comes'),
      },
      { ...strict, description: 'where the sums differ from those of /topology' },
    ),
    notes: Type.Optional(exportNotesSchema),
  },
  { ...strict, title: 'OtlpStatus' },
)
