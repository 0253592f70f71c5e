import { type ApiOptions, defaultApiOptions, type Readiness } from './api/api-deps.ts'
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

export function readinessOf(closing: boolean, reasons: readonly string[] = []): Readiness {
  if (closing) return { ready: false, reasons: ['shutting down'] }
  return { ready: reasons.length === 0, reasons }
}
