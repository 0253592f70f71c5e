import { type ConfigOf, defineOptions } from '@skybraid/shared'
import { parseNodeSpec } from './node-spec.ts'

/** Options of `skybraid standalone`: flags, environment, file and defaults come from this one declaration. */
export const standaloneOptions = defineOptions({
  listen: {
    type: 'address',
    description: 'Where the API and the page listen; port 0 lets the system choose',
    default: { host: '127.0.0.1', port: 7100 },
    env: 'SKYBRAID_LISTEN',
  },
  flush: {
    type: 'duration',
    description: 'How often what the kernel saw is handed on',
    default: 500,
    min: 50,
    max: 10_000,
    env: 'SKYBRAID_FLUSH',
  },
  'data-dir': {
    type: 'string',
    description: 'Folder that keeps closed windows over restarts; without it they are kept in memory',
    env: 'SKYBRAID_DATA_DIR',
    placeholder: 'DIR',
  },
  node: {
    type: 'list',
    description:
      'Observe only this cgroup2 directory, under this name; without it the whole machine is one node with its host name',
    default: [],
    env: 'SKYBRAID_NODE',
    placeholder: 'NAME=DIR',
    check: list => list.map(parseNodeSpec).find(spec => typeof spec === 'string'),
  },
  cluster: {
    type: 'string',
    description: 'Name of the cluster in records',
    default: 'local',
    env: 'SKYBRAID_CLUSTER',
    placeholder: 'NAME',
  },
  udp: {
    type: 'boolean',
    description:
      'Do without the packet hooks: no UDP, no DNS names, no adoption of older connections on traffic',
    default: true,
    env: 'SKYBRAID_UDP',
  },
  'max-flows': {
    type: 'number',
    description: 'Open connections and UDP flows that a node can follow at once',
    default: 262_144,
    min: 16,
    max: 4_194_304,
    env: 'SKYBRAID_MAX_FLOWS',
  },
  'ring-size': {
    type: 'bytes',
    description: 'Ring buffer between kernel and collector, per node; a power of two',
    default: 1 << 20,
    min: 4096,
    max: 1 << 28,
    env: 'SKYBRAID_RING_SIZE',
    check: bytes => (Math.log2(bytes) % 1 === 0 ? undefined : 'must be a power of two'),
  },
  'log-level': {
    type: 'string',
    description: 'Least severe log lines to print',
    default: 'info',
    values: ['trace', 'debug', 'info', 'warn', 'error'],
    env: 'SKYBRAID_LOG_LEVEL',
  },
  table: {
    type: 'boolean',
    description: 'Do not show the live table on a terminal',
    default: true,
    env: 'SKYBRAID_TABLE',
  },
  demo: {
    type: 'boolean',
    description:
      'Also run a small shop of real programs on two made-up nodes, and observe those instead of the machine',
    default: false,
  },
})

export type StandaloneConfig = ConfigOf<typeof standaloneOptions>
