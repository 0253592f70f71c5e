import { type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from 'node:http2'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type SecureContextOptions } from 'node:tls'
import {
  again,
  answerMs,
  answerOfGrpc,
  answerOfHttp,
  failed,
  mostAnswerBytes,
  type OtlpAnswer,
} from './otlp-answer.ts'
import type { OtlpCall, StartCall } from './otlp-connection.ts'

const path = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'
const defaultPort = 4317
/** Whether the message is compressed, and its length. */
const prefixBytes = 5

/**
 * One call on a connection of its own. Not by grpc-js: it does not tell a call that never went out from one whose answer
 * got lost, and only the first may be made again.
 */
export const callByGrpc: StartCall = (url, headers, tls, body): OtlpCall => {
  const { promise, resolve } = Promise.withResolvers<OtlpAnswer>()
  let isSent = false
  const fail = (error: Error) => resolve(failed(error, isSent))
  const socket = socketTo(url, tls)
  // where TLS fails after its handshake, only the socket says so
  socket.on('error', fail)
  const session = connect(`http://${url.host}`, { createConnection: () => socket })
  session.on('error', fail)
  session.on('close', () => fail(new Error('the connection was closed before there was an answer')))
  // a server that speaks something else never gets this far
  session.once('remoteSettings', () => {
    isSent = true
    const call = session.request({
      ...headers,
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-encoding': 'gzip',
    })
    call.on('error', fail)
    answerTo(call).then(resolve, fail)
    call.end(Buffer.concat([prefixOf(body), body]))
  })
  const timer = setTimeout(() => fail(new Error(`no answer within ${answerMs / 1000} s`)), answerMs)
  const answer = promise.finally(() => {
    clearTimeout(timer)
    session.destroy()
    socket.destroy()
  })
  return { answer, cancel: fail }
}

function socketTo(url: URL, tls: SecureContextOptions): Socket {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = Number(url.port || defaultPort)
  if (url.protocol === 'grpc:') return connectPlain({ host, port })
  const name = isIP(host) === 0 ? { servername: host } : {}
  return connectTls({ host, port, ALPNProtocols: ['h2'], ...name, ...tls })
}

function prefixOf(body: Uint8Array): Uint8Array {
  const prefix = Buffer.alloc(prefixBytes)
  prefix.writeUInt8(1, 0)
  prefix.writeUInt32BE(body.length, 1)
  return prefix
}

async function answerTo(call: ClientHttp2Stream): Promise<OtlpAnswer> {
  let head: IncomingHttpHeaders = {}
  call.on('response', received => (head = received))
  // of an answer without a message, the head has all of it
  call.on('trailers', received => (head = { ...head, ...received }))
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of call as AsyncIterable<Uint8Array>) {
    length += part.length
    if (length <= mostAnswerBytes) parts.push(part)
  }
  if (call.rstCode === constants.NGHTTP2_REFUSED_STREAM) return again('the receiver refuses the call')
  const code = head['grpc-status']
  if (code !== undefined) {
    const hasDetails = head['grpc-status-details-bin'] !== undefined
    const response = Buffer.concat(parts).subarray(prefixBytes)
    return answerOfGrpc(Number(code), messageOf(head), hasDetails, response)
  }
  const status = Number(head[':status'] ?? 0)
  if (status === 0 || status === 200) return { outcome: 'unknown', why: 'the receiver gives no status' }
  return answerOfHttp(status, head['retry-after'], new Uint8Array())
}

/** Percent-encoded, and any text. */
function messageOf(head: IncomingHttpHeaders): string {
  const text = String(head['grpc-message'] ?? '').slice(0, 600)
  try {
    return decodeURIComponent(text)
      .slice(0, 200)
      .replace(/\p{Cc}/gu, ' ')
  } catch {
    return text.slice(0, 200).replace(/\p{Cc}/gu, ' ')
  }
}
