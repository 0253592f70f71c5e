import { readFileSync } from 'node:fs'
import { type ConfigOf, type ConfigSchema, formatConfig, formatHelp, loadConfig } from '@skybraid/shared'
import { ExitCode } from './exit-code.ts'
import { complain, print, type Surroundings } from './surroundings.ts'

export interface Command<S extends ConfigSchema> {
  readonly verb: string
  /** One sentence for the head of the help. */
  readonly about: string
  readonly options: S
}

export type Options<S extends ConfigSchema> =
  | { readonly config: ConfigOf<S>; readonly configPath?: string }
  /** Everything is said: the help, the configuration, or what is wrong with it. */
  | { readonly exitCode: number }

/** Reads flags, environment and file of a command, and answers `--help` and `--print-config`. */
export async function loadOptions<S extends ConfigSchema>(
  { verb, about, options }: Command<S>,
  args: readonly string[],
  around: Surroundings,
): Promise<Options<S>> {
  const loaded = loadConfig(options, {
    ...(await configParser(args)),
    args,
    env: around.env,
    readFile: path => readFileSync(path, 'utf8'),
  })
  if (loaded.help) {
    const help = `${about}\n\n${formatHelp(options, `skybraid ${verb} [options]`)}`
    return { exitCode: print(around.stdout, help) }
  }
  if (!loaded.ok) return { exitCode: complain(around, ExitCode.usage, loaded.errors) }
  if (loaded.printConfig) return { exitCode: print(around.stdout, formatConfig(options, loaded)) }
  const { config, configPath } = loaded
  return configPath === undefined ? { config } : { config, configPath }
}

/** The YAML reader loads only where there is a file to read. */
async function configParser(args: readonly string[]): Promise<{ parseFile?: (text: string) => unknown }> {
  if (!args.some(arg => arg.startsWith('--config'))) return {}
  const { parseConfigFile } = await import('./config-file.ts')
  return { parseFile: parseConfigFile }
}
