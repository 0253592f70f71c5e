import type { FastifyRequest } from 'fastify'
import type { ViewScope } from '../../resolve/view-scope.ts'

/** Paths that tell of skybraid and of all nodes, not of namespaces. */
export type OwnPath = '/status' | '/metrics'

/** Whoever asks, and what that one may see. */
export interface Viewer {
  /** Undefined: everything. */
  readonly scope: ViewScope | undefined
  mayRead(path: OwnPath): Promise<boolean>
  /** The same one a while later; rejects as a new request would if it may ask no more. */
  again(): Promise<Viewer>
}

declare module 'fastify' {
  interface FastifyRequest {
    viewer: Viewer | undefined
  }
}

/** Sees everything: where nobody is asked who they are, or by the API's own token. */
export const seesAll: Viewer = {
  scope: undefined,
  mayRead: async () => true,
  again: async () => seesAll,
}

/** Who sent a request. Throws where nobody was let in: a route that is open has no viewer, and must show none of this. */
export function viewerOf(request: FastifyRequest): Viewer {
  if (request.viewer === undefined) throw new Error('nobody was asked who wants to see this')
  return request.viewer
}

export function isSameView(a: Viewer, b: Viewer): boolean {
  return a.scope?.namespaces.join() === b.scope?.namespaces.join()
}
