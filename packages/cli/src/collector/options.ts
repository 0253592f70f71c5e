import { collectorConfigSchema } from '@skybraid/collector'
import { collectorBusConfigSchema } from '@skybraid/collector/program'
import { type ConfigOf, defineOptions } from '@skybraid/shared'
import { natsConfigSchema } from '@skybraid/shared/nats'
import { logLevelOption } from '../log-level.ts'

/** Options of `skybraid collector`: one node, and the bus that its records go to. */
export const collectorOptions = defineOptions({
  ...natsConfigSchema,
  ...collectorConfigSchema,
  ...collectorBusConfigSchema,
  ...logLevelOption,
})

export type CollectorProgramConfig = ConfigOf<typeof collectorOptions>
