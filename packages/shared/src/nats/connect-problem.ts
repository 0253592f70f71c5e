import { AuthorizationError, errors, UserAuthenticationExpiredError } from '@nats-io/transport-node'

const noCertificate = 'it does not take our client certificate; --nats-cert-file and --nats-key-file name one'

const known: readonly [pattern: RegExp, sentence: string][] = [
  [/connection refused|ECONNREFUSED/i, 'nobody listens there (connection refused)'],
  [/ENOTFOUND|EAI_AGAIN/, 'its name is not known here'],
  [/EHOSTUNREACH|ENETUNREACH/, 'there is no way to it'],
  [/does not support 'tls'/, 'it offers no TLS, which the options ask for'],
  [
    /self-signed certificate|unable to (verify|get)|UNABLE_TO|SELF_SIGNED|CERT_UNTRUSTED/i,
    'its certificate is not signed by one that is trusted here; --nats-ca-file names those that are',
  ],
  [/certificate has expired|CERT_HAS_EXPIRED/i, 'its certificate has expired'],
  [/certificate required|bad certificate|handshake failure|unknown ca/i, noCertificate],
]

/** Why a server could not be used, as the end of a sentence that begins with the server. Holds no secret. */
export function connectProblem(error: unknown, usesTls: boolean): string {
  if (error instanceof UserAuthenticationExpiredError)
    return 'it refuses the login: the credentials have expired'
  if (error instanceof AuthorizationError)
    return `it refuses the login (${error.message}); user, password, token, nkey or credentials are not those that it knows, or whoever it asks about them does not answer`
  // one that misses a client certificate says so after the client believes itself connected, and the client drops it
  if (error instanceof errors.TimeoutError)
    return usesTls ? `it does not answer, or ${noCertificate}` : 'it does not answer'
  const text = messageOf(error)
  return known.find(([pattern]) => pattern.test(text))?.[1] ?? text
}

/** The messages of an error and of what caused it, with their codes. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
  const own = error.message.includes(code.slice(2, -1)) ? error.message : error.message + code
  return error.cause instanceof Error && !own.includes(error.cause.message)
    ? `${own}: ${messageOf(error.cause)}`
    : own
}
