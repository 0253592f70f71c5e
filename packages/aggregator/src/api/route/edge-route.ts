import Type from 'typebox'
import type { ApiContext, ApiServer } from '../api-deps.ts'
import { viewerOf } from '../auth/viewer.ts'
import { notModified } from '../conditional.ts'
import { fingerprint } from '../cursor.ts'
import { RequestProblem } from '../problem.ts'
import { timeParameters } from '../query-schema.ts'
import { refusals } from '../schema/problem-schema.ts'
import { groupBySchema } from '../schema/topology-schema.ts'
import { rangeOf, topologyQuery } from '../topology-query.ts'

const schema = {
  summary: 'One edge with every counter, and its operations',
  tags: ['topology'],
  params: Type.Object(
    { id: Type.String({ minLength: 1, maxLength: 1024, description: 'id of an edge, percent-encoded' }) },
    { additionalProperties: false },
  ),
  querystring: Type.Object(
    { ...timeParameters, groupBy: Type.Optional(groupBySchema) },
    { additionalProperties: false },
  ),
  response: {
    200: {
      description: 'The edge in the range',
      content: { 'application/json': { schema: Type.Ref('EdgeDetail#') } },
    },
    304: { description: 'The copy named in If-None-Match is still right', type: 'null' },
    ...refusals,
  },
}

export function edgeRoute(app: ApiServer, context: ApiContext): void {
  const { cache, options } = context
  app.get('/edges/:id', { schema }, async (request, reply) => {
    const nowMs = context.now()
    const { id } = request.params
    const range = rangeOf(request.query, nowMs, options.maxRangeMs)
    const { groupBy } = request.query
    const query = {
      ...topologyQuery({ groupBy }, range, options.defaultGroupBy, viewerOf(request).scope),
      limit: Number.MAX_SAFE_INTEGER,
    }
    const version = cache.version(query, nowMs)
    const ofEdge = `${version}-${fingerprint(`edge ${id}`)}`
    if (notModified(request, reply, ofEdge, range, nowMs)) return reply.code(304).send()
    const edge = cache.answer(query, version, nowMs).edges.find(each => each.id === id)
    if (edge === undefined)
      throw new RequestProblem(404, 'not-found', 'There is no edge with this id in the range.')
    const { operations, ...frame } = cache.operations({ ...query, edge: id }, ofEdge, nowMs)
    reply.type('application/json; charset=utf-8')
    return reply.send(JSON.stringify({ ...frame, edge, operations }))
  })
}
