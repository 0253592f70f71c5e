import { type ConfigOf, defineOptions } from '@skybraid/shared'

const address = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s/]+):\d{1,5}$/

/** How to reach OAP, to be joined with the options of an aggregator. */
export const oapConfigSchema = defineOptions({
  oap: {
    type: 'list',
    description: 'Apache SkyWalking OAP to feed; repeat it for several, which are tried in turn',
    env: 'SKYBRAID_OAP',
    default: [],
    placeholder: 'HOST:PORT',
    check: (list: readonly string[]) => {
      const wrong = list.find(text => !address.test(text) || Number(/\d+$/.exec(text)![0]) > 65_535)
      return wrong === undefined ? undefined : `must be HOST:PORT, not ${JSON.stringify(wrong)}`
    },
  },
  'oap-dry-run': {
    type: 'boolean',
    description: 'Write what OAP would get to stdout, as JSON lines, and send nothing',
    env: 'SKYBRAID_OAP_DRY_RUN',
    default: false,
  },
  'oap-cluster': {
    type: 'string',
    description:
      'Name of this cluster; services are then called NAME::SERVICE, and OAP shows it as their group',
    env: 'SKYBRAID_OAP_CLUSTER',
    default: '',
    placeholder: 'NAME',
    check: name =>
      /^[A-Za-z0-9._-]{0,30}$/.test(name) ? undefined : "may hold up to 30 letters, digits, '.', '_' and '-'",
  },
  'oap-tls': {
    type: 'boolean',
    description:
      'Encrypt; OAP’s certificate must be signed by --oap-ca-file, or by an authority of this machine',
    env: 'SKYBRAID_OAP_TLS',
    default: false,
  },
  'oap-ca-file': {
    type: 'string',
    description: 'File with the certificates that OAP’s must be signed by; turns --oap-tls on',
    env: 'SKYBRAID_OAP_CA_FILE',
    placeholder: 'FILE',
  },
  'oap-cert-file': {
    type: 'string',
    description: 'File with a client certificate, together with --oap-key-file; turns --oap-tls on',
    env: 'SKYBRAID_OAP_CERT_FILE',
    placeholder: 'FILE',
  },
  'oap-key-file': {
    type: 'string',
    description: 'File with the key of --oap-cert-file',
    env: 'SKYBRAID_OAP_KEY_FILE',
    placeholder: 'FILE',
  },
  'oap-token-file': {
    type: 'string',
    description: 'File with the token that OAP asks of its agents; read anew for every stream',
    env: 'SKYBRAID_OAP_TOKEN_FILE',
    placeholder: 'FILE',
  },
  'oap-metrics': {
    type: 'boolean',
    description:
      'Also send what the access log has no place for, as OpenTelemetry metrics; OAP needs the rules of helm/skybraid/files/oap',
    env: 'SKYBRAID_OAP_METRICS',
    default: false,
  },
  'oap-http-logs-per-second': {
    type: 'number',
    description:
      'Most logs of HTTP requests per second that OAP gets, two of a request that both ends saw; more are sampled evenly',
    env: 'SKYBRAID_OAP_HTTP_LOGS_PER_SECOND',
    default: 2_000,
    min: 0,
    max: 1_000_000,
    check: count => (Number.isInteger(count) ? undefined : 'must be a whole number'),
  },
})

export type OapConfig = ConfigOf<typeof oapConfigSchema>

/** What contradicts itself among the options, as one sentence; undefined if nothing. */
export function oapConfigProblem(config: OapConfig): string | undefined {
  if (!config.oapCertFile !== !config.oapKeyFile) return '--oap-cert-file and --oap-key-file go together.'
  if (config.oapDryRun && config.oap.length > 0)
    return '--oap-dry-run sends nothing; leave out --oap, or --oap-dry-run.'
  return undefined
}

export function usesTls(config: OapConfig): boolean {
  return config.oapTls || Boolean(config.oapCaFile || config.oapCertFile)
}
