import { loadConfig } from '../../packages/shared/src/index.ts'
import {
  type ConnectOptions,
  connectNats,
  type NatsConfig,
  type NatsLink,
  natsConfigProblem,
  natsConfigSchema,
} from '../../packages/shared/src/nats/index.ts'
import { recordedLog } from './recorded-log.ts'

/** The options of the bus as a program reads them from its command line. */
export function natsConfig(args: readonly string[]): NatsConfig {
  const loaded = loadConfig(natsConfigSchema, { args, env: {} })
  if (!loaded.ok) throw new Error(loaded.errors.join(' '))
  const problem = natsConfigProblem(loaded.config)
  if (problem !== undefined) throw new Error(problem)
  return loaded.config
}

/** Connects as a program does that is started with these arguments. */
export function linkWith(args: readonly string[], options: Partial<ConnectOptions> = {}): Promise<NatsLink> {
  return connectNats({ config: natsConfig(args), name: 'test', log: recordedLog(), ...options })
}
