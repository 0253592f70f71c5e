/** Declaration of the options of a program. The key is the flag's name without dashes, in kebab-case. */
export type ConfigSchema = Readonly<Record<string, Option>>

interface Common<T> {
  readonly description: string
  /** Without a default the value may be undefined. */
  readonly default?: T
  /** Environment variable; without it the option can't be set there. */
  readonly env?: string
  /** One letter: `-o` for `--output`. */
  readonly short?: string
  /** Word for the value in `--help`, for example DIR. */
  readonly placeholder?: string
  /** Masked wherever the configuration is shown. */
  readonly secret?: boolean
  /** Left out of `--help`. */
  readonly hidden?: boolean
  /** What is wrong with a value, as the end of a sentence that begins with the option's name; undefined if nothing. */
  readonly check?: (value: T) => string | undefined
}

interface Bounded {
  readonly min?: number
  readonly max?: number
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

export type StringOption = Common<string> & { readonly type: 'string'; readonly values?: readonly string[] }
export type NumberOption = Common<number> & Bounded & { readonly type: 'number' }
export type BooleanOption = Common<boolean> & { readonly type: 'boolean' }
/** In milliseconds; written `200ms`, `5s`, `1m`, `24h`. */
export type DurationOption = Common<number> & Bounded & { readonly type: 'duration' }
/** Written `1000`, `64kB`, `1MiB`. */
export type BytesOption = Common<number> & Bounded & { readonly type: 'bytes' }
/** The flag is repeated, the environment separates by commas, the file has an array. */
export type ListOption = Common<readonly string[]> & { readonly type: 'list' }
/** `HOST:PORT`, an IPv6 host in brackets. */
export type AddressOption = Common<HostPort> & { readonly type: 'address' }

export type Option =
  | StringOption
  | NumberOption
  | BooleanOption
  | DurationOption
  | BytesOption
  | ListOption
  | AddressOption

export type OptionValue = string | number | boolean | readonly string[] | HostPort

type ValueOf<O extends Option> = O extends { type: 'string' }
  ? string
  : O extends { type: 'boolean' }
    ? boolean
    : O extends { type: 'list' }
      ? readonly string[]
      : O extends { type: 'address' }
        ? HostPort
        : number

type CamelCase<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S

/** The values a schema produces: `max-flows` becomes `maxFlows`. */
export type ConfigOf<S extends ConfigSchema> = {
  readonly [K in keyof S & string as CamelCase<K>]: S[K] extends { default: unknown }
    ? ValueOf<S[K]>
    : ValueOf<S[K]> | undefined
}

/** Keeps the literal types of a schema, so that `ConfigOf` knows which options have defaults. */
export function defineOptions<const S extends ConfigSchema>(schema: S): S {
  return schema
}

export function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
