import { JetStreamApiError } from '@nats-io/jetstream'
import {
  InvalidArgumentError,
  NoRespondersError,
  PermissionViolationError,
  TimeoutError,
} from '@nats-io/transport-node'

/** Why a batch was not taken; the list is closed. A batch is tried again whatever the reason. */
export const refusalKinds = {
  not_connected: 'There is no connection to the bus; nothing was sent.',
  disconnected: 'The connection went away before the acknowledgement came.',
  timeout: 'No acknowledgement came in time.',
  no_stream: 'No stream takes this subject.',
  wrong_stream: 'Another stream than that of the cluster takes this subject.',
  stream_full: 'The stream is full and gives up nothing older.',
  no_resources: 'The server or the account has no room for more.',
  too_large: 'The batch is larger than the server or the stream allows; nothing was stored.',
  permission: 'The server does not let this user publish under this subject.',
  other: 'Something else; the log says what.',
} as const

export type RefusalKind = keyof typeof refusalKinds

/** A batch that the bus did not take. */
export class BusRefusal extends Error {
  readonly kind: RefusalKind

  constructor(kind: RefusalKind, message: string = refusalKinds[kind], cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'BusRefusal'
    this.kind = kind
  }
}

// err_code of the server's answers: server/errors.json of nats-server
const kindByCode: Readonly<Record<number, RefusalKind>> = {
  10002: 'no_resources', // limits of the account
  10023: 'no_resources', // insufficient resources
  10028: 'no_resources', // memory
  10039: 'no_stream', // JetStream is not for this account
  10047: 'no_resources', // storage
  10054: 'too_large',
  10060: 'wrong_stream',
}
/** The store refused, for the reason in the description: "maximum bytes exceeded" and the like, or a failure. */
const storeFailed = 10077

/** What the client or the server said, as one of the closed list. */
export function refusalOf(error: unknown): BusRefusal {
  if (error instanceof BusRefusal) return error
  // the client wraps what happened once or twice
  for (let one = error, depth = 0; one instanceof Error && depth < 4; one = one.cause, depth++) {
    const kind = kindOf(one)
    if (kind !== undefined) return new BusRefusal(kind, messageOf(one), error)
  }
  return new BusRefusal('other', messageOf(error), error)
}

function kindOf(error: unknown): RefusalKind | undefined {
  if (error instanceof JetStreamApiError) {
    if (error.code === storeFailed) return /exceeded/.test(error.message) ? 'stream_full' : 'other'
    return kindByCode[error.code] ?? 'other'
  }
  if (error instanceof NoRespondersError) return 'no_stream'
  if (error instanceof PermissionViolationError) return 'permission'
  if (error instanceof TimeoutError) return 'timeout'
  if (error instanceof InvalidArgumentError && /max_payload/.test(error.message)) return 'too_large'
  return undefined
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
