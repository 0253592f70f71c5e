import { existsSync } from 'node:fs'
import http, { type IncomingMessage } from 'node:http'
import https, { type RequestOptions } from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import { SkybraidError } from '@skybraid/shared'

export type KubernetesMode = 'auto' | 'off' | 'in-cluster' | 'kubeconfig'

export interface KubeTransport {
  /** Of the API server. */
  readonly server: string
  /** The answer to a GET; rejects with a KubeHttpError unless it is 200. Ends with the signal. */
  get(path: string, signal: AbortSignal, accept?: string): Promise<IncomingMessage>
  /** The object that the server makes of one, as JSON; rejects as above unless it was made. */
  create(path: string, object: unknown, signal: AbortSignal): Promise<unknown>
}

export class KubeHttpError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token'
const longestMessage = 2048

/**
 * How to reach the API server; undefined where there is none to reach. `auto` is `in-cluster` where a service account's
 * token is mounted, otherwise `off`.
 */
export function kubeTransport(mode: KubernetesMode, kubeconfigPath?: string): KubeTransport | undefined {
  if (mode === 'off' || (mode === 'auto' && !existsSync(serviceAccountToken))) return undefined
  const config = new KubeConfig()
  try {
    if (mode === 'kubeconfig') {
      if (kubeconfigPath === undefined) config.loadFromDefault()
      else config.loadFromFile(kubeconfigPath)
    } else config.loadFromCluster()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new SkybraidError('SB_CONFIG', `How to reach Kubernetes cannot be read: ${why}.`, error)
  }
  const server = config.getCurrentCluster()?.server
  if (server === undefined || !URL.canParse(server))
    throw new SkybraidError('SB_CONFIG', 'The configuration for Kubernetes names no API server.')
  return {
    server,
    get: (path, signal, accept) => send(config, 'GET', new URL(path, server), signal, accept),
    create: (path, object, signal) => create(config, new URL(path, server), object, signal),
  }
}

async function create(config: KubeConfig, url: URL, object: unknown, signal: AbortSignal): Promise<unknown> {
  const response = await send(config, 'POST', url, signal, 'application/json', JSON.stringify(object))
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString())
}

async function send(
  config: KubeConfig,
  method: 'GET' | 'POST',
  url: URL,
  signal: AbortSignal,
  accept = 'application/json',
  body?: string,
): Promise<IncomingMessage> {
  const options: RequestOptions = { headers: {} }
  // certificates and tokens are read anew each time: they are exchanged while we run
  await config.applyToHTTPSOptions(options)
  const { agent: _agent, ...rest } = options
  const content = body === undefined ? {} : { 'content-type': 'application/json' }
  const request = (url.protocol === 'http:' ? http : https).request(url, {
    ...rest,
    method,
    headers: { ...options.headers, accept, 'user-agent': 'skybraid', ...content },
    signal,
  })
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  request.on('error', reject)
  request.on('response', response => {
    request.setTimeout(0)
    const { statusCode } = response
    if (statusCode === 200 || (method === 'POST' && statusCode === 201)) resolve(response)
    else void refusalOf(response).then(reject, reject)
  })
  request.end(body)
  return promise
}

async function refusalOf(response: IncomingMessage): Promise<KubeHttpError> {
  let text = ''
  for await (const chunk of response) if (text.length < longestMessage) text += String(chunk)
  const [, message] = /"message":"((?:[^"\\]|\\.)*)"/.exec(text) ?? []
  const status = response.statusCode ?? 0
  return new KubeHttpError(status, message ?? response.statusMessage ?? String(status))
}
