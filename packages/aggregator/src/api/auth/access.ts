import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ApiServer } from '../api-deps.ts'
import { RequestProblem } from '../problem.ts'
import { bearerOf } from './bearer-token.ts'
import { type OwnPath, seesAll, type Viewer, viewerOf } from './viewer.ts'
import { asksWho, type WaysIn } from './ways-in.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered to everybody, token or not. Whatever does not say so is closed. */
    open?: boolean
  }
}

/**
 * Says of each request who sent it. Nothing but open routes is answered to nobody. Runs behind the rate limit, so that
 * guesses are limited too, and before anything is looked up, so that a refusal tells nothing, not even which paths
 * there are.
 */
export function demandViewer(app: ApiServer, access: WaysIn): void {
  app.decorateRequest('viewer', undefined)
  app.addHook('preParsing', async (request, reply) => {
    if (!asksWho(access)) request.viewer = seesAll
    else if (request.routeOptions.config.open !== true)
      request.viewer = await viewerBy(access, request, reply)
  })
}

async function viewerBy(access: WaysIn, request: FastifyRequest, reply: FastifyReply): Promise<Viewer> {
  const token = bearerOf(request.headers.authorization)
  try {
    if (token === undefined) throw new RequestProblem(401, 'unauthorized', wanted(access))
    if (access.isToken?.(token)) return seesAll
    if (!access.kubeAccess)
      throw new RequestProblem(401, 'unauthorized', 'This is not the token of this API.')
    const viewer = await access.kubeAccess(token, request.ip)
    if (viewer.scope?.namespaces.length !== 0 || isOwnPath(request)) return viewer
    throw new RequestProblem(403, 'forbidden', 'Whoever this is may list pods in no namespace.')
  } catch (error) {
    if (error instanceof RequestProblem && error.status === 401) {
      const invalid = token === undefined ? '' : ', error="invalid_token"'
      reply.header('www-authenticate', `Bearer realm="skybraid"${invalid}`)
    }
    throw error
  }
}

function wanted({ kubeAccess }: WaysIn): string {
  const whose = kubeAccess ? 'a token of Kubernetes or its own' : 'its token'
  return `This API wants ${whose}: Authorization: Bearer TOKEN.`
}

/** Of these more is asked than of others: a right of its own, by the route. */
function isOwnPath(request: FastifyRequest): boolean {
  return /\/(?:status|metrics)$/.test(request.routeOptions.url ?? '')
}

/** Refuses who may not read what tells of all nodes. */
export async function demandRight(request: FastifyRequest, path: OwnPath): Promise<Viewer> {
  const viewer = viewerOf(request)
  if (await viewer.mayRead(path)) return viewer
  throw new RequestProblem(
    403,
    'forbidden',
    `${path} tells of all nodes: it takes the right to list pods in all namespaces, or to get the URL ${path}.`,
  )
}
