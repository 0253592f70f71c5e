import { type ConfigOf, defineOptions } from '@skybraid/shared'
import { natsConfigSchema } from '@skybraid/shared/nats'
import { endProblem, protoProblem, verdictNames, verdictProblem } from '../flow-lines/flow-filter.ts'
import { formatNames } from '../flow-lines/line-format.ts'
import { outputOptions } from './output-options.ts'
import { parseSince } from './since.ts'

const list = { type: 'list', default: [] } as const

const from = {
  ...list,
  description:
    'Only connections from this end, the client: NAME, NAME:PORT, :PORT, ADDRESS, ADDRESS/BITS or [IPV6]:PORT',
  placeholder: 'END',
  check: firstProblem(endProblem),
}
const to = { ...from, description: 'Only connections to this end, the server' }
const proto = {
  ...list,
  description: 'Only this protocol, tcp or udp',
  placeholder: 'PROTO',
  check: firstProblem(protoProblem),
}
const verdict = {
  ...list,
  description: `Only in this state, or ended like this: ${verdictNames.join(', ')}`,
  placeholder: 'WORD',
  check: firstProblem(verdictProblem),
}
const reversed = { hidden: true }

export const tapOptions = defineOptions({
  nats: { ...natsConfigSchema.nats, default: ['nats://127.0.0.1:4222'] },
  cluster: {
    type: 'string',
    description: 'Cluster whose records to read',
    env: 'SKYBRAID_CLUSTER',
    default: 'local',
    placeholder: 'NAME',
    check: text =>
      /^[A-Za-z0-9_-]{1,63}$/.test(text) ? undefined : "may hold letters, digits, '_' and '-', at most 63",
  },
  node: {
    ...list,
    description: 'Only what the collector of this node reports',
    placeholder: 'NAME',
    check: firstProblem(text => (/^[^\s*>]{1,63}$/.test(text) ? undefined : 'must be the name of a node')),
  },
  from,
  to,
  proto,
  verdict,
  // what `--not --from` and so on become
  'not-from': { ...from, ...reversed },
  'not-to': { ...to, ...reversed },
  'not-proto': { ...proto, ...reversed },
  'not-verdict': { ...verdict, ...reversed },
  since: {
    type: 'string',
    description:
      'Begin with what reached the bus since then: a time ago, such as 30s or 5m, or a moment as in RFC 3339',
    placeholder: 'TIME',
    check: text =>
      parseSince(text, 0) === undefined
        ? 'must be a time ago such as 30s, or a moment as in RFC 3339'
        : undefined,
  },
  last: {
    type: 'number',
    description: 'Begin with the last N records that fit',
    min: 1,
    max: 1_000_000,
    check: amount => (Number.isInteger(amount) ? undefined : 'must be a whole number'),
  },
  follow: {
    type: 'boolean',
    short: 'f',
    description: 'After --since or --last go on with what comes; without them that is what happens anyway',
    default: false,
  },
  input: {
    type: 'string',
    description: "Read batches from a file as -o raw writes it instead of the bus; '-' is standard input",
    placeholder: 'FILE',
  },
  ...outputOptions,
  output: {
    ...outputOptions.output,
    description: 'How to print records; raw writes whole batches as they came, for --input',
    values: [...formatNames, 'raw'],
  },
  'max-pending': {
    type: 'bytes',
    description: 'Most bytes of batches that wait to be printed; over it the oldest go, and are counted',
    default: 32 * 2 ** 20,
    min: 1,
    max: 2 ** 30,
  },
  ...withoutNats(natsConfigSchema),
})

export type TapConfig = ConfigOf<typeof tapOptions>

function firstProblem(problemOf: (text: string) => string | undefined) {
  return (texts: readonly string[]) => texts.map(problemOf).find(problem => problem !== undefined)
}

function withoutNats({
  nats: _nats,
  ...rest
}: typeof natsConfigSchema): Omit<typeof natsConfigSchema, 'nats'> {
  return rest
}
