import { type ConfigOf, defineOptions } from '@skybraid/shared'

/** Options of a collector that publishes to NATS, beside those of `collectorConfigSchema`. */
export const collectorBusConfigSchema = defineOptions({
  compress: {
    type: 'string',
    description: 'How batches are packed on the bus; none lets any tap read them without a library',
    env: 'SKYBRAID_COMPRESS',
    default: 'zstd',
    values: ['zstd', 'none'],
  },
  'spool-dir': {
    type: 'string',
    description:
      'Folder for batches that find no room in --spool, and for those that are left at the end; they are published by whoever runs next for this node',
    env: 'SKYBRAID_SPOOL_DIR',
    placeholder: 'DIR',
  },
  'spool-dir-size': {
    type: 'bytes',
    description: 'Most that may lie in --spool-dir',
    env: 'SKYBRAID_SPOOL_DIR_SIZE',
    default: 256 << 20,
    min: 1 << 20,
    max: 2 ** 40,
  },
  drain: {
    type: 'duration',
    description: 'How long to wait at the end for the bus to take what is left',
    env: 'SKYBRAID_DRAIN',
    default: 10_000,
    min: 0,
    max: 600_000,
  },
  'status-listen': {
    type: 'address',
    description: 'Where /metrics, /livez, /readyz and /status are served',
    env: 'SKYBRAID_STATUS_LISTEN',
    default: { host: '127.0.0.1', port: 7101 },
  },
})

export type CollectorBusConfig = ConfigOf<typeof collectorBusConfigSchema>
