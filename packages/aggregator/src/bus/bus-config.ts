import { type ConfigOf, defineOptions } from '@skybraid/shared'
import { natsConfigSchema, streamConfigSchema } from '@skybraid/shared/nats'

const wholeNumber = (count: number) => (Number.isInteger(count) ? undefined : 'must be a whole number')

/** Options of an aggregator that reads the bus, beside those of every aggregator. */
export const aggregatorBusConfigSchema = defineOptions({
  ...natsConfigSchema,
  cluster: {
    type: 'string',
    description: 'Name of the cluster: part of every subject',
    env: 'SKYBRAID_CLUSTER',
    default: 'local',
    check: text =>
      /^[A-Za-z0-9_-]{1,64}$/.test(text) ? undefined : "may hold letters, digits, '_' and '-', at most 64",
  },
  partitions: {
    type: 'number',
    description:
      'Partitions that the collectors split their batches into; a change needs a higher --partitions-epoch',
    env: 'SKYBRAID_PARTITIONS',
    default: 4,
    min: 1,
    max: 64,
    check: wholeNumber,
  },
  'partitions-epoch': {
    type: 'number',
    description:
      'Number of the change of --partitions: the highest that any aggregator was started with holds, from a minute on that it chooses',
    env: 'SKYBRAID_PARTITIONS_EPOCH',
    default: 1,
    min: 1,
    max: 1_000_000,
    check: wholeNumber,
  },
  replicas: {
    type: 'number',
    description: 'Aggregators of this cluster, which share the partitions',
    env: 'SKYBRAID_REPLICAS',
    default: 1,
    min: 1,
    max: 64,
    check: wholeNumber,
  },
  'replica-ordinal': {
    type: 'number',
    description:
      'Number of this one among them, from 0; without it the number at the end of the host name, or 0',
    env: 'SKYBRAID_REPLICA_ORDINAL',
    min: 0,
    max: 63,
    check: wholeNumber,
  },
  'read-again': {
    type: 'duration',
    description:
      'How far before its last closed minute a partition is read again at a start, to know its connections: longer makes starts slower, and totals exact for what was delayed longer',
    env: 'SKYBRAID_READ_AGAIN',
    default: 6 * 60_000,
    min: 60_000,
    max: 24 * 60 * 60_000,
  },
  'take-over': {
    type: 'duration',
    description: 'A partition for which nothing was appended for so long is taken over by another replica',
    env: 'SKYBRAID_TAKE_OVER',
    default: 90_000,
    min: 2_000,
    max: 60 * 60_000,
  },
  ...streamConfigSchema,
})

export type AggregatorBusConfig = ConfigOf<typeof aggregatorBusConfigSchema>

/** The number at the end of a host name, as a StatefulSet gives them; 0 without one. */
export function ordinalOf(hostName: string): number {
  return Number(/-(\d{1,4})$/.exec(hostName.split('.')[0]!)?.[1] ?? 0)
}
