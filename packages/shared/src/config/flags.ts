import { nearestName } from './nearest.ts'
import type { ConfigSchema } from './option.ts'

/** Flags every program has besides its own options. */
export const commonFlags = {
  config: 'YAML or JSON file with options by name; flags and environment override it',
  'print-config': 'Show the effective options and where each came from, then exit',
  help: 'Show this help, then exit',
} as const

export interface Flags {
  /** Texts given for each option, in order. Booleans have 'true' or 'false'. */
  readonly values: ReadonlyMap<string, readonly string[]>
  readonly positionals: readonly string[]
  readonly configPath: string | undefined
  readonly help: boolean
  readonly printConfig: boolean
  readonly errors: readonly string[]
}

/**
 * Splits arguments into flags: `--name value`, `--name=value`, `--name` and `--no-name` for booleans, and `-n` for an
 * option with that letter. `--` ends them.
 */
export function scanFlags(schema: ConfigSchema, args: readonly string[]): Flags {
  const values = new Map<string, string[]>()
  const positionals: string[] = []
  const errors: string[] = []
  let index = 0
  while (index < args.length) {
    const arg = args[index++]
    if (arg === '--') {
      positionals.push(...args.slice(index))
      break
    }
    const long = longForm(schema, arg)
    if (arg === '-h') values.set('help', ['true'])
    else if (long !== undefined) index += scanFlag(schema, long, args[index], values, errors)
    else if (/^-[a-zA-Z]/.test(arg)) errors.push(`Unknown flag ${arg}; --help lists all flags.`)
    else if (!arg.startsWith('--')) positionals.push(arg)
    else index += scanFlag(schema, arg, args[index], values, errors)
  }
  const given = (name: string) => values.get(name)?.at(-1)
  return {
    values,
    positionals,
    configPath: given('config'),
    help: given('help') === 'true',
    printConfig: given('print-config') === 'true',
    errors,
  }
}

/** `--output` for `-o`, or `--output=json` for `-o=json`; undefined if no option has that letter. */
function longForm(schema: ConfigSchema, arg: string): string | undefined {
  const [, letter, value = ''] = /^-([a-zA-Z])(=.*)?$/s.exec(arg) ?? []
  if (letter === undefined) return undefined
  const name = Object.keys(schema).find(key => schema[key].short === letter)
  return name && `--${name}${value}`
}

/** Answers how many further arguments the flag used. */
function scanFlag(
  schema: ConfigSchema,
  arg: string,
  following: string | undefined,
  values: Map<string, string[]>,
  errors: string[],
): 0 | 1 {
  const equals = arg.indexOf('=')
  const written = equals < 0 ? arg.slice(2) : arg.slice(2, equals)
  const negated = written.startsWith('no-') && kindOf(schema, written.slice(3)) === 'boolean'
  const name = negated ? written.slice(3) : written
  const kind = kindOf(schema, name)
  if (kind === undefined) {
    errors.push(`Unknown flag --${written}${suggestion(schema, written)}.`)
    return 0
  }
  if (values.has(name) && kind !== 'list') errors.push(`--${name} is given twice.`)
  const add = (text: string) => void values.set(name, [...(values.get(name) ?? []), text])
  if (kind === 'boolean' && (negated || equals < 0)) {
    if (negated && equals >= 0) errors.push(`--no-${name} takes no value.`)
    add(String(!negated))
    return 0
  }
  if (equals >= 0) {
    add(arg.slice(equals + 1))
    return 0
  }
  if (following === undefined || following.startsWith('--')) {
    errors.push(`--${name} needs a value.`)
    return 0
  }
  add(following)
  return 1
}

function kindOf(schema: ConfigSchema, name: string): 'boolean' | 'list' | 'value' | undefined {
  if (name === 'help' || name === 'print-config') return 'boolean'
  if (name === 'config') return 'value'
  if (!Object.hasOwn(schema, name)) return undefined
  const { type } = schema[name]
  return type === 'boolean' || type === 'list' ? type : 'value'
}

function suggestion(schema: ConfigSchema, written: string): string {
  const known = [...Object.keys(schema), ...Object.keys(commonFlags)]
  const near = nearestName(written.replace(/^no-/, ''), known)
  return near === undefined ? '; --help lists all flags' : `; the nearest is --${near}`
}
