import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ApiServer } from '../api-deps.ts'
import { RequestProblem } from '../problem.ts'
import { bearerOf } from './bearer-token.ts'
import type { TokenCheck } from './token-file.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered to everybody, token or not. Whatever does not say so is closed. */
    open?: boolean
  }
}

/**
 * Lets nothing but open routes be answered without the token. Runs behind the rate limit, so that guesses are limited
 * too, and before anything is looked up, so that a refusal tells nothing, not even which paths there are.
 */
export function demandToken(app: ApiServer, isToken: TokenCheck): void {
  app.addHook('preParsing', async (request, reply) => {
    if (request.routeOptions.config.open !== true) checkToken(request, reply, isToken)
  })
}

function checkToken(request: FastifyRequest, reply: FastifyReply, isToken: TokenCheck): void {
  const token = bearerOf(request.headers.authorization)
  if (token !== undefined && isToken(token)) return
  const error = token === undefined ? '' : ', error="invalid_token"'
  reply.header('www-authenticate', `Bearer realm="skybraid"${error}`)
  throw new RequestProblem(
    401,
    'unauthorized',
    token === undefined
      ? 'This API wants its token: Authorization: Bearer TOKEN.'
      : 'This is not the token of this API.',
  )
}
