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
  return { server, get: (path, signal, accept) => get(config, new URL(path, server), signal, accept) }
}

async function get(
  config: KubeConfig,
  url: URL,
  signal: AbortSignal,
  accept = 'application/json',
): Promise<IncomingMessage> {
  const options: RequestOptions = { headers: {} }
  // certificates and tokens are read anew each time: they are exchanged while we run
  await config.applyToHTTPSOptions(options)
  const { agent: _agent, ...rest } = options
  const request = (url.protocol === 'http:' ? http : https).get(url, {
    ...rest,
    headers: { ...options.headers, accept, 'user-agent': 'skybraid' },
    signal,
  })
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  request.on('error', reject)
  request.on('response', response => {
    request.setTimeout(0)
    if (response.statusCode === 200) resolve(response)
    else void refusalOf(response).then(reject, reject)
  })
  return promise
}

async function refusalOf(response: IncomingMessage): Promise<KubeHttpError> {
  let text = ''
  for await (const chunk of response) if (text.length < longestMessage) text += String(chunk)
  const [, message] = /"message":"((?:[^"\\]|\\.)*)"/.exec(text) ?? []
  const status = response.statusCode ?? 0
  return new KubeHttpError(status, message ?? response.statusMessage ?? String(status))
}
