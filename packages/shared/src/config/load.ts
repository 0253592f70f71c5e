import { unknownVariables } from './environment.ts'
import { type Flags, scanFlags } from './flags.ts'
import { nearestName } from './nearest.ts'
import { type ConfigOf, type ConfigSchema, camelCase, type Option, type OptionValue } from './option.ts'
import { checked, type Parsed, parseJson, parseText } from './value.ts'

export interface ConfigSources {
  /** Command-line arguments without the program's name. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Text of the file named by `--config`; may throw. Without it `--config` is refused. */
  readonly readFile?: (path: string) => string
  /** Makes options by name of that text, JSON unless told; may throw. */
  readonly parseFile?: (text: string) => unknown
  /** Arguments that are not flags are an error unless this is set. */
  readonly allowPositionals?: boolean
}

export type Origin = 'flag' | 'environment' | 'file' | 'default' | 'unset'

export interface LoadedConfig<S extends ConfigSchema> {
  readonly ok: true
  readonly config: ConfigOf<S>
  /** Where each option's value came from, by option name. */
  readonly origins: ReadonlyMap<string, Origin>
  readonly positionals: readonly string[]
  readonly help: boolean
  readonly printConfig: boolean
  /** File named by `--config`. */
  readonly configPath?: string
}

export type ConfigResult<S extends ConfigSchema> =
  | LoadedConfig<S>
  /** Every problem found, one plain sentence each. `--help` was asked for as well if `help` is set. */
  | { readonly ok: false; readonly errors: readonly string[]; readonly help: boolean }

interface Setting {
  readonly parsed: Parsed
  readonly origin: Origin
  /** The option as the user wrote it. */
  readonly shown: string
}

/**
 * Effective options: flags over environment over file over defaults. Reads nothing itself and never throws; unknown
 * flags, keys and environment variables are errors that name the nearest known one.
 */
export function loadConfig<S extends ConfigSchema>(schema: S, sources: ConfigSources): ConfigResult<S> {
  const flags = scanFlags(schema, sources.args)
  const errors = [...flags.errors, ...unknownVariables(schema, sources.env)]
  if (sources.allowPositionals !== true) {
    for (const text of flags.positionals) errors.push(`Unexpected argument ${JSON.stringify(text)}.`)
  }
  const file = readConfigFile(schema, flags.configPath, sources, errors)
  const config: Record<string, OptionValue | undefined> = {}
  const origins = new Map<string, Origin>()
  for (const [name, option] of Object.entries(schema)) {
    const setting = findSetting(name, option, flags, sources.env, file)
    origins.set(name, setting.origin)
    if (setting.parsed.ok) config[camelCase(name)] = setting.parsed.value
    else if (setting.origin === 'unset') config[camelCase(name)] = undefined
    else errors.push(`${setting.shown} ${setting.parsed.problem}.`)
  }
  if (errors.length > 0) return { ok: false, errors, help: flags.help }
  const { positionals, help, printConfig, configPath } = flags
  const path = configPath === undefined ? {} : { configPath }
  return { ok: true, config: config as ConfigOf<S>, origins, positionals, help, printConfig, ...path }
}

function findSetting(
  name: string,
  option: Option,
  flags: Flags,
  env: ConfigSources['env'],
  file: ReadonlyMap<string, unknown>,
): Setting {
  const texts = flags.values.get(name)
  if (texts !== undefined) {
    const parsed = option.type === 'list' ? checked(option, texts) : parseText(option, texts.at(-1)!)
    return { parsed, origin: 'flag', shown: `--${name}` }
  }
  const fromEnv = option.env === undefined ? undefined : env[option.env]
  if (fromEnv !== undefined && fromEnv !== '') {
    return { parsed: parseText(option, fromEnv), origin: 'environment', shown: option.env! }
  }
  if (file.has(name)) {
    return {
      parsed: parseJson(option, file.get(name)),
      origin: 'file',
      shown: `"${name}" in the config file`,
    }
  }
  if (option.default === undefined) {
    return { parsed: { ok: false, problem: 'is not set' }, origin: 'unset', shown: `--${name}` }
  }
  return { parsed: { ok: true, value: option.default }, origin: 'default', shown: `--${name}` }
}

function readConfigFile(
  schema: ConfigSchema,
  path: string | undefined,
  { readFile, parseFile = JSON.parse }: ConfigSources,
  errors: string[],
): ReadonlyMap<string, unknown> {
  const settings = new Map<string, unknown>()
  if (path === undefined) return settings
  let content: unknown
  try {
    if (readFile === undefined) throw new Error('this program reads no file')
    content = parseFile(readFile(path))
  } catch (error) {
    errors.push(
      `The config file ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}.`,
    )
    return settings
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    errors.push(`The config file ${path} must hold options by name.`)
    return settings
  }
  for (const [key, value] of Object.entries(content)) {
    if (Object.hasOwn(schema, key)) settings.set(key, value)
    else errors.push(`Unknown key "${key}" in the config file${suggestKey(key, Object.keys(schema))}.`)
  }
  return settings
}

function suggestKey(key: string, known: readonly string[]): string {
  const near = nearestName(key, known)
  return near === undefined ? '' : `; the nearest is "${near}"`
}
