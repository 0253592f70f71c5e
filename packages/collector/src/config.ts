import { type ConfigOf, defineOptions } from '@skybraid/shared'
import { protocolBits, protocolNames } from './protocol-list.ts'
import { parseSampling } from './sampling/sampling-control.ts'

/** Options of one collector, to be joined with those of the program it runs in. */
export const collectorConfigSchema = defineOptions({
  node: {
    type: 'string',
    description: 'Name of this node; the host name if not given',
    env: 'SKYBRAID_NODE',
    placeholder: 'NAME',
  },
  cluster: {
    type: 'string',
    description: 'Name of the cluster that this node belongs to',
    env: 'SKYBRAID_CLUSTER',
    default: 'local',
    placeholder: 'NAME',
    check: text =>
      /^[A-Za-z0-9_-]{1,63}$/.test(text) ? undefined : "may hold letters, digits, '_' and '-', at most 63",
  },
  cgroup: {
    type: 'string',
    description: 'cgroup2 directory whose whole subtree is observed; the cgroup2 mount if not given',
    env: 'SKYBRAID_CGROUP',
    placeholder: 'DIR',
  },
  flush: {
    type: 'duration',
    description: 'How often records leave the collector; a minute must be a whole number of flushes',
    env: 'SKYBRAID_FLUSH',
    default: 500,
    min: 10,
    max: 60_000,
    check: ms => (60_000 % ms === 0 ? undefined : 'must divide a minute, for example 100ms, 500ms or 1s'),
  },
  partitions: {
    type: 'number',
    description: 'Partitions that records are split into by the dialling end of their connection',
    env: 'SKYBRAID_PARTITIONS',
    default: 4,
    min: 1,
    max: 256,
    check: count => (Number.isInteger(count) ? undefined : 'must be a whole number'),
  },
  ring: {
    type: 'bytes',
    description: 'Kernel ring buffer; a power of two',
    env: 'SKYBRAID_RING',
    default: 1 << 20,
    min: 4_096,
    max: 1 << 28,
    check: bytes => ((bytes & (bytes - 1)) === 0 ? undefined : 'must be a power of two, for example 1MiB'),
  },
  udp: {
    type: 'boolean',
    description:
      'Do without the packet hooks: no UDP, no names from DNS, no adoption of idle older connections',
    env: 'SKYBRAID_UDP',
    default: true,
  },
  l7: {
    type: 'string',
    description: `Application protocols that are read: ${protocolNames.join(',')}, some of them, all or off`,
    env: 'SKYBRAID_L7',
    default: 'all',
    placeholder: 'LIST',
    check: text =>
      protocolBits(text) === undefined
        ? `must be all, off, or some of ${protocolNames.join(', ')} with commas between`
        : undefined,
  },
  'task-files': {
    type: 'boolean',
    description: 'Do not look for older connections through the open files of all processes at start',
    env: 'SKYBRAID_TASK_FILES',
    default: true,
  },
  'max-flows': {
    type: 'number',
    description: 'Most flows that are open at a time; further ones are counted as flow_table_full',
    env: 'SKYBRAID_MAX_FLOWS',
    default: 131_072,
    min: 1,
    max: 1 << 24,
    check: count => (Number.isInteger(count) ? undefined : 'must be a whole number'),
  },
  report: {
    type: 'duration',
    description: 'How often the counters of a long-lived connection are reported',
    env: 'SKYBRAID_REPORT',
    default: 10_000,
    min: 10,
    max: 3_600_000,
  },
  sampling: {
    type: 'string',
    description:
      'Record all connections, or one in 2, 4 … 32768 of them (written 1/4), the same at both ends; adaptive: as many as --sampling-budget allows. Failed dials are always recorded',
    env: 'SKYBRAID_SAMPLING',
    default: 'all',
    placeholder: 'RATE',
    check: text =>
      parseSampling(text) === undefined
        ? 'must be all, adaptive, or 1/2, 1/4 and so on to 1/32768'
        : undefined,
  },
  'sampling-budget': {
    type: 'number',
    description:
      'Processor time that an adaptive collector keeps to, in cores; 3 % of the machine, at most half a core, if not given',
    env: 'SKYBRAID_SAMPLING_BUDGET',
    placeholder: 'CORES',
    min: 0.005,
    max: 64,
  },
  announce: {
    type: 'duration',
    description: 'How often an open connection is reported although nothing changed',
    env: 'SKYBRAID_ANNOUNCE',
    default: 300_000,
    min: 1_000,
    max: 3_600_000,
  },
  spool: {
    type: 'bytes',
    description:
      'Memory for batches that the bus does not take; beyond it the oldest is given up and counted',
    env: 'SKYBRAID_SPOOL',
    default: 16 << 20,
    min: 1 << 20,
    max: 2 ** 31,
  },
})

export type CollectorConfig = ConfigOf<typeof collectorConfigSchema>
