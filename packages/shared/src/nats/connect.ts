import { accessSync, constants } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { checkServerIdentity as checkName, type PeerCertificate } from 'node:tls'
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import {
  type Authenticator,
  type ConnectionOptions,
  connect,
  type NatsConnection,
  type Server,
  type TlsOptions,
} from '@nats-io/transport-node'
import { SkybraidError } from '../errors.ts'
import { authenticatorOf } from './authenticator.ts'
import { connectProblem } from './connect-problem.ts'
import { followState, type LinkState, type NatsLog } from './link-state.ts'
import type { NatsConfig } from './options.ts'
import { firstConnectDelays, hurriedWaitMs, reconnectDelays } from './reconnect-delay.ts'

export interface NatsLink extends LinkState {
  readonly connection: NatsConnection
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
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
  /** From then on every attempt to connect comes soon after the last one: for who is about to end. */
  readonly hurry?: AbortSignal
  /** Rejects with SB_BUS_UNREACHABLE if no server can be used at the first attempt, instead of trying for ever. */
  readonly once?: boolean
  /** Clients that lose their server at once come back spread over this time. */
  readonly spreadMs?: number
  /** Between 0 and 1. */
  readonly random?: () => number
}

/** A peer that answers no ping is noticed within three of these, and 30 s have to hold on a busy machine too. */
const pingIntervalMs = 8_000
const connectTimeoutMs = 5_000
/** 500 clients come back at about 28 connects in a second; 52 and 55 in the busiest one were seen with 16 s. */
const defaultSpreadMs = 18_000

/**
 * Connects, trying for ever with a wait in between; a reason that is new is logged. Afterwards the client reconnects by
 * itself, for ever too, with credentials read anew. Rejects with SB_BUS_JETSTREAM if the server has no JetStream, with
 * SB_CONFIG if a file can't be used at the start, and with SB_BUS_CLOSED if `signal` ends the waiting.
 */
export async function connectNats(options: ConnectOptions): Promise<NatsLink> {
  const { config, log, signal, hurry, once, spreadMs = defaultSpreadMs, random = Math.random } = options
  const session = newSession(reconnectDelays(spreadMs, random))
  const settings = connectionOptions(options, session)
  const waits = firstConnectDelays(spreadMs, random)
  const servers = config.nats.join(', ')
  let lastReason: string | undefined
  for (;;) {
    if (signal?.aborted) throw new SkybraidError('SB_BUS_CLOSED', 'Told to end before the bus was reached.')
    try {
      const connection = await connect(settings)
      const dialSoon = () => hurryUp(connection, session)
      if (hurry?.aborted) dialSoon()
      else hurry?.addEventListener('abort', dialSoon, { once: true })
      return await linkOf(connection, log, session)
    } catch (error) {
      if (error instanceof SkybraidError) throw error
      const reason = connectProblem(error, settings.tls !== undefined)
      if (once) throw new SkybraidError('SB_BUS_UNREACHABLE', `The bus ${servers} cannot be used: ${reason}.`)
      if (reason !== lastReason) log.warn({ servers, reason }, 'the bus cannot be used yet; trying on')
      lastReason = reason
      await pause(hurry?.aborted ? hurriedWaitMs : waits.next(), undefined, {
        signal: AbortSignal.any([signal, hurry?.aborted ? undefined : hurry].filter(s => s !== undefined)),
      }).catch(() => {}) // told to end, see above, or to hurry
    }
  }
}

/** Ends the wait before the next attempt; the client has no other way to be told. */
function hurryUp(connection: NatsConnection, { delays }: Session): void {
  delays.hurry()
  const inner = connection as { protocol?: { dialDelay?: { cancel?: () => void } | null } }
  inner.protocol?.dialDelay?.cancel?.()
}

/** What one connection and its handlers know of each other. */
interface Session {
  connectedOnce: boolean
  closed: boolean
  dialled: Server | undefined
  readonly delays: ReturnType<typeof reconnectDelays>
}

function newSession(delays: Session['delays']): Session {
  return { connectedOnce: false, closed: false, dialled: undefined, delays }
}

function connectionOptions({ config, name }: ConnectOptions, session: Session): ConnectionOptions {
  const { natsCaFile, natsCertFile } = config
  const usesTls = config.nats.some(url => url.startsWith('tls://')) || natsCaFile || natsCertFile
  return {
    servers: [...config.nats],
    name,
    maxReconnectAttempts: -1,
    pingInterval: pingIntervalMs,
    maxPingOut: 2,
    timeout: connectTimeoutMs,
    // a rotated file may lag behind the server: a refused login is no reason to stop
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    inboxPrefix: config.natsInboxPrefix,
    authenticator: unlessClosed(authenticatorOf(config), session),
    // The client's own wait counts from the last attempt at the same server, so everybody would at once dial one that
    // was connected for long or never tried before. Hence it always lets the attempt begin, and the wait is here.
    reconnectDelayHandler: () => Number.NEGATIVE_INFINITY,
    reconnectToServer: pool => {
      session.dialled = pool[0]
      return { server: pool[0], delay: session.connectedOnce ? session.delays.next(pool.length) : 0 }
    },
    ...(usesTls ? { tls: tlsOptions(config, session) } : {}),
  }
}

/**
 * A client that is closed while it waits dials once more, and nobody would close that connection; without a login it
 * ends after `timeout`.
 */
function unlessClosed(authenticator: Authenticator, session: Session): Authenticator {
  return nonce => {
    if (session.closed) throw new Error('closed')
    return authenticator(nonce)
  }
}

/**
 * The files are read by the client at every connect; here they are only looked for. The client names no host where the
 * server is an address, and Node would then look for 'localhost' in the certificate; hence the check by the server.
 */
function tlsOptions({ natsCaFile, natsCertFile, natsKeyFile }: NatsConfig, session: Session): TlsOptions {
  for (const path of [natsCaFile, natsCertFile, natsKeyFile]) if (path) assertReadable(path)
  const checkServerIdentity = (host: string, cert: PeerCertificate) =>
    checkName(session.dialled?.tlsName || session.dialled?.hostname || host, cert)
  // the client hands what it does not know on to Node
  return {
    ...(natsCaFile ? { caFile: natsCaFile } : {}),
    ...(natsCertFile ? { certFile: natsCertFile } : {}),
    ...(natsKeyFile ? { keyFile: natsKeyFile } : {}),
    ...{ checkServerIdentity },
  }
}

function assertReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK)
  } catch (cause) {
    throw new SkybraidError('SB_CONFIG', `The file ${path} cannot be read: ${(cause as Error).message}.`)
  }
}

async function linkOf(connection: NatsConnection, log: NatsLog, session: Session): Promise<NatsLink> {
  if (connection.info?.jetstream !== true) {
    await connection.close()
    throw new SkybraidError(
      'SB_BUS_JETSTREAM',
      `The NATS server ${connection.getServer()} has JetStream turned off, and skybraid needs it: start it with -js, or add "jetstream {}" to its configuration.`,
    )
  }
  session.connectedOnce = true
  const jsm = await jetstreamManager(connection, { checkAPI: false })
  const { state, onState } = followState(connection, log, session.delays.reset)
  return {
    connection,
    js: jetstream(connection),
    jsm,
    state,
    onState,
    async close() {
      session.closed = true
      if (connection.isClosed()) return
      if (state().connected)
        await Promise.race([
          connection.drain().catch(() => {}),
          pause(connectTimeoutMs, undefined, { ref: false }),
        ])
      await connection.close()
    },
  }
}
