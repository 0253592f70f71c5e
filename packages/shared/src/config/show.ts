import { commonFlags } from './flags.ts'
import type { LoadedConfig, Origin } from './load.ts'
import { type ConfigSchema, camelCase, type Option, type OptionValue } from './option.ts'
import { formatValue } from './value.ts'

const indent = 30

/** Text of `--help`: one option after the other, with defaults and environment variables. */
export function formatHelp(schema: ConfigSchema, usage: string, columns = 100): string {
  const lines = [`Usage: ${usage}`, '', 'Options:']
  for (const [name, option] of Object.entries(schema)) {
    if (option.hidden !== true) lines.push(...helpEntry(flagText(name, option), describe(option), columns))
  }
  for (const [name, description] of Object.entries(commonFlags)) {
    lines.push(...helpEntry(name === 'config' ? '--config FILE' : `--${name}`, description, columns))
  }
  lines.push('', 'Flags override the environment, which overrides the config file.')
  return `${lines.join('\n')}\n`
}

/** Text of `--print-config`: effective values and where each came from; secrets are masked. */
export function formatConfig<S extends ConfigSchema>(schema: S, loaded: LoadedConfig<S>): string {
  const values = loaded.config as Readonly<Record<string, OptionValue | undefined>>
  const rows = Object.entries(schema).map(([name, option]) => {
    const value = values[camelCase(name)]
    const shown = value === undefined ? '' : option.secret === true ? '********' : formatValue(option, value)
    return { name, shown, from: originText(option, loaded.origins.get(name) ?? 'unset') }
  })
  const nameWidth = Math.max(0, ...rows.map(row => row.name.length))
  const valueWidth = Math.max(0, ...rows.map(row => row.shown.length))
  return rows
    .map(row => `${row.name.padEnd(nameWidth)}  ${row.shown.padEnd(valueWidth)}  ${row.from}\n`)
    .join('')
}

function originText(option: Option, origin: Origin): string {
  return origin === 'environment' ? `environment ${option.env}` : origin
}

function flagText(name: string, option: Option): string {
  const short = option.short === undefined ? '' : `-${option.short}, `
  if (option.type === 'boolean') return `${short}${option.default === true ? '--no-' : '--'}${name}`
  return `${short}--${name} ${option.placeholder ?? placeholders[option.type]}`
}

const placeholders = {
  string: 'TEXT',
  number: 'N',
  duration: 'TIME',
  bytes: 'SIZE',
  list: 'ITEM',
  address: 'HOST:PORT',
} as const

function describe(option: Option): string {
  const notes: string[] = []
  if (option.type === 'string' && option.values !== undefined)
    notes.push(`one of ${option.values.join(', ')}`)
  if (option.type === 'list') notes.push('may be repeated')
  const plain = option.default !== undefined && option.type !== 'boolean' && option.secret !== true
  const shown = plain ? formatValue(option, option.default) : ''
  if (shown !== '') notes.push(`default ${shown}`)
  if (option.env !== undefined) notes.push(option.env)
  return notes.length === 0 ? option.description : `${option.description} (${notes.join('; ')})`
}

function helpEntry(flag: string, text: string, columns: number): string[] {
  const lines = wrap(text, Math.max(20, columns - indent))
  const head = `  ${flag}`
  const fits = head.length < indent - 1
  const first = fits ? head.padEnd(indent) + lines[0] : head
  return [first, ...lines.slice(fits ? 1 : 0).map(line => ' '.repeat(indent) + line)]
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  lines.push(line)
  return lines
}
