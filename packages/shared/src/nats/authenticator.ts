import { readFileSync } from 'node:fs'
import {
  type Auth,
  type Authenticator,
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node'
import { SkybraidError } from '../errors.ts'
import type { NatsConfig } from './options.ts'

/** Turns what a file holds into what is sent to the server. Throws if the file holds something else. */
type FromText = (text: string) => Authenticator

/**
 * The way to log in that the options name, with its file read anew at every connect. While a file can't be used, as in
 * the middle of a replacement, the last login that could be made is used. Throws SB_CONFIG if it can't be used now.
 */
export function authenticatorOf(config: NatsConfig): Authenticator {
  const { natsUser, natsPasswordFile, natsTokenFile, natsNkeyFile, natsCredsFile } = config
  const bytes = (text: string) => new TextEncoder().encode(text)
  if (natsUser && natsPasswordFile)
    return fromFile(natsPasswordFile, 'a password', text => usernamePasswordAuthenticator(natsUser, text))
  if (natsTokenFile) return fromFile(natsTokenFile, 'a token', text => tokenAuthenticator(text))
  if (natsNkeyFile)
    return fromFile(natsNkeyFile, 'the seed of an nkey', text => nkeyAuthenticator(bytes(text)))
  // its last line is found only if it is ended
  if (natsCredsFile)
    return fromFile(natsCredsFile, 'credentials of a JWT user', text =>
      credsAuthenticator(bytes(`${text}\n`)),
    )
  return () => undefined
}

function fromFile(path: string, what: string, fromText: FromText): Authenticator {
  const read = (): Authenticator => {
    const text = readFileSync(path, 'utf8').trim()
    if (text === '') throw new Error('it is empty')
    const authenticator = fromText(text)
    authenticator('probe') // a seed or credentials that are none show only when used
    return authenticator
  }
  let last: Authenticator
  try {
    last = read()
  } catch (cause) {
    throw new SkybraidError('SB_CONFIG', `${path} does not hold ${what}: ${why(cause)}.`)
  }
  return (nonce?: string): Auth => {
    try {
      last = read()
    } catch {
      // an error here would close the connection for good; if the old login is not valid any more, the server says so
    }
    return last(nonce)
  }
}

/** Only errors of the file system are told as they are: those of parsers could hold what they parsed. */
function why(cause: unknown): string {
  if (!(cause instanceof Error)) return 'it cannot be read'
  if ('syscall' in cause || cause.message === 'it is empty') return cause.message
  return 'it has another form'
}
