import { type ConfigOf, defineOptions } from '../config/option.ts'

const file = (what: string) =>
  `File with ${what}; read anew at every connect, so it can be replaced at any time`

/** How to reach the bus, to be joined with the options of the program. */
export const natsConfigSchema = defineOptions({
  nats: {
    type: 'list',
    description:
      'Server of the bus, nats://HOST:PORT or tls://HOST:PORT; repeat it for each server of a cluster',
    env: 'SKYBRAID_NATS',
    default: [],
    placeholder: 'URL',
    check: (urls: readonly string[]) => urls.map(urlProblem).find(problem => problem !== undefined),
  },
  'nats-user': {
    type: 'string',
    description: 'User name, together with --nats-password-file',
    env: 'SKYBRAID_NATS_USER',
    placeholder: 'NAME',
  },
  'nats-password-file': {
    type: 'string',
    description: file('the password of --nats-user'),
    env: 'SKYBRAID_NATS_PASSWORD_FILE',
    placeholder: 'FILE',
  },
  'nats-token-file': {
    type: 'string',
    description: file('a token'),
    env: 'SKYBRAID_NATS_TOKEN_FILE',
    placeholder: 'FILE',
  },
  'nats-nkey-file': {
    type: 'string',
    description: file('the seed of an nkey'),
    env: 'SKYBRAID_NATS_NKEY_FILE',
    placeholder: 'FILE',
  },
  'nats-creds-file': {
    type: 'string',
    description: file('the credentials of a JWT user'),
    env: 'SKYBRAID_NATS_CREDS_FILE',
    placeholder: 'FILE',
  },
  'nats-ca-file': {
    type: 'string',
    description: file('the certificates that the server must be signed by'),
    env: 'SKYBRAID_NATS_CA_FILE',
    placeholder: 'FILE',
  },
  'nats-cert-file': {
    type: 'string',
    description: file('a client certificate, together with --nats-key-file'),
    env: 'SKYBRAID_NATS_CERT_FILE',
    placeholder: 'FILE',
  },
  'nats-key-file': {
    type: 'string',
    description: file('the key of --nats-cert-file'),
    env: 'SKYBRAID_NATS_KEY_FILE',
    placeholder: 'FILE',
  },
  'nats-inbox-prefix': {
    type: 'string',
    description:
      'First tokens of the subjects on which the server answers us, where permissions name them; a collector puts its node in place of {node}',
    env: 'SKYBRAID_NATS_INBOX_PREFIX',
    default: '_INBOX',
    placeholder: 'SUBJECT',
    check: text =>
      /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(text.replace('{node}', 'n'))
        ? undefined
        : "may hold tokens of letters, digits, '_' and '-', separated by dots",
  },
})

export type NatsConfig = ConfigOf<typeof natsConfigSchema>

/** What contradicts itself among the options, as one sentence; undefined if nothing. */
export function natsConfigProblem(config: NatsConfig): string | undefined {
  const ways = [
    config.natsUser && '--nats-user',
    config.natsTokenFile && '--nats-token-file',
    config.natsNkeyFile && '--nats-nkey-file',
    config.natsCredsFile && '--nats-creds-file',
  ].filter(way => way !== undefined && way !== '')
  if (ways.length > 1) return `${ways.join(' and ')} exclude each other: choose one way to log in.`
  if (!config.natsUser !== !config.natsPasswordFile)
    return '--nats-user and --nats-password-file go together.'
  if (!config.natsCertFile !== !config.natsKeyFile) return '--nats-cert-file and --nats-key-file go together.'
  return undefined
}

function urlProblem(text: string): string | undefined {
  const what = `${withoutSecrets(text)} is not a server of the bus; write nats://HOST:PORT or tls://HOST:PORT`
  const url = URL.parse(text.includes('://') ? text : `nats://${text}`)
  if (url === null || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '') return what
  if (url.username !== '' || url.password !== '') {
    return `${withoutSecrets(text)} holds a password, which would show in the list of processes; use --nats-password-file`
  }
  return undefined
}

function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//…@')
}
