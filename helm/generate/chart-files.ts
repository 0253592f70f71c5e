import { aggregatorOptions } from '../../packages/cli/src/aggregator/options.ts'
import { collectorOptions } from '../../packages/cli/src/collector/options.ts'
import type { ConfigSchema } from '../../packages/shared/src/index.ts'
import { readValues, type ValueEntry } from './read-values.ts'
import { valuesSchema } from './values-schema.ts'

/** Options that the chart sets by other values; a second way to set them would only contradict the first. */
const managed = [
  'nats',
  'nats-user',
  'nats-password-file',
  'nats-token-file',
  'nats-ca-file',
  'nats-inbox-prefix',
  'cluster',
  'partitions',
  'partitions-epoch',
  'listen',
  'api-token-file',
  'insecure',
  'replicas',
  'replica-ordinal',
  'node',
  'cgroup',
  'udp',
  'status-listen',
  'spool-dir',
]

const start = '<!-- values: made by npm run chart -->'
const end = '<!-- end of values -->'

/** The generated files of the chart, by name; `read` gives the text of one of its files. */
export function chartFiles(read: (file: string) => string): [string, string][] {
  const entries = readValues(read('values.yaml'))
  const options = { collector: own(collectorOptions), aggregator: own(aggregatorOptions) }
  const readme = read('README.md')
  const [before = '', after = ''] = [readme.split(start)[0], readme.split(end)[1]]
  return [
    ['values.schema.json', `${JSON.stringify(valuesSchema(entries, options), null, 2)}\n`],
    ['README.md', `${before}${start}\n${tableOf(entries)}\n${end}${after}`],
  ]
}

function own(schema: ConfigSchema): ConfigSchema {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => !managed.includes(name)))
}

function tableOf(entries: readonly ValueEntry[]): string {
  const rows = entries.flatMap(entry => {
    if (entry.description === undefined) return []
    const value = JSON.stringify(entry.value)
    return [`| \`${entry.path.join('.')}\` | \`${value}\` | ${entry.description} |`]
  })
  return ['| value | default | |', '|---|---|---|', ...rows].join('\n')
}
