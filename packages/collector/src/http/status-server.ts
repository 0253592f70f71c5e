import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { expositionContentType, formatHostPort, type HostPort, SkybraidError } from '@skybraid/shared'

// Not by an import: that looks at every export, WebSocket among them, which loads a whole client: 16 MB of memory.
const { createServer, STATUS_CODES } = process.getBuiltinModule('node:http')

export interface Readiness {
  readonly ready: boolean
  /** Why not, in words. */
  readonly reasons: readonly string[]
}

export interface StatusServerOptions {
  readonly listen: HostPort
  readonly readiness: () => Readiness
  /** Body of `/status`. */
  readonly status: () => object
  /** Body of `/metrics`. */
  readonly metrics: () => string
}

export interface StatusServer {
  readonly address: HostPort
  /** Idempotent. */
  close(): Promise<void>
}

const jsonType = 'application/json; charset=utf-8'
const limits = { connections: 64, requestsPerConnection: 1_000, headerBytes: 8_192, headers: 64 }
const patienceMs = 5_000

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/**
 * `/livez`, `/readyz`, `/status` and `/metrics` over plain HTTP, for probes and scrapers. GET alone; everything about a
 * request is bounded. Rejects with SB_LISTEN and one plain sentence.
 */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const { listen } = options
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: patienceMs,
      requestTimeout: patienceMs,
      keepAliveTimeout: patienceMs,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => respond(request, response, options),
  )
  server.maxConnections = limits.connections
  server.maxRequestsPerSocket = limits.requestsPerConnection
  server.maxHeadersCount = limits.headers
  server.timeout = 2 * patienceMs
  await listening(server, listen)
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : listen.port
  return { address: { host: listen.host, port }, close: () => closed(server) }
}

function respond(request: IncomingMessage, response: ServerResponse, options: StatusServerOptions): void {
  const answer = answerTo(request.method ?? '', request.url ?? '/', options)
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(answer.status === 405 ? { allow: 'GET' } : {}),
    // a body that nobody asked for is not worth reading
    ...(request.headers['content-length'] || request.headers['transfer-encoding']
      ? { connection: 'close' }
      : {}),
  })
  response.end(answer.body)
}

function answerTo(method: string, url: string, options: StatusServerOptions): Answer {
  const [path = '/', query] = url.split('?', 2)
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined
  if (page === undefined) return problem(404, path, `The paths here are ${Object.keys(pages).join(', ')}.`)
  if (method !== 'GET') return problem(405, path, 'This path can only be read, with GET.')
  if (query !== undefined && query !== '') return problem(400, path, 'This path takes no parameters.')
  return page(options)
}

const pages: Readonly<Record<string, (options: StatusServerOptions) => Answer>> = {
  '/livez': () => json(200, { status: 'ok', reasons: [] }),
  '/readyz': ({ readiness }) => {
    const { ready, reasons } = readiness()
    return json(ready ? 200 : 503, { status: ready ? 'ok' : 'not_ready', reasons })
  },
  '/status': ({ status }) => json(200, status()),
  '/metrics': ({ metrics }) => ({ status: 200, type: expositionContentType, body: metrics() }),
}

function json(status: number, body: object): Answer {
  return { status, type: jsonType, body: JSON.stringify(body) }
}

/** RFC 9457; a type of its own would say no more than the status does. */
function problem(status: number, instance: string, detail: string): Answer {
  const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail, instance })
  return { status, type: 'application/problem+json; charset=utf-8', body }
}

function listening(server: Server, listen: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'another program listens there' : error.message
      const text = `The status pages cannot listen on ${formatHostPort(listen)}: ${why}; choose another address with --status-listen.`
      reject(new SkybraidError('SB_LISTEN', text, error))
    })
    server.listen({ host: listen.host, port: listen.port, exclusive: true }, resolve)
  })
}

function closed(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
