import { loadConfig } from '../../packages/shared/src/index.ts'
import { type StreamSettings, streamConfigSchema } from '../../packages/shared/src/nats/index.ts'

/** The settings of the streams as a program reads them from its command line. */
export function streamSettings(...args: string[]): StreamSettings {
  const loaded = loadConfig(streamConfigSchema, { args, env: {} })
  if (!loaded.ok) throw new Error(loaded.errors.join(' '))
  return loaded.config
}
