import type { SecureContextOptions } from 'node:tls'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { readOptionFile } from '../option-file.ts'
import { readHeaders } from './headers-file.ts'
import { metricsUrl, type OtlpConfig } from './options.ts'
import { again, type OtlpAnswer } from './otlp-answer.ts'
import { callByGrpc } from './otlp-grpc.ts'
import { callByHttp } from './otlp-http.ts'

export interface OtlpConnection {
  /** Shown and logged. */
  readonly address: string
  send(body: Uint8Array): Promise<OtlpAnswer>
  /** Breaks off what is under way. */
  close(): void
}

/** A request that is under way. */
export interface OtlpCall {
  readonly answer: Promise<OtlpAnswer>
  cancel(error: Error): void
}

/** Sends a compressed request. */
export type StartCall = (
  url: URL,
  headers: Readonly<Record<string, string>>,
  tls: SecureContextOptions,
  body: Uint8Array,
) => OtlpCall

const compress = promisify(gzip)

/** Nothing connects before the first request. Throws SB_CONFIG where a file of the options cannot be read. */
export function createOtlpConnection(config: OtlpConfig): OtlpConnection {
  const url = metricsUrl(config.otlp)
  const start = url.protocol.startsWith('grpc') ? callByGrpc : callByHttp
  // anew for every request: tokens and certificates are replaced while the program runs
  const filesOf = () => ({
    headers: config.otlpHeadersFile ? readHeaders(config.otlpHeadersFile) : {},
    tls: tlsOf(config),
  })
  filesOf()
  let running: OtlpCall | undefined

  return {
    address: url.href,
    async send(body) {
      const compressed = await compress(body)
      try {
        const { headers, tls } = filesOf()
        running = start(url, headers, tls, compressed)
      } catch (error) {
        // a file that cannot be read, or no certificate in it
        return again((error as Error).message, true)
      }
      return running.answer
    },
    close: () => running?.cancel(new Error('the aggregator ends')),
  }
}

function tlsOf({ otlpCaFile, otlpCertFile, otlpKeyFile }: OtlpConfig): SecureContextOptions {
  return {
    ...(otlpCaFile && { ca: readOptionFile('--otlp-ca-file', otlpCaFile) }),
    ...(otlpCertFile && { cert: readOptionFile('--otlp-cert-file', otlpCertFile) }),
    ...(otlpKeyFile && { key: readOptionFile('--otlp-key-file', otlpKeyFile) }),
  }
}
