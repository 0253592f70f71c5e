import type { FastifyBaseLogger } from 'fastify'
import { type ApiOptions, defaultApiOptions, type Readiness } from './api/api-deps.ts'
import { openTokenFile, type TokenCheck } from './api/auth/token-file.ts'
import { isLoopback } from './api/host-check.ts'
import type { ServingConfig } from './config.ts'

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

/** Who may ask: whoever has the token, where there is one. Throws SB_CONFIG if its file can't be used. */
export function accessOf(config: ServingConfig, log: FastifyBaseLogger): { isToken?: TokenCheck } {
  if (config.apiTokenFile === undefined) return {}
  return { isToken: openTokenFile(config.apiTokenFile, log, () => performance.now()) }
}

export function readinessOf(closing: boolean, reasons: readonly string[] = []): Readiness {
  if (closing) return { ready: false, reasons: ['shutting down'] }
  return { ready: reasons.length === 0, reasons }
}
