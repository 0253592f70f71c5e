import type { ConfigSchema, Option } from './option.ts'
import { formatValue } from './value.ts'

/** A JSON schema (draft 7) of a configuration file with these options; unknown keys are refused. */
export function jsonSchemaOf(schema: ConfigSchema): object {
  const shown = Object.entries(schema).filter(([, option]) => option.hidden !== true)
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(
      shown.map(([name, option]) => [name, { ...about(option), ...shapeOf(option) }]),
    ),
  }
}

function about(option: Option): object {
  if (option.default === undefined) return { description: option.description }
  return { description: `${option.description}. Default: ${formatValue(option, option.default)}` }
}

/** What a file may hold. Ranges of times and sizes, and an option's own check, are left to the program. */
function shapeOf(option: Option): object {
  switch (option.type) {
    case 'string':
      return option.values === undefined ? { type: 'string' } : { enum: option.values }
    case 'number':
      return {
        type: 'number',
        ...(option.min === undefined ? {} : { minimum: option.min }),
        ...(option.max === undefined ? {} : { maximum: option.max }),
      }
    case 'boolean':
      return { type: 'boolean' }
    case 'duration':
      return { type: 'string', pattern: '^\\d+(\\.\\d+)? ?(ms|s|m|h|d)$' }
    case 'bytes':
      return { type: ['string', 'integer'], pattern: '^\\d+(\\.\\d+)? ?(B|kB|KB|MB|GB|KiB|MiB|GiB)?$' }
    case 'list':
      return { type: 'array', items: { type: 'string' } }
    case 'address':
      return { type: 'string', pattern: '^(\\[[0-9a-fA-F:.]+\\]|[^:\\[\\]\\s/]+):\\d{1,5}$' }
  }
}
