import {
  aggregatorBusConfigSchema,
  exportConfigSchema,
  servingConfigSchema,
} from '@skybraid/aggregator/program'
import { type ConfigOf, defineOptions } from '@skybraid/shared'
import { logLevelOption } from '../log-level.ts'

const { 'data-dir': _dataDir, ...own } = servingConfigSchema

/** Options of `skybraid aggregator`: closed minutes are kept by the bus, so there is no folder for them. */
export const aggregatorOptions = defineOptions({
  ...aggregatorBusConfigSchema,
  ...own,
  ...exportConfigSchema,
  ...logLevelOption,
})

export type AggregatorProgramConfig = ConfigOf<typeof aggregatorOptions>
