import { SkybraidError } from '@skybraid/shared'
import type { FastifyBaseLogger } from 'fastify'
import { type ApiOptions, defaultApiOptions, type Readiness } from './api/api-deps.ts'
import { createKubeAccess } from './api/auth/kube-access.ts'
import { openTokenFile } from './api/auth/token-file.ts'
import type { WaysIn } from './api/auth/ways-in.ts'
import { isLoopback } from './api/host-check.ts'
import type { ServingConfig } from './config.ts'
import { createAccessReviews } from './kube/access-reviews.ts'
import type { Kubernetes } from './kube/kubernetes.ts'

/** How the API behaves, by an aggregator's configuration. */
export function apiOptions(config: ServingConfig): ApiOptions {
  return {
    ...defaultApiOptions,
    maxRangeMs: config.retention,
    maxStreamClients: config.maxStreams,
    requestsPerSecond: config.requestRate,
    edgeMetrics: config.edgeMetrics,
    loopbackOnly: isLoopback(config.listen.host),
  }
}

/** The API's own token, where it has one. Throws SB_CONFIG if its file can't be used. */
export function tokenOf(config: ServingConfig, log: FastifyBaseLogger): Pick<WaysIn, 'isToken'> {
  if (config.apiTokenFile === undefined) return {}
  return { isToken: openTokenFile(config.apiTokenFile, log, () => performance.now()) }
}

/** Asking Kubernetes who somebody is, where that is wanted. Throws SB_CONFIG if there is no Kubernetes to ask. */
export function kubeAccessOf(
  config: ServingConfig,
  kubernetes: Kubernetes | undefined,
  log: FastifyBaseLogger,
): Pick<WaysIn, 'kubeAccess'> {
  if (config.apiAuth !== 'kubernetes') return {}
  if (kubernetes === undefined) {
    throw new SkybraidError(
      'SB_CONFIG',
      '--api-auth kubernetes needs a Kubernetes to ask: set --kubernetes in-cluster or kubeconfig.',
    )
  }
  const reviews = createAccessReviews(kubernetes.transport, config.apiAudience)
  return {
    kubeAccess: createKubeAccess({ reviews, namespaces: kubernetes.names.namespaces, log, nowMs: Date.now }),
  }
}

export function readinessOf(closing: boolean, reasons: readonly string[] = []): Readiness {
  if (closing) return { ready: false, reasons: ['shutting down'] }
  return { ready: reasons.length === 0, reasons }
}
