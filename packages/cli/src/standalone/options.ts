import { aggregatorConfigSchema } from '@skybraid/aggregator'
import { collectorConfigSchema } from '@skybraid/collector'
import { type ConfigOf, defineOptions } from '@skybraid/shared'
import { logLevelOption } from '../log-level.ts'
import { parseNodeSpec } from '../node-spec.ts'

const { node: _node, cgroup: _cgroup, ...collector } = collectorConfigSchema

/** Options of `skybraid standalone`: those of the API and of a collector, apart from which nodes are observed. */
export const standaloneOptions = defineOptions({
  ...aggregatorConfigSchema,
  node: {
    type: 'list',
    description:
      'Observe only this cgroup2 directory, under this name; without it the whole machine is one node with its host name',
    default: [],
    env: 'SKYBRAID_NODE',
    placeholder: 'NAME=DIR',
    check: (list: readonly string[]) => list.map(parseNodeSpec).find(spec => typeof spec === 'string'),
  },
  ...collector,
  ...logLevelOption,
  table: {
    type: 'boolean',
    description: 'Do not show the live table on a terminal',
    default: true,
    env: 'SKYBRAID_TABLE',
  },
  demo: {
    type: 'boolean',
    description:
      'Run a small shop of real programs on two made-up nodes, and observe those instead of the machine',
    default: false,
  },
})

export type StandaloneConfig = ConfigOf<typeof standaloneOptions>
