import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { readOptionFile } from '../option-file.ts'
import { readHeaders } from './headers-file.ts'
import { metricsUrl, type OtlpConfig } from './options.ts'
import { type PartialSuccess, readPartialSuccess } from './partial-success.ts'

/**
 * What became of a request. `again`: the receiver certainly did not take it, and may later; `lasting` where somebody
 * has to change something. `unknown`: it may have been counted, so it must not be sent again.
 */
export type OtlpAnswer =
  | { readonly outcome: 'taken'; readonly partial: PartialSuccess | undefined }
  | { readonly outcome: 'refused' | 'unknown'; readonly why: string }
  | {
      readonly outcome: 'again'
      readonly why: string
      readonly isLasting: boolean
      readonly waitMs: number | undefined
    }

export interface OtlpConnection {
  /** Shown and logged. */
  readonly address: string
  send(body: Uint8Array): Promise<OtlpAnswer>
  /** Breaks off what is under way. */
  close(): void
}

/** A slow receiver costs time; what is given up may have been counted, and so is lost to exactness. */
const answerMs = 30_000
const mostAnswerBytes = 64 * 1024
const mostWaitMs = 5 * 60_000
const compress = promisify(gzip)

/** Nothing connects before the first request. Throws SB_CONFIG where a file of the options cannot be read. */
export function createOtlpConnection(config: OtlpConfig): OtlpConnection {
  const url = metricsUrl(config.otlp)
  const tls = tlsOf(config)
  const headersOf = () => (config.otlpHeadersFile ? readHeaders(config.otlpHeadersFile) : {})
  headersOf()
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest
  let running: ClientRequest | undefined

  return {
    address: url.href,
    async send(body) {
      let headers: Record<string, string>
      try {
        headers = headersOf()
      } catch (error) {
        return { outcome: 'again', why: (error as Error).message, isLasting: true, waitMs: undefined }
      }
      const bytes = await compress(body)
      const request = open(url, {
        method: 'POST',
        // a connection that is kept may end just when the next request is on its way, which nobody could tell from a loss
        agent: false,
        ...tls,
        headers: {
          ...headers,
          'content-type': 'application/x-protobuf',
          'content-encoding': 'gzip',
          'content-length': bytes.length,
        },
      })
      running = request
      return answerTo(request, bytes)
    },
    close: () => running?.destroy(new Error('the aggregator ends')),
  }
}

function answerTo(request: ClientRequest, body: Uint8Array): Promise<OtlpAnswer> {
  return new Promise(resolve => {
    // before that nothing of the request can have gone out
    let isConnected = false
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${answerMs / 1000} s`)),
      answerMs,
    )
    const done = (answer: OtlpAnswer) => {
      clearTimeout(timer)
      resolve(answer)
    }
    request.on('socket', socket => {
      const isTls = (socket as Partial<TLSSocket>).encrypted === true
      socket.once(isTls ? 'secureConnect' : 'connect', () => {
        isConnected = true
        request.end(body)
      })
    })
    let isAnswered = false
    request.on('error', error => {
      if (isAnswered) return
      // of several addresses of a name each has its own reason
      const why = error instanceof AggregateError ? String(error.errors[0]?.message) : error.message
      if (isConnected) done({ outcome: 'unknown', why })
      else done({ outcome: 'again', why, isLasting: false, waitMs: undefined })
    })
    request.on('response', response => {
      isAnswered = true
      readAnswer(response).then(
        bytes => done(answerOf(response, bytes)),
        // its head says already what became of the request
        () => done(answerOf(response, new Uint8Array())),
      )
    })
    // an event 'socket' comes for sure, but only if something is written or flushed
    request.flushHeaders()
  })
}

async function readAnswer(response: IncomingMessage): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response as AsyncIterable<Uint8Array>) {
    length += part.length
    if (length > mostAnswerBytes) break
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function answerOf({ statusCode = 0, headers }: IncomingMessage, bytes: Uint8Array): OtlpAnswer {
  if (statusCode >= 200 && statusCode < 300) return { outcome: 'taken', partial: readPartialSuccess(bytes) }
  const why = `the receiver answers ${statusCode}`
  // behind a gateway that gave up waiting it may have been counted
  if (statusCode === 504) return { outcome: 'unknown', why }
  if ([429, 502, 503].includes(statusCode))
    return { outcome: 'again', why, isLasting: false, waitMs: waitOf(headers['retry-after']) }
  if ([401, 403, 404, 405, 407].includes(statusCode) || (statusCode >= 300 && statusCode < 400))
    return { outcome: 'again', why, isLasting: true, waitMs: undefined }
  return { outcome: 'refused', why }
}

/** Seconds, or a date. */
function waitOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isFinite(ms) ? Math.min(mostWaitMs, Math.max(0, ms)) : undefined
}

function tlsOf({ otlpCaFile, otlpCertFile, otlpKeyFile }: OtlpConfig) {
  return {
    ...(otlpCaFile && { ca: readOptionFile('--otlp-ca-file', otlpCaFile) }),
    ...(otlpCertFile && { cert: readOptionFile('--otlp-cert-file', otlpCertFile) }),
    ...(otlpKeyFile && { key: readOptionFile('--otlp-key-file', otlpKeyFile) }),
  }
}
