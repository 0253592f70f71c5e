import Type from 'typebox'
import type { FlowQuery } from '../../topology/answer.ts'
import type { ApiContext, ApiServer } from '../api-deps.ts'
import { viewerOf } from '../auth/viewer.ts'
import { linkToNext } from '../page-walk.ts'
import { invalidParameters } from '../problem.ts'
import { endParameters } from '../query-schema.ts'
import { flowStateSchema } from '../schema/flow-schema.ts'
import { refusals } from '../schema/problem-schema.ts'
import { endFilterOf } from '../topology-query.ts'

const schema = {
  summary: 'Recent and open connections, each with the ends that reported it',
  tags: ['flows'],
  querystring: Type.Object(
    {
      state: Type.Optional(flowStateSchema),
      protocol: Type.Optional(Type.Enum(['tcp', 'udp'])),
      match: Type.Optional(
        Type.String({ minLength: 1, maxLength: 256, description: 'part of an end’s owner, address or name' }),
      ),
      port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535, description: 'port of either end' })),
      ...endParameters,
      observed: Type.Optional(Type.Enum(['client', 'server', 'both'])),
      limit: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 5000, description: 'flows a page; 100 if absent' }),
      ),
      cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: 'from nextCursor' })),
    },
    { additionalProperties: false },
  ),
  response: {
    200: {
      description: 'One page; Link rel=next leads to the next',
      content: { 'application/json': { schema: Type.Ref('FlowList#') } },
    },
    ...refusals,
  },
}

export function flowsRoute(app: ApiServer, context: ApiContext): void {
  app.get('/flows', { schema }, async (request, reply) => {
    const { namespace, labels, ...given } = request.query
    const ends = endFilterOf({
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
    })
    const { scope } = viewerOf(request)
    const query: FlowQuery = {
      ...given,
      ...(ends && { ends }),
      ...(scope && { scope }),
      limit: given.limit ?? 100,
    }
    const page = readFlows(context, query)
    if (page.nextCursor !== undefined) reply.header('link', linkToNext(request.url, page.nextCursor))
    reply.header('cache-control', 'no-store').type('application/json; charset=utf-8')
    return reply.send(JSON.stringify(page))
  })
}

function readFlows(context: ApiContext, query: FlowQuery) {
  try {
    return context.reader.flows(query, context.now())
  } catch (error) {
    // the core refuses a cursor that it did not give out
    if (query.cursor === undefined || !(error instanceof RangeError)) throw error
    throw invalidParameters([{ parameter: 'cursor', detail: 'is not one of ours; start without it' }])
  }
}
