import { type ConfigOf, defineOptions } from '@skybraid/shared'
import { oapConfigSchema } from './export/oap/options.ts'
import { otlpConfigSchema } from './export/otlp-push/options.ts'
import { namesConfigSchema } from './kube/names-config.ts'

const wholeNumber = (count: number) => (Number.isInteger(count) ? undefined : 'must be a whole number')

/** What every aggregator has, whatever it reads and feeds. */
export const servingConfigSchema = defineOptions({
  ...namesConfigSchema,
  listen: {
    type: 'address',
    description: 'Where the API and the page listen; port 0 lets the system choose',
    env: 'SKYBRAID_LISTEN',
    default: { host: '127.0.0.1', port: 7100 },
  },
  'api-token-file': {
    type: 'string',
    description:
      'File with the token that the API and the page want, all but the probes; read anew when it changes',
    env: 'SKYBRAID_API_TOKEN_FILE',
    placeholder: 'FILE',
  },
  'api-auth': {
    type: 'string',
    description:
      'Who may ask beside the bearer of --api-token-file: nobody with token; with kubernetes, whoever may list pods, each seeing the namespaces where that one may',
    env: 'SKYBRAID_API_AUTH',
    values: ['token', 'kubernetes'],
    default: 'token',
  },
  'api-audience': {
    type: 'string',
    description:
      'Whom tokens of Kubernetes must be for with --api-auth kubernetes; without it, the API server of Kubernetes',
    env: 'SKYBRAID_API_AUDIENCE',
    placeholder: 'NAME',
  },
  insecure: {
    type: 'boolean',
    description: 'Let the API listen on an address that other machines reach without asking for a token',
    env: 'SKYBRAID_INSECURE',
    default: false,
  },
  'data-dir': {
    type: 'string',
    description: 'Folder that keeps closed windows over restarts; without it they are kept in memory',
    env: 'SKYBRAID_DATA_DIR',
    placeholder: 'DIR',
  },
  retention: {
    type: 'duration',
    description: 'How long closed windows are kept, and the longest range a request may ask for',
    env: 'SKYBRAID_RETENTION',
    default: 24 * 60 * 60_000,
    min: 10 * 60_000,
    max: 24 * 60 * 60_000,
  },
  'join-capacity': {
    type: 'number',
    description: 'Connections that are followed at a time; further ones are counted as join_table_full',
    env: 'SKYBRAID_JOIN_CAPACITY',
    default: 262_144,
    min: 1024,
    max: 1 << 24,
    check: wholeNumber,
  },
  'max-edges': {
    type: 'number',
    description: 'Different edges that are known at a time; further ones are counted as cardinality_cap',
    env: 'SKYBRAID_MAX_EDGES',
    default: 100_000,
    min: 100,
    max: 1 << 20,
    check: wholeNumber,
  },
  'edge-metrics': {
    type: 'number',
    description: 'Most edges with series of their own in /metrics, the largest first; 0 for none',
    env: 'SKYBRAID_EDGE_METRICS',
    default: 0,
    min: 0,
    max: 10_000,
    check: wholeNumber,
  },
  'max-streams': {
    type: 'number',
    description: 'Clients of /topology/stream at a time',
    env: 'SKYBRAID_MAX_STREAMS',
    default: 64,
    min: 1,
    max: 10_000,
    check: wholeNumber,
  },
  'request-rate': {
    type: 'number',
    description: 'Requests per second that one client may make, averaged over ten seconds; 0 for no limit',
    env: 'SKYBRAID_REQUEST_RATE',
    default: 100,
    min: 0,
    max: 1_000_000,
    check: wholeNumber,
  },
})

export type ServingConfig = ConfigOf<typeof servingConfigSchema>

/** Where an aggregator sends what it sees. */
export const exportConfigSchema = defineOptions({ ...oapConfigSchema, ...otlpConfigSchema })

/** Options of an aggregator, to be joined with those of the program it runs in. */
export const aggregatorConfigSchema = defineOptions({ ...servingConfigSchema, ...exportConfigSchema })

export type AggregatorConfig = ConfigOf<typeof aggregatorConfigSchema>
