import Type from 'typebox'

const strict = { additionalProperties: false } as const

const difference = Type.Object(
  { setting: Type.String(), wanted: Type.String(), found: Type.String() },
  strict,
)

const partition = Type.Object(
  {
    partition: Type.Integer(),
    phase: Type.Enum(['following', 'claiming', 'catching_up', 'owning'], {
      description:
        'following: booked elsewhere or nowhere. catching_up: booked here, reading again what came before. owning: booked here, up to date',
    }),
    owner: Type.Optional(Type.String({ description: 'who appended last' })),
    sequence: Type.Integer({ description: 'position in the stream of batches' }),
    lagMessages: Type.Integer(),
    lagMs: Type.Integer(),
    closedThrough: Type.Integer({ description: 'last closed minute, in minutes of Unix time; -1 if none' }),
    rounds: Type.Integer({ description: 'whole rounds read, by whoever appended them' }),
    claims: Type.Integer(),
    rejectedAppends: Type.Integer({ description: 'appends refused because somebody else had appended' }),
    abandonedRounds: Type.Integer({ description: 'rounds begun and never finished; they do not count' }),
    refusedMessages: Type.Integer({ description: 'appended messages that make no sense' }),
    refusedSegments: Type.Integer({ description: 'segments of rounds that were not taken over' }),
    refusedBatches: Type.Integer({ description: 'batches without sound headers or encoding' }),
    cameMidway: Type.Integer({
      description: 'flows first heard of in the middle when a partition was taken: see decision 0007',
    }),
    trims: Type.Integer({
      description:
        'times that the stream of batches reached back less far than this partition had been read; what was lost by it are gaps of nodes',
    }),
    replacements: Type.Integer({
      description:
        'times that the stream of batches was made anew, so that nothing in it had been read; what was lost with the former one are gaps of nodes',
    }),
  },
  { ...strict, title: 'BusPartition' },
)

const epoch = Type.Object(
  {
    epoch: Type.Integer(),
    partitions: Type.Integer(),
    first: Type.Integer({ description: 'number of its first partition' }),
    fromMinute: Type.Integer({ description: 'Unix minute from which on records are split so' }),
  },
  { ...strict, title: 'BusEpoch' },
)

/** The bus in `/status`; mirrors BusStatus in bus/bus-status.ts. */
export const busSchema = Type.Object(
  {
    connected: Type.Boolean(),
    server: Type.Optional(Type.String()),
    lastError: Type.Optional(Type.String()),
    disconnects: Type.Integer(),
    owner: Type.String({ description: 'this process, as it signs what it appends' }),
    replica: Type.Integer(),
    replicas: Type.Integer(),
    streams: Type.Array(
      Type.Object(
        {
          stream: Type.String(),
          outcome: Type.Enum(['created', 'adopted']),
          differences: Type.Array(difference, {
            description: 'settings other than configured; never changed',
          }),
        },
        strict,
      ),
    ),
    layout: Type.Array(epoch, { description: 'how records are split into partitions, oldest epoch first' }),
    partitions: Type.Array(partition),
  },
  { ...strict, title: 'Bus' },
)
