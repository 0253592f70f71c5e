import { readFileSync, writeFileSync } from 'node:fs'
import type { KeyPair } from '@nats-io/nkeys'
import { type HostPort, SkybraidError } from '@skybraid/shared'
import { connectNats, type NatsLink, type NatsLog } from '@skybraid/shared/nats'
import { createAccessReviews } from '../kube/access-reviews.ts'
import { type KubernetesMode, kubeTransport } from '../kube/kube-transport.ts'
import { answerLogins, type LoginCounts } from './answer-logins.ts'
import { issuerKey } from './issuer-key.ts'
import type { BusAuthConfig } from './options.ts'
import { serveLoginStatus } from './status-server.ts'

export interface BusAuth {
  readonly address: HostPort
  counts(): LoginCounts
  /** Rejects with what makes it impossible to go on; never resolves. */
  readonly failed: Promise<never>
  close(): Promise<void>
}

const none: LoginCounts = { allowed: 0, refused: 0, unknown: 0, malformed: 0 }
const spreadMs = 1_000

/** Writes the key's public part where a server of the bus includes it. Throws SB_CONFIG. */
export function writeIssuer(config: BusAuthConfig, file: string): void {
  const line = `issuer: "${issuerOf(config).getPublicKey()}"\n`
  try {
    writeFileSync(file, line)
  } catch (error) {
    throw new SkybraidError('SB_CONFIG', `${file} cannot be written: ${wordsOf(error)}.`, error)
  }
}

/**
 * Lets collectors into the bus by the tokens of their pods, each as its own node, until `close`. Connects in the
 * background, for ever. Rejects with SB_CONFIG or SB_LISTEN.
 */
export async function startBusAuth(config: BusAuthConfig, log: NatsLog): Promise<BusAuth> {
  const issuer = issuerOf(config)
  const { serviceAccount } = config
  if (serviceAccount === undefined)
    throw new SkybraidError(
      'SB_CONFIG',
      '--service-account has to name the service account of the collectors.',
    )
  const transport = kubeTransport(config.kubernetes as KubernetesMode, config.kubeconfig)
  if (transport === undefined)
    throw new SkybraidError(
      'SB_CONFIG',
      'There is no Kubernetes to ask: set --kubernetes in-cluster or kubeconfig.',
    )
  const reviews = createAccessReviews(transport, config.audience)
  const waiting = new AbortController()
  const { promise: failed, reject: fail } = Promise.withResolvers<never>()
  let link: NatsLink | undefined
  let answers: { counts(): LoginCounts } | undefined
  const counts = () => answers?.counts() ?? none
  const server = await serveLoginStatus(config.statusListen, {
    isConnected: () => link?.state().connected === true,
    counts,
  })
  const connecting = connectNats({
    config,
    name: 'skybraid-bus-auth',
    log,
    spreadMs,
    signal: waiting.signal,
  }).then(
    connected => {
      link = connected
      answers = answerLogins({ ...config, serviceAccount, link, reviews, issuer, log, nowMs: Date.now })
      log.info({ server: connected.state().server }, 'answers for logins to the bus')
    },
    (error: unknown) => {
      if (!waiting.signal.aborted) fail(error)
    },
  )
  const { port } = server.address() as { port: number }
  return {
    address: { host: config.statusListen.host, port },
    counts,
    failed,
    async close() {
      waiting.abort()
      server.closeAllConnections()
      server.close()
      await connecting
      await link?.close()
    },
  }
}

function issuerOf({ issuerSecretFile }: BusAuthConfig): KeyPair {
  if (issuerSecretFile === undefined)
    throw new SkybraidError(
      'SB_CONFIG',
      '--issuer-secret-file has to name the file with the secret of the key.',
    )
  try {
    return issuerKey(readFileSync(issuerSecretFile, 'utf8').trim())
  } catch (error) {
    throw new SkybraidError('SB_CONFIG', `${issuerSecretFile} cannot be used: ${wordsOf(error)}.`)
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
