import { type ConfigSchema, jsonSchemaOf } from '../../packages/shared/src/index.ts'
import type { ValueEntry } from './read-values.ts'

interface JsonSchema {
  [key: string]: unknown
  properties?: Record<string, JsonSchema>
}

/** Values that Kubernetes or the cluster's people define: any content of that kind. */
const open = new Set([
  'affinity',
  'annotations',
  'labels',
  'nodeSelector',
  'podAnnotations',
  'podLabels',
  'resources',
  'seccompProfile',
  'updateStrategy',
])

/** What a value may be where its default does not tell. */
const told: Readonly<Record<string, JsonSchema>> = {
  'global.cluster': { type: 'string', pattern: '^[A-Za-z0-9_-]{1,63}$' },
  'global.partitions': { type: 'integer', minimum: 1, maximum: 64 },
  'global.repartition.epoch': { type: 'integer', minimum: 1, maximum: 1_000_000 },
  'global.repartition.partitions': { type: 'integer', minimum: 1, maximum: 64 },
  'global.image.pullPolicy': { enum: ['Always', 'IfNotPresent', 'Never'] },
  'global.bus.servers': { type: 'array', items: { type: 'string', pattern: '^(nats|tls)://[^/@]+$' } },
  'aggregator.replicas': { type: 'integer', minimum: 1, maximum: 256 },
  'aggregator.exportPorts': { type: 'array', items: { type: 'integer', minimum: 1, maximum: 65_535 } },
  'aggregator.service.type': { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
  'nats.replicas': { enum: [1, 3] },
  'demo.requestsPerSecond': { type: 'number', exclusiveMinimum: 0, maximum: 1000 },
}

/** The JSON schema of the chart's values: every key is known, and `config` holds the options of that program. */
export function valuesSchema(
  entries: readonly ValueEntry[],
  options: Readonly<Record<string, ConfigSchema>>,
): JsonSchema {
  const root: JsonSchema = { $schema: 'http://json-schema.org/draft-07/schema#', ...closedObject() }
  for (const entry of entries) {
    const name = entry.path.at(-1)!
    const parent = entry.path
      .slice(0, -1)
      .reduce<JsonSchema | undefined>((at, key) => at?.properties?.[key], root)
    if (parent?.properties === undefined) continue
    const program = name === 'config' ? options[entry.path[0]!] : undefined
    const shape: JsonSchema =
      program === undefined ? shapeOf(entry, name) : (jsonSchemaOf(program) as JsonSchema)
    const about = entry.description === undefined ? {} : { description: entry.description }
    parent.properties[name] = { ...about, ...shape }
  }
  // helm hands every subchart the global values under its own
  for (const chart of ['collector', 'aggregator', 'nats', 'demo']) {
    const properties = root.properties?.[chart]?.properties
    if (properties !== undefined) properties.global = { type: 'object' }
  }
  return root
}

function shapeOf({ path, value }: ValueEntry, name: string): JsonSchema {
  const given = told[path.join('.')]
  if (given !== undefined) return { ...given }
  if (Array.isArray(value)) return { type: 'array' }
  if (typeof value === 'object') return open.has(name) ? { type: 'object' } : closedObject()
  if (typeof value === 'number') return { type: 'integer' }
  return { type: typeof value }
}

function closedObject(): JsonSchema {
  return { type: 'object', additionalProperties: false, properties: {} }
}
