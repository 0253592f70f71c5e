import type { FastifyRequest } from 'fastify'
import { invalidParameters, type ParameterError, RequestProblem } from './problem.ts'

const wholeNumber = /^\d{1,15}$/

/**
 * What the schema check alone would let through: broken percent-encoding, and numbers in notations that a reader
 * would not expect (`0x10`, `1e3`, ` 5`). Throws the 400.
 */
export function checkQuery(request: FastifyRequest): void {
  const mark = request.url.indexOf('?')
  if (mark < 0) return
  refuseBrokenEncoding(request.url.slice(mark + 1))
  const errors: ParameterError[] = []
  const query = request.query as Record<string, unknown>
  for (const [name, schema] of Object.entries(parameterSchemas(request))) {
    const value = query[name]
    if (schema.type !== 'integer' || typeof value !== 'string') continue
    if (!wholeNumber.test(value)) errors.push({ parameter: name, detail: 'must be a whole number' })
  }
  if (errors.length > 0) throw invalidParameters(errors)
}

function refuseBrokenEncoding(query: string): void {
  try {
    decodeURIComponent(query)
  } catch {
    throw new RequestProblem(400, 'malformed-request', 'The query string has broken percent-encoding.')
  }
}

function parameterSchemas(request: FastifyRequest): Record<string, { type?: string }> {
  const schema = request.routeOptions.schema?.querystring as
    | { properties?: Record<string, { type?: string }> }
    | undefined
  return schema?.properties ?? {}
}
