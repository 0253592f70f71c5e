import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import {
  type ChannelCredentials,
  Client,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { SkybraidError } from '@skybraid/shared'
import { readOptionFile } from '../option-file.ts'
import type { FramedMessages } from './interval/framed-messages.ts'
import { asOneMessage } from './message-train.ts'
import { type OapConfig, usesTls } from './options.ts'

/** What OAP answered, or why it didn't: a gRPC code or `OapCode.unusable`, and `stalled` where it took nothing any more. */
export interface OapAnswer {
  readonly code: number
  readonly details: string
  readonly isStalled: boolean
  /** Messages that were handed over; with code 0 all of them were read. */
  readonly messages: number
}

export const OapCode = {
  ok: status.OK,
  cancelled: status.CANCELLED,
  invalid: status.INVALID_ARGUMENT,
  denied: status.PERMISSION_DENIED,
  unimplemented: status.UNIMPLEMENTED,
  unauthenticated: status.UNAUTHENTICATED,
  internal: status.INTERNAL,
  /** None of gRPC: nothing was asked, because a file of the options cannot be used. */
  unusable: -1,
} as const

/** One connection to one OAP. */
export interface OapConnection {
  readonly address: string
  /** Opens a stream and ends it without a message: that counts nothing, and shows whether OAP would take one. */
  probe(): Promise<OapAnswer>
  /** Sends one stream, at OAP's pace, and waits until it was read. */
  send(messages: Iterable<FramedMessages>): Promise<OapAnswer>
  /** A call with one request. */
  call(method: keyof typeof calls, request: Uint8Array): Promise<OapAnswer>
  close(): void
}

const collect = '/skywalking.v3.EBPFAccessLogService/collect'
const calls = {
  keepAlive: '/skywalking.v3.ManagementService/keepAlive',
  reportInstanceProperties: '/skywalking.v3.ManagementService/reportInstanceProperties',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
} as const
/** Reserved for names that never exist. */
const nameOfNone = 'oap.invalid'
const answerMs = 10_000
/** OAP may be slow, but not forever. */
const stallMs = 30_000
const streamMs = 5 * 60_000

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const asIs = (bytes: Buffer) => bytes

/** Throws SB_CONFIG where a file of the options cannot be used. */
export function checkOapFiles(config: OapConfig): void {
  metadataOf(config)
  for (const address of config.oap) createOapConnection(address, config).close()
}

/** Nothing connects before the first call. Throws SB_CONFIG where a file of the options cannot be used. */
export function createOapConnection(address: string, config: OapConfig): OapConnection {
  // keep-alive pings stay off: OAP's server ends connections that ping more often than every 5 minutes
  const ip = addressIn(address)
  const client = new Client(address, credentialsOf(config, ip), {
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 2_000,
    'grpc.enable_retries': 0,
    // messages are not kept for a second attempt, which must not be
    'grpc-node.per_rpc_retry_buffer_size': 1,
    // the library would name the address in its greeting, which TLS does not allow
    ...(usesTls(config) && ip !== undefined && { 'grpc.ssl_target_name_override': nameOfNone }),
  })

  async function withMetadata(work: (metadata: Metadata) => Promise<OapAnswer>): Promise<OapAnswer> {
    let metadata: Metadata
    try {
      metadata = metadataOf(config)
    } catch (error) {
      return unusableFile(error)
    }
    try {
      return await work(metadata)
    } catch (error) {
      // the connection was closed meanwhile
      const { message } = error as Error
      return { code: status.UNAVAILABLE, details: message, isStalled: false, messages: 0 }
    }
  }

  return {
    address,
    // fails at once, and says why, where nobody listens
    probe: () => withMetadata(metadata => stream(client, metadata, [], answerMs)),
    send: messages => withMetadata(metadata => stream(client, metadata, messages, streamMs)),
    call: (method, request) =>
      withMetadata(
        metadata =>
          new Promise(resolve => {
            client.makeUnaryRequest(
              calls[method],
              asBuffer,
              asIs,
              request,
              metadata,
              { deadline: Date.now() + answerMs },
              error => resolve({ ...answerOf(error), isStalled: false, messages: 1 }),
            )
          }),
      ),
    close: () => client.close(),
  }
}

function stream(
  client: Client,
  metadata: Metadata,
  messages: Iterable<FramedMessages>,
  deadlineMs: number,
): Promise<OapAnswer> {
  return new Promise(resolve => {
    let isOver = false
    let isStalled = false
    /** The messages could not be made. */
    let broken: Error | undefined
    let sent = 0
    let wake = () => {}
    const call = client.makeClientStreamRequest(
      collect,
      asOneMessage,
      asIs,
      metadata,
      { deadline: Date.now() + deadlineMs },
      error => {
        isOver = true
        clearTimeout(stalled)
        wake()
        if (broken) resolve({ code: status.INTERNAL, details: broken.message, isStalled, messages: sent })
        else resolve({ ...answerOf(error), isStalled, messages: sent })
      },
    )
    const stalled = setTimeout(() => {
      isStalled = true
      call.cancel()
    }, stallMs)
    call.on('error', () => {}) // the callback has it too
    call.on('drain', () => {
      stalled.refresh()
      wake()
    })
    const write = async () => {
      for (const framed of messages) {
        if (isOver) return
        sent += framed.messages
        if (call.write(framed)) continue
        // after the end of the call there may be no drain
        if (!isOver) await new Promise<void>(go => (wake = go))
      }
      stalled.refresh()
      if (!isOver) call.end()
    }
    write().catch((error: Error) => {
      broken = error
      call.cancel()
    })
  })
}

function answerOf(error: ServiceError | null): { code: number; details: string } {
  return error === null
    ? { code: status.OK, details: '' }
    : { code: error.code ?? status.UNKNOWN, details: error.details ?? error.message }
}

/** Throws SB_CONFIG where the file with the token cannot be used. */
function metadataOf({ oapTokenFile }: OapConfig): Metadata {
  const metadata = new Metadata()
  if (oapTokenFile) {
    const token = readOptionFile('--oap-token-file', oapTokenFile).toString().trim()
    // the library's own complaint would show the token
    if (!/^[ -~]*$/.test(token))
      throw new SkybraidError(
        'SB_CONFIG',
        `--oap-token-file ${oapTokenFile} holds more than one line, or characters that no header takes.`,
      )
    metadata.set('authentication', token)
  }
  return metadata
}

/** The IP address in HOST:PORT, where it is one. */
function addressIn(hostPort: string): string | undefined {
  const host = hostPort.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return isIP(host) === 0 ? undefined : host
}

/** What comes of a file of the options that cannot be used. */
export function unusableFile(error: unknown): OapAnswer {
  return { code: OapCode.unusable, details: (error as Error).message, isStalled: false, messages: 0 }
}

/** Of a server that is reached by its address, the certificate must be for that address. */
function credentialsOf(config: OapConfig, ip: string | undefined): ChannelCredentials {
  if (!usesTls(config)) return credentials.createInsecure()
  const { oapCaFile, oapCertFile, oapKeyFile } = config
  const ca = oapCaFile ? readOptionFile('--oap-ca-file', oapCaFile) : null
  const key = oapKeyFile ? readOptionFile('--oap-key-file', oapKeyFile) : null
  const cert = oapCertFile ? readOptionFile('--oap-cert-file', oapCertFile) : null
  const verify =
    ip === undefined
      ? {}
      : { checkServerIdentity: (_: string, of: PeerCertificate) => checkServerIdentity(ip, of) }
  try {
    return credentials.createSsl(ca, key, cert, verify)
  } catch (error) {
    // while certificates are replaced, a key may lie beside the certificate of another one
    const files = [oapCaFile, oapCertFile, oapKeyFile].filter(file => file !== undefined)
    throw new SkybraidError(
      'SB_CONFIG',
      `${files.join(', ')} cannot be used for TLS with OAP: ${(error as Error).message}.`,
      error,
    )
  }
}
