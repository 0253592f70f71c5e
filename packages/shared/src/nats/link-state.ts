import { type NatsConnection, PermissionViolationError, type Status } from '@nats-io/transport-node'

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

export interface LinkState {
  state(): NatsState
  /** Calls `listener` whenever the state changed; the answer takes it away again. */
  onState(listener: (state: NatsState) => void): () => void
}

/** How long a connection that the client gave up may take to end by itself. */
const staleMs = 1_000

/** Follows a connection until it is closed. `onReconnect` is called first, before any listener. */
export function followState(connection: NatsConnection, log: NatsLog, onReconnect: () => void): LinkState {
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
  const lost = { connected: false, server: undefined }
  const note = (status: Status) => {
    if (status.type === 'disconnect') {
      change({ ...lost, disconnects: state.disconnects + 1, sinceUnixMs: Date.now() })
      log.warn({ server: status.server }, 'the connection to the bus is gone; connecting again')
    } else if (status.type === 'reconnect') {
      onReconnect()
      change({ connected: true, server: connection.getServer(), sinceUnixMs: Date.now() })
      log.info({ server: status.server }, 'connected to the bus again')
    } else if (status.type === 'staleConnection') {
      log.warn({ server: state.server }, 'the bus does not answer any more')
      const { disconnects } = state
      setTimeout(() => state.disconnects === disconnects && cutOff(connection), staleMs).unref()
    } else if (status.type === 'error') {
      const refused = status.error instanceof PermissionViolationError ? 1 : 0
      const lastError = status.error.message
      if (lastError !== state.lastError) log.warn({ reason: lastError }, 'the bus reports an error')
      change({ lastError, permissionViolations: state.permissionViolations + refused })
    }
  }
  const follow = async () => {
    for await (const status of connection.status()) note(status)
    change({ ...lost, sinceUnixMs: Date.now() })
  }
  follow().catch((error: unknown) =>
    log.warn({ reason: String(error) }, 'the state of the bus is not known any more'),
  )
  return {
    state: () => state,
    onState(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
  }
}

/**
 * Destroys the socket of a connection. The client gives up a silent server only after its last bytes were written,
 * which never happens while that server takes none; it has no other way to be told.
 */
function cutOff(connection: NatsConnection): void {
  const inner = connection as { protocol?: { transport?: { socket?: { destroy?: () => void } } } }
  inner.protocol?.transport?.socket?.destroy?.()
}
