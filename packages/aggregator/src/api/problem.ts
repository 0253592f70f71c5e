import { nearestName } from '@skybraid/shared'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { type ProblemKindName, problemKinds, problemType } from './problem-kinds.ts'
import type { problemSchema } from './schema/problem-schema.ts'

export type Problem = Static<typeof problemSchema>
export type ParameterError = NonNullable<Problem['errors']>[number]

/** A request that is refused on purpose: becomes a problem+json answer. */
export class RequestProblem extends Error {
  readonly status: number
  readonly kind: ProblemKindName
  readonly errors: ParameterError[] | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(
    status: number,
    kind: ProblemKindName,
    detail: string,
    extra: { errors?: ParameterError[]; retryAfterSeconds?: number } = {},
  ) {
    super(detail)
    this.name = 'RequestProblem'
    this.status = status
    this.kind = kind
    this.errors = extra.errors
    this.retryAfterSeconds = extra.retryAfterSeconds
  }
}

/** The refusal of one or more query parameters. */
export function invalidParameters(errors: ParameterError[]): RequestProblem {
  const detail = errors.map(e => `${e.parameter}: ${e.detail}`).join('; ')
  return new RequestProblem(400, 'invalid-parameter', detail, { errors })
}

/** Builds the body of a problem+json answer; `instance` is the path without the query. */
export function problemBody(problem: RequestProblem, url: string): Problem {
  const query = url.indexOf('?')
  return {
    type: problemType(problem.kind),
    title: problemKinds[problem.kind].title,
    status: problem.status,
    detail: problem.message,
    instance: query < 0 ? url : url.slice(0, query),
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  }
}

/** Sends the problem; never shows a stack trace or an internal message. */
export function sendProblem(
  problem: RequestProblem,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (problem.retryAfterSeconds !== undefined) reply.header('retry-after', String(problem.retryAfterSeconds))
  return reply
    .code(problem.status)
    .header('cache-control', 'no-store')
    .type('application/problem+json; charset=utf-8')
    .send(JSON.stringify(problemBody(problem, request.url)))
}

/** Turns whatever a route threw into a problem. Unknown errors are logged here and answered without their text. */
export function toProblem(error: FastifyError | RequestProblem, request: FastifyRequest): RequestProblem {
  if (error instanceof RequestProblem) return error
  if (error.validation !== undefined) return fromValidation(error, request)
  if (error.code === 'FST_ERR_HANDLER_TIMEOUT') {
    return new RequestProblem(503, 'timeout', 'Ask for a shorter range or a coarser grouping.', {
      retryAfterSeconds: 5,
    })
  }
  if (error.statusCode === 429) return new RequestProblem(429, 'too-many-requests', error.message)
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new RequestProblem(error.statusCode, 'malformed-request', error.message)
  }
  request.log.error({ err: error, url: request.url }, 'request failed')
  return new RequestProblem(500, 'internal', 'The request failed inside the aggregator; its log says why.')
}

function fromValidation(error: FastifyError, request: FastifyRequest): RequestProblem {
  const known = knownParameters(request)
  const errors: ParameterError[] = []
  for (const failure of error.validation ?? []) {
    if (failure.keyword === 'additionalProperties') {
      const name = String(failure.params.additionalProperty)
      const nearest = nearestName(name, known)
      const detail =
        nearest === undefined ? 'unknown parameter' : `unknown parameter; did you mean ${nearest}?`
      errors.push({ parameter: name, detail, ...(nearest === undefined ? {} : { nearest }) })
    } else {
      errors.push({ parameter: parameterOf(failure.instancePath), detail: describe(failure) })
    }
  }
  return invalidParameters(errors)
}

function parameterOf(instancePath: string): string {
  const name = instancePath.split('/')[1] ?? ''
  return name.replaceAll('~1', '/').replaceAll('~0', '~')
}

function describe(failure: NonNullable<FastifyError['validation']>[number]): string {
  const allowed = failure.params.allowedValues
  if (failure.keyword === 'enum' && Array.isArray(allowed)) return `must be one of ${allowed.join(', ')}`
  if (failure.keyword === 'type') return `${failure.message ?? 'wrong type'}, given once`
  return failure.message ?? 'not valid'
}

function knownParameters(request: FastifyRequest): string[] {
  const schema = request.routeOptions.schema?.querystring as { properties?: object } | undefined
  return Object.keys(schema?.properties ?? {})
}
