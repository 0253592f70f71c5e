import {
  type DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream'
import { type ConfigOf, defineOptions } from '../config/option.ts'
import { SkybraidError } from '../errors.ts'
import { flowFilter, flowStream, rollupFilter, rollupStream } from './subjects.ts'

/** Settings of the two streams, to be joined with the options of the program that creates them. */
export const streamConfigSchema = defineOptions({
  'flow-max-age': {
    type: 'duration',
    description: 'How long the stream of batches keeps them, for an aggregator that was away or starts anew',
    env: 'SKYBRAID_FLOW_MAX_AGE',
    default: 15 * 60_000,
    min: 60_000,
    max: 24 * 60 * 60_000,
  },
  'flow-max-bytes': {
    type: 'bytes',
    description: 'Most bytes that the stream of batches takes; over it the oldest batches go',
    env: 'SKYBRAID_FLOW_MAX_BYTES',
    default: 4 * 2 ** 30,
    min: 1 << 20,
    max: 2 ** 45,
  },
  'rollup-max-age': {
    type: 'duration',
    description: 'How long the stream of closed minutes keeps them',
    env: 'SKYBRAID_ROLLUP_MAX_AGE',
    default: 25 * 60 * 60_000,
    min: 10 * 60_000,
    max: 7 * 24 * 60 * 60_000,
  },
  'rollup-max-bytes': {
    type: 'bytes',
    description: 'Most bytes that the stream of closed minutes takes; over it the oldest minutes go',
    env: 'SKYBRAID_ROLLUP_MAX_BYTES',
    default: 8 * 2 ** 30,
    min: 1 << 20,
    max: 2 ** 45,
  },
  'stream-replicas': {
    type: 'number',
    description: 'Servers that keep a copy of each stream: 1, or 3 in a cluster of three and more',
    env: 'SKYBRAID_STREAM_REPLICAS',
    default: 1,
    min: 1,
    max: 5,
    check: count => (count % 2 === 1 ? undefined : 'must be 1, 3 or 5'),
  },
  'stream-storage': {
    type: 'string',
    description: 'Where the streams are kept',
    env: 'SKYBRAID_STREAM_STORAGE',
    default: 'file',
    values: ['file', 'memory'],
  },
})

export type StreamSettings = ConfigOf<typeof streamConfigSchema>

export interface StreamReport {
  readonly stream: string
  /** `created` now, or `adopted` because it was there. */
  readonly outcome: 'created' | 'adopted'
  /** What an adopted stream has otherwise than the configuration says. It is never changed. */
  readonly differences: readonly StreamDifference[]
}

export interface StreamDifference {
  readonly setting: string
  readonly wanted: string
  readonly found: string
}

type Wanted = Pick<
  StreamConfig,
  | 'name'
  | 'subjects'
  | 'retention'
  | 'storage'
  | 'num_replicas'
  | 'max_age'
  | 'max_bytes'
  | 'max_msg_size'
  | 'discard'
  | 'duplicate_window'
  | 'allow_direct'
>

/** A batch has at most 48 KB and a piece of a minute at most 900 KB; the rest is for headers. */
const largestFlowMessage = 128 * 1024
const largestRollupMessage = 1024 * 1024
const duplicateWindowMs = 120_000
/** The server's code for it. */
const streamNotFound = 10059

/** Makes the streams of a cluster where they are missing, adopts them where they exist, and says what differs. */
export async function ensureStreams(
  jsm: JetStreamManager,
  cluster: string,
  settings: StreamSettings,
): Promise<StreamReport[]> {
  const common = {
    retention: 'limits' as const,
    storage: settings.streamStorage as StreamConfig['storage'],
    num_replicas: settings.streamReplicas,
    discard: 'old' as DiscardPolicy,
    duplicate_window: nanos(duplicateWindowMs),
    allow_direct: true,
  }
  const flow: Wanted = {
    ...common,
    name: flowStream(cluster),
    subjects: [flowFilter(cluster)],
    max_age: nanos(settings.flowMaxAge),
    max_bytes: settings.flowMaxBytes,
    max_msg_size: largestFlowMessage,
    duplicate_window: nanos(Math.min(duplicateWindowMs, settings.flowMaxAge)),
  }
  const rollup: Wanted = {
    ...common,
    name: rollupStream(cluster),
    subjects: [rollupFilter(cluster)],
    max_age: nanos(settings.rollupMaxAge),
    max_bytes: settings.rollupMaxBytes,
    max_msg_size: largestRollupMessage,
  }
  return [await ensureStream(jsm, flow), await ensureStream(jsm, rollup)]
}

async function ensureStream(jsm: JetStreamManager, wanted: Wanted): Promise<StreamReport> {
  const found = await findStream(jsm, wanted.name)
  if (found !== undefined)
    return { stream: wanted.name, outcome: 'adopted', differences: compare(wanted, found) }
  try {
    await jsm.streams.add(wanted)
    return { stream: wanted.name, outcome: 'created', differences: [] }
  } catch (error) {
    // somebody else may have made it in between
    const now = await findStream(jsm, wanted.name)
    if (now === undefined) throw problemOf(wanted.name, error)
    return { stream: wanted.name, outcome: 'adopted', differences: compare(wanted, now) }
  }
}

async function findStream(jsm: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await jsm.streams.info(name)).config
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === streamNotFound) return undefined
    throw problemOf(name, error)
  }
}

function problemOf(stream: string, error: unknown): SkybraidError {
  // the client does not export the class of this one
  if (error instanceof Error && error.name === 'JetStreamNotEnabled')
    return new SkybraidError(
      'SB_BUS_JETSTREAM',
      'JetStream is turned off for the account of this login: add "jetstream: enabled" to it in the configuration of the NATS server.',
    )
  const reason = error instanceof Error ? error.message : String(error)
  return new SkybraidError('SB_BUS_STREAM', `The stream ${stream} cannot be used: ${reason}.`, error)
}

/** Settings that an existing stream has otherwise. */
export function compare(wanted: Wanted, found: Partial<StreamConfig>): StreamDifference[] {
  return (Object.keys(wanted) as (keyof Wanted)[]).flatMap(setting => {
    const [want, have] = [text(wanted[setting]), text(found[setting])]
    return want === have ? [] : [{ setting, wanted: want, found: have }]
  })
}

function text(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : String(value ?? 'unset')
}

// whole numbers: the server takes nothing else
function nanos(ms: number): number {
  return Math.round(ms * 1e6)
}
