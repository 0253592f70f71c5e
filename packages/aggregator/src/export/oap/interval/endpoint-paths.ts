import { LRUCache } from 'lru-cache'

/** Paths of endpoints, of which each costs rows in OAP, minute by minute. */
export interface EndpointPaths {
  /** The path itself, or that of all others where a service has too many. */
  fit(service: string, method: string, path: string, atMs: number): string
}

export interface EndpointPathsOptions {
  /** Different endpoints of a service at a time. */
  readonly maxEndpoints?: number
}

export const otherPath = '/{other}'
const forgetMs = 60 * 60_000

export function createEndpointPaths({ maxEndpoints = 500 }: EndpointPathsOptions = {}): EndpointPaths {
  /** By service, when an endpoint was seen last. */
  const known = new LRUCache<string, Map<string, number>>({ max: 4_096 })

  function makeRoom(seen: Map<string, number>, atMs: number): void {
    for (const [endpoint, seenMs] of seen) if (atMs - seenMs > forgetMs) seen.delete(endpoint)
  }

  return {
    fit(service, method, path, atMs) {
      let seen = known.get(service)
      if (seen === undefined) {
        seen = new Map()
        known.set(service, seen)
      }
      const endpoint = `${method}:${path}`
      if (!seen.has(endpoint) && seen.size >= maxEndpoints) {
        makeRoom(seen, atMs)
        if (seen.size >= maxEndpoints) return otherPath
      }
      seen.set(endpoint, atMs)
      return path
    },
  }
}
