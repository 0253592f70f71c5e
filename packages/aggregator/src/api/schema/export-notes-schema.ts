import Type from 'typebox'

/** How far partitions were exported, as it is noted on the bus. */
export const exportNotesSchema = Type.Object(
  {
    unknownBefore: Type.Integer({
      description: 'intervals that former owners of partitions took, and of which nobody knows the rest',
    }),
    unknownRequestsBefore: Type.Integer({
      description: 'requests in them that were for OpenTelemetry',
    }),
    without: Type.Array(Type.Integer(), {
      description: 'partitions booked here that are not exported, because the bus takes no notes',
    }),
    unnoted: Type.Integer({
      description:
        'how often what there was of a partition was thrown away, because the bus took no note of it',
    }),
    lastError: Type.Optional(Type.String()),
  },
  {
    additionalProperties: false,
    description: 'on the bus: how far partitions were exported, as it is noted there',
  },
)
