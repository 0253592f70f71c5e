import type { FastifyReply, FastifyRequest } from 'fastify'
import type { TimeRange } from './time-range.ts'

/** How long after its end a minute can still be corrected by records that arrive late. */
const correctableMs = 15 * 60_000

/**
 * Sets the validators and freshness of an answer about a range. True if the client already holds it: the route then
 * answers 304 without building a body. `etag` is the bare value, without quotes.
 */
export function notModified(
  request: FastifyRequest,
  reply: FastifyReply,
  etag: string,
  range: TimeRange,
  nowMs: number,
) {
  const settled = !range.relative && nowMs > range.toMs + correctableMs
  reply.header('etag', `"${etag}"`)
  reply.header('vary', 'Accept, Authorization')
  reply.header('cache-control', settled ? 'private, max-age=300' : 'private, no-cache')
  const held = request.headers['if-none-match']
  return held !== undefined && matches(held, etag)
}

function matches(header: string, etag: string): boolean {
  if (header.trim() === '*') return true
  // If-None-Match compares weakly: a proxy may have marked our strong tag with W/
  return header.split(',').some(tag => tag.trim().replace(/^W\//, '') === `"${etag}"`)
}
