import { type ConfigOf, defineOptions } from '@skybraid/shared'

/** How to reach a receiver of OpenTelemetry, to be joined with the options of an aggregator. */
export const otlpConfigSchema = defineOptions({
  otlp: {
    type: 'string',
    description:
      'Receiver of OpenTelemetry metrics to feed, by OTLP over HTTP or gRPC, as in http://HOST:4318 or grpc://HOST:4317, with TLS https:// or grpcs://; without a path, HTTP asks /v1/metrics',
    env: 'SKYBRAID_OTLP',
    default: '',
    placeholder: 'URL',
    check: text => (text === '' ? undefined : urlProblem(text)),
  },
  'otlp-headers-file': {
    type: 'string',
    description: 'File with headers to send along, as NAME: VALUE, a line each; read anew for every request',
    env: 'SKYBRAID_OTLP_HEADERS_FILE',
    placeholder: 'FILE',
  },
  'otlp-ca-file': {
    type: 'string',
    description:
      'File with the certificates that the receiver’s must be signed by; without it, by an authority of this machine',
    env: 'SKYBRAID_OTLP_CA_FILE',
    placeholder: 'FILE',
  },
  'otlp-cert-file': {
    type: 'string',
    description: 'File with a client certificate, together with --otlp-key-file',
    env: 'SKYBRAID_OTLP_CERT_FILE',
    placeholder: 'FILE',
  },
  'otlp-key-file': {
    type: 'string',
    description: 'File with the key of --otlp-cert-file',
    env: 'SKYBRAID_OTLP_KEY_FILE',
    placeholder: 'FILE',
  },
  'otlp-series': {
    type: 'number',
    description: 'Most sets of attributes that are told apart; what is beyond is told as {other}',
    env: 'SKYBRAID_OTLP_SERIES',
    default: 10_000,
    min: 1_000,
    max: 1_000_000,
    check: count => (Number.isInteger(count) ? undefined : 'must be a whole number'),
  },
})

export type OtlpConfig = ConfigOf<typeof otlpConfigSchema>

/** The address is logged and shown, so that nothing secret may be in it. */
function urlProblem(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || url.hostname === '' || !/^(https?|grpcs?):$/.test(url.protocol))
    return 'must be a URL that begins with http://, https://, grpc:// or grpcs://'
  if (url.protocol.startsWith('grpc') && !/^\/?$/.test(url.pathname))
    return 'must have no path where it begins with grpc'
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return 'must hold no login and no query; credentials belong into --otlp-headers-file'
  return undefined
}

/** What contradicts itself among the options, as one sentence; undefined if nothing. */
export function otlpConfigProblem({
  otlp,
  otlpCaFile,
  otlpCertFile,
  otlpKeyFile,
}: OtlpConfig): string | undefined {
  if (!otlpCertFile !== !otlpKeyFile) return '--otlp-cert-file and --otlp-key-file go together.'
  if (/^(http|grpc):/.test(otlp) && (otlpCaFile || otlpCertFile))
    return '--otlp-ca-file and --otlp-cert-file need an --otlp that begins with https:// or grpcs://.'
  return undefined
}

/** Where requests go. */
export function metricsUrl(otlp: string): URL {
  const url = new URL(otlp)
  if (/^https?:$/.test(url.protocol) && url.pathname === '/') url.pathname = '/v1/metrics'
  return url
}
