import type { HostPort, Option, OptionValue } from './option.ts'

export type Parsed =
  | { readonly ok: true; readonly value: OptionValue }
  | { readonly ok: false; readonly problem: string }

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const byteUnits: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/** Reads an option's value from a flag, an environment variable, or one element of a list. */
export function parseText(option: Option, text: string): Parsed {
  switch (option.type) {
    case 'string':
      return checked(option, text)
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text)
        ? checked(option, Number(text))
        : bad(`must be a number, not ${quote(text)}`)
    case 'boolean':
      return parseBoolean(text)
    case 'duration':
      return parseQuantity(option, text, durationUnits, 'a time with its unit, for example 200ms, 5s or 1m')
    case 'bytes':
      return parseQuantity(option, text, { ...byteUnits, '': 1 }, 'a size, for example 65536, 64KiB or 16MB')
    case 'list':
      return checked(option, text === '' ? [] : text.split(',').map(part => part.trim()))
    case 'address': {
      const address = parseHostPort(text)
      return address === undefined ? bad(`must be HOST:PORT, not ${quote(text)}`) : checked(option, address)
    }
  }
}

const jsonTypes = {
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
  duration: 'a string such as "5s"',
  bytes: 'a size',
  list: 'a list of strings',
  address: 'a string "HOST:PORT"',
} as const

/** Reads an option's value from a configuration file, where JSON already knows numbers, booleans and lists. */
export function parseJson(option: Option, value: unknown): Parsed {
  if (typeof value === 'string' && option.type !== 'list') return parseText(option, value)
  if (option.type === 'boolean' && typeof value === 'boolean') return { ok: true, value }
  if ((option.type === 'number' || option.type === 'bytes') && typeof value === 'number')
    return checked(option, value)
  if (option.type === 'list' && Array.isArray(value) && value.every(part => typeof part === 'string')) {
    return checked(option, value as string[])
  }
  return bad(`must be ${jsonTypes[option.type]}, not ${JSON.stringify(value)}`)
}

/** Ranges, allowed values and the option's own check. */
export function checked(option: Option, value: OptionValue): Parsed {
  if (option.type === 'string' && option.values !== undefined && !option.values.includes(value as string)) {
    return bad(`must be one of ${option.values.join(', ')}, not ${quote(String(value))}`)
  }
  if ('min' in option && option.min !== undefined && (value as number) < option.min) {
    return bad(`must be at least ${formatValue(option, option.min)}, not ${formatValue(option, value)}`)
  }
  if ('max' in option && option.max !== undefined && (value as number) > option.max) {
    return bad(`must be at most ${formatValue(option, option.max)}, not ${formatValue(option, value)}`)
  }
  const problem = (option.check as ((value: OptionValue) => string | undefined) | undefined)?.(value)
  return problem === undefined ? { ok: true, value } : bad(problem)
}

/** The way a user would write the value. */
export function formatValue(option: Option, value: OptionValue): string {
  if (option.type === 'duration') return formatQuantity(value as number, durationUnits)
  if (option.type === 'bytes') return formatQuantity(value as number, byteUnits)
  if (option.type === 'list') return (value as readonly string[]).join(',')
  if (option.type === 'address') return formatHostPort(value as HostPort)
  return String(value)
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host === undefined || port > 65_535 ? undefined : { host, port }
}

function parseBoolean(text: string): Parsed {
  if (text === 'true' || text === '1' || text === 'yes' || text === 'on') return { ok: true, value: true }
  if (text === 'false' || text === '0' || text === 'no' || text === 'off') return { ok: true, value: false }
  return bad(`must be true or false, not ${quote(text)}`)
}

function parseQuantity(
  option: Option,
  text: string,
  units: Readonly<Record<string, number>>,
  what: string,
): Parsed {
  const match = /^(\d+(?:\.\d+)?) ?([a-zA-Z]*)$/.exec(text)
  const unit = match === null ? undefined : Object.hasOwn(units, match[2]) ? units[match[2]] : undefined
  const amount = match === null || unit === undefined ? Number.NaN : Number(match[1]) * unit
  if (!Number.isSafeInteger(amount)) return bad(`must be ${what}, not ${quote(text)}`)
  return checked(option, amount)
}

/** In the largest unit that gives a whole number. */
function formatQuantity(value: number, units: Readonly<Record<string, number>>): string {
  let best = Object.keys(units)[0]
  for (const [name, size] of Object.entries(units)) {
    if (value !== 0 && value % size === 0 && size > units[best]) best = name
  }
  return `${value / units[best]}${best}`
}

function quote(text: string): string {
  return JSON.stringify(text)
}

function bad(problem: string): Parsed {
  return { ok: false, problem }
}
