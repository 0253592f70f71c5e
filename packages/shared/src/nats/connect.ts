import { readFileSync } from 'node:fs'
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import {
  type Authenticator,
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
  nkeyAuthenticator,
  PermissionViolationError,
  type Status,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node'
import { SkybraidError } from '../errors.ts'
import type { NatsConfig } from './options.ts'

/** The part of a logger that is used here; pino's argument order. */
export interface NatsLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface NatsState {
  readonly connected: boolean
  /** HOST:PORT of the server, while connected. */
  readonly server: string | undefined
  readonly lastError: string | undefined
  readonly disconnects: number
  /** Publishes and subscriptions that the server refused for want of permission. */
  readonly permissionViolations: number
  /** When the state last changed between connected and not. */
  readonly sinceUnixMs: number
}

export interface NatsLink {
  readonly connection: NatsConnection
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
  state(): NatsState
  /** Calls `listener` whenever the state changed; the answer takes it away again. */
  onState(listener: (state: NatsState) => void): () => void
  /** Sends what is buffered and closes. Idempotent. */
  close(): Promise<void>
}

export interface ConnectOptions {
  readonly config: NatsConfig
  /** How the server calls this client in its own lists. */
  readonly name: string
  readonly log: NatsLog
  /** Gives up waiting for the first connection. */
  readonly signal?: AbortSignal
  /** Between 0 and 1: spreads the attempts of many clients. */
  readonly random?: () => number
}

/** A peer that answers no ping is noticed after at most three of these. */
const pingIntervalMs = 10_000
const connectTimeoutMs = 5_000
// 500 clients that lose their server at once come back spread over ten seconds: about 50 a second.
const shortestWaitMs = 500
const waitSpreadMs = 10_000

/**
 * Connects, trying for ever with a wait in between; a reason that is new is logged. Afterwards the client reconnects by
 * itself, for ever too, with credentials read anew. Rejects with SB_BUS_JETSTREAM if the server has no JetStream, with
 * SB_CONFIG if a file can't be read at the start, and with SB_BUS_CLOSED if `signal` ends the waiting.
 */
export async function connectNats(options: ConnectOptions): Promise<NatsLink> {
  const { config, name, log, signal, random = Math.random } = options
  const waitMs = () => shortestWaitMs + random() * waitSpreadMs
  const settings = connectionOptions(config, name, waitMs)
  let lastReason: string | undefined
  for (;;) {
    if (signal?.aborted) throw new SkybraidError('SB_BUS_CLOSED', 'Told to end before the bus was reached.')
    try {
      return await linkOf(await connect(settings), log)
    } catch (error) {
      if (error instanceof SkybraidError) throw error
      const reason = reasonOf(error)
      if (reason !== lastReason)
        log.warn({ servers: config.nats, reason }, 'the bus cannot be reached; trying on')
      lastReason = reason
      await pause(Math.min(2_000, waitMs()), signal)
    }
  }
}

function connectionOptions(config: NatsConfig, name: string, waitMs: () => number): ConnectionOptions {
  const authenticator = authenticatorOf(config)
  const usesTls =
    config.nats.some(url => url.startsWith('tls://')) || config.natsCaFile || config.natsCertFile
  return {
    servers: [...config.nats],
    name,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: waitMs,
    pingInterval: pingIntervalMs,
    maxPingOut: 2,
    timeout: connectTimeoutMs,
    // a rotated file may lag behind the server: a refused login is no reason to stop
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    inboxPrefix: config.natsInboxPrefix,
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(usesTls ? { tls: tlsOptions(config) } : {}),
  }
}

function tlsOptions({ natsCaFile, natsCertFile, natsKeyFile }: NatsConfig) {
  return {
    ...(natsCaFile ? { caFile: natsCaFile } : {}),
    ...(natsCertFile ? { certFile: natsCertFile } : {}),
    ...(natsKeyFile ? { keyFile: natsKeyFile } : {}),
  }
}

function authenticatorOf(config: NatsConfig): Authenticator | undefined {
  const { natsUser, natsPasswordFile, natsTokenFile, natsNkeyFile, natsCredsFile } = config
  if (natsUser && natsPasswordFile)
    return usernamePasswordAuthenticator(natsUser, secretText(natsPasswordFile))
  if (natsTokenFile) return tokenAuthenticator(secretText(natsTokenFile))
  if (natsNkeyFile) {
    const seed = secretText(natsNkeyFile)
    return nkeyAuthenticator(() => new TextEncoder().encode(seed()))
  }
  if (natsCredsFile) {
    const creds = secretText(natsCredsFile)
    return credsAuthenticator(() => new TextEncoder().encode(creds()))
  }
  return undefined
}

/** Reads a file at every call; while it can't be read, as in the middle of a replacement, what it held before. */
function secretText(path: string): () => string {
  const read = () => readFileSync(path, 'utf8').trim()
  let last: string
  try {
    last = read()
  } catch (cause) {
    throw new SkybraidError('SB_CONFIG', `The file ${path} cannot be read: ${reasonOf(cause)}.`, cause)
  }
  return () => {
    try {
      last = read()
    } catch {
      // the login fails on the server's side if it is really gone
    }
    return last
  }
}

async function linkOf(connection: NatsConnection, log: NatsLog): Promise<NatsLink> {
  if (connection.info?.jetstream !== true) {
    await connection.close()
    const server = connection.getServer()
    throw new SkybraidError(
      'SB_BUS_JETSTREAM',
      `The NATS server ${server} has JetStream turned off, and skybraid needs it: start it with -js, or add "jetstream {}" to its configuration.`,
    )
  }
  const jsm = await jetstreamManager(connection, { checkAPI: false })
  const watch = watchState(connection, log)
  return {
    connection,
    js: jetstream(connection),
    jsm,
    state: watch.state,
    onState: watch.onState,
    async close() {
      if (connection.isClosed()) return
      await Promise.race([connection.drain(), pause(connectTimeoutMs)])
      await connection.close()
    },
  }
}

function watchState(connection: NatsConnection, log: NatsLog) {
  const listeners = new Set<(state: NatsState) => void>()
  let state: NatsState = {
    connected: true,
    server: connection.getServer(),
    lastError: undefined,
    disconnects: 0,
    permissionViolations: 0,
    sinceUnixMs: Date.now(),
  }
  const change = (by: Partial<NatsState>) => {
    state = { ...state, ...by }
    for (const listener of listeners) listener(state)
  }
  const note = (status: Status) => {
    if (status.type === 'disconnect') {
      change({
        connected: false,
        server: undefined,
        disconnects: state.disconnects + 1,
        sinceUnixMs: Date.now(),
      })
      log.warn({ server: status.server }, 'the connection to the bus is gone; connecting again')
    } else if (status.type === 'reconnect') {
      change({ connected: true, server: connection.getServer(), sinceUnixMs: Date.now() })
      log.info({ server: status.server }, 'connected to the bus again')
    } else if (status.type === 'error') {
      const refused = status.error instanceof PermissionViolationError ? 1 : 0
      const lastError = reasonOf(status.error)
      if (lastError !== state.lastError) log.warn({ reason: lastError }, 'the bus reports an error')
      change({ lastError, permissionViolations: state.permissionViolations + refused })
    }
  }
  const follow = async () => {
    for await (const status of connection.status()) note(status)
    change({ connected: false, server: undefined, sinceUnixMs: Date.now() })
  }
  follow().catch((error: unknown) =>
    log.warn({ reason: reasonOf(error) }, 'the state of the bus is not known any more'),
  )
  return {
    state: () => state,
    onState(listener: (state: NatsState) => void) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    timer.unref()
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
