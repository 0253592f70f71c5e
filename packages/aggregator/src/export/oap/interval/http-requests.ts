import type { EndName } from './end-name.ts'
import type { Role } from './pod-pair.ts'

/** Numbers of the protocol. */
export const httpMethods = {
  GET: 0,
  POST: 1,
  PUT: 2,
  DELETE: 3,
  HEAD: 4,
  PATCH: 5,
  OPTIONS: 6,
  TRACE: 7,
  CONNECT: 8,
} as const
export type HttpMethod = keyof typeof httpMethods

/** Requests of one operation between two pods in one minute, all with the same status. */
export interface HttpRequests {
  readonly role: Role
  readonly local: EndName
  readonly remote: EndName
  readonly method: string
  /** A route template, not the path of one request. */
  readonly path: string
  readonly status: number
  readonly version: 1 | 2
  /** How many requests took about how long. */
  readonly latencies: readonly (readonly [microseconds: number, requests: number])[]
  /** Sums over the requests. */
  readonly requestHeaderBytes: number
  readonly requestBodyBytes: number
  readonly responseHeaderBytes: number
  readonly responseBodyBytes: number
}

export interface HttpSample {
  readonly requests: readonly HttpRequests[]
  readonly seen: number
  readonly sent: number
}

export function requestCount({ latencies }: HttpRequests): number {
  let count = 0
  for (const [, requests] of latencies) count += requests
  return count
}

/**
 * At most `budget` requests. Below it every one; above it each operation keeps the same share, and of its latencies an
 * even selection, so that what is left is shaped like the whole. Sums of bytes shrink by the same share.
 */
export function sampleRequests(all: readonly HttpRequests[], budget: number): HttpSample {
  let seen = 0
  for (const requests of all) seen += requestCount(requests)
  if (seen <= budget) return { requests: all, seen, sent: seen }
  const kept: HttpRequests[] = []
  // position within the whole, so that shares below one request do not all vanish
  let before = 0
  let sent = 0
  for (const requests of all) {
    const latencies: [number, number][] = []
    let own = 0
    for (const [microseconds, count] of requests.latencies) {
      const share = keptUpTo(before + count, budget, seen) - keptUpTo(before, budget, seen)
      before += count
      own += share
      if (share > 0) latencies.push([microseconds, share])
    }
    sent += own
    if (own > 0) kept.push(scaled(requests, latencies, own / requestCount(requests)))
  }
  return { requests: kept, seen, sent }
}

function keptUpTo(position: number, budget: number, seen: number): number {
  return Math.floor((position * budget) / seen)
}

function scaled(requests: HttpRequests, latencies: HttpRequests['latencies'], share: number): HttpRequests {
  return {
    ...requests,
    latencies,
    requestHeaderBytes: Math.round(requests.requestHeaderBytes * share),
    requestBodyBytes: Math.round(requests.requestBodyBytes * share),
    responseHeaderBytes: Math.round(requests.responseHeaderBytes * share),
    responseBodyBytes: Math.round(requests.responseBodyBytes * share),
  }
}
