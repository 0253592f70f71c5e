import Type, { type Static } from 'typebox'
import type { OperationsQuery, OperationView } from '../../topology/answer.ts'
import type { ApiContext, ApiServer } from '../api-deps.ts'
import { viewerOf } from '../auth/viewer.ts'
import { notModified } from '../conditional.ts'
import { type EdgeCursor, encodeCursor, fingerprint } from '../cursor.ts'
import { badCursor, cursorOf, linkToNext, questionOf, walkRange } from '../page-walk.ts'
import { endParameters, timeParameters } from '../query-schema.ts'
import { operationSchema } from '../schema/operation-schema.ts'
import { refusals } from '../schema/problem-schema.ts'
import { groupBySchema } from '../schema/topology-schema.ts'
import type { TimeRange } from '../time-range.ts'
import { rangeOf, topologyQuery } from '../topology-query.ts'

/** Asked alike, a page of edges is another list. */
const list = 'operations'
const text = (description: string, maxLength = 512) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description }))

const querySchema = Type.Object(
  {
    ...timeParameters,
    ...endParameters,
    groupBy: Type.Optional(groupBySchema),
    service: text('id or name of a node: only operations of edges with such an end'),
    source: text('id of the node that asks'),
    target: text('id of the node that answers'),
    block: Type.Optional(operationSchema.properties.block),
    match: text('part of the operation or its host, any case', 256),
    status: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 0xffff_fffe,
        description: 'only operations that ended with this code, at either end',
      }),
    ),
    sort: Type.Optional(
      Type.Enum(['time', 'requests', 'errors', 'p99'], {
        description:
          'largest first: time altogether (if absent), requests, errors, or time to the first byte',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 5000, description: 'operations a page; 100 if absent' }),
    ),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 2048, description: 'from nextCursor' })),
  },
  { additionalProperties: false },
)
type OperationsParameters = Static<typeof querySchema>

const schema = {
  summary: 'What is asked for, across edges: HTTP routes, gRPC methods, statements, commands, names',
  tags: ['topology'],
  querystring: querySchema,
  response: {
    200: {
      description: 'One page; Link rel=next leads to the next',
      content: { 'application/json': { schema: Type.Ref('OperationList#') } },
    },
    304: { description: 'The copy named in If-None-Match is still right', type: 'null' },
    ...refusals,
  },
}

export function operationsRoute(app: ApiServer, context: ApiContext): void {
  const { cache, options } = context
  app.get('/operations', { schema }, async (request, reply) => {
    const nowMs = context.now()
    const given = request.query
    const cursor = cursorOf(given.cursor, questionOf(given, list))
    if (cursor !== undefined && typeof cursor.value !== 'number') throw badCursor()
    const range = walkRange(cursor, rangeOf(given, nowMs, options.maxRangeMs), options.maxRangeMs)
    const { groupBy, namespace, labels, service } = given
    const graph = { groupBy, namespace, labels }
    const query: OperationsQuery = {
      ...topologyQuery(graph, range, options.defaultGroupBy, viewerOf(request).scope),
      limit: Number.MAX_SAFE_INTEGER,
      ...(service && { service }),
    }
    const version = `${cache.version(query, nowMs)}-${fingerprint(service ?? '')}`
    const pageName = fingerprint(
      JSON.stringify([questionOf(given, list), given.limit ?? 0, given.cursor ?? '']),
    )
    if (notModified(request, reply, `${version}-${pageName}`, range, nowMs)) return reply.code(304).send()
    const { operations, ...frame } = cache.operations(query, version, nowMs)
    const page = pageOf(operations, given, cursor, range)
    if (page.nextCursor !== undefined) reply.header('link', linkToNext(request.url, page.nextCursor))
    reply.type('application/json; charset=utf-8')
    return reply.send(JSON.stringify({ ...frame, ...page }))
  })
}

function pageOf(
  operations: readonly OperationView[],
  given: OperationsParameters,
  cursor: EdgeCursor | undefined,
  range: TimeRange,
): { total: number; operations: OperationView[]; nextCursor?: string } {
  const key = given.sort ?? 'time'
  const rows = operations
    .filter(matcher(given))
    .map(operation => ({ operation, id: keyOf(operation), value: figures[key](operation) }))
  rows.sort((a, b) => b.value - a.value || (a.id < b.id ? -1 : 1))
  const isAfter = ({ value, id }: { value: number; id: string }) =>
    value < Number(cursor!.value) || (value === cursor!.value && id > cursor!.id)
  const start = cursor === undefined ? 0 : rows.findIndex(isAfter)
  const limit = given.limit ?? 100
  const page = start < 0 ? [] : rows.slice(start, start + limit)
  const last = page.at(-1)
  const total = rows.length
  const shown = { total, operations: page.map(({ operation }) => operation) }
  if (last === undefined || start + limit >= total) return shown
  const { fromMs, toMs } = range
  return {
    ...shown,
    nextCursor: encodeCursor({ fromMs, toMs, value: last.value, id: last.id }, questionOf(given, list)),
  }
}

/** As the client saw it, where it did. */
const viewOf = ({ client, server }: OperationView) => client ?? server

const figures = {
  time: (operation: OperationView) => viewOf(operation)?.timeUs ?? 0,
  requests: (operation: OperationView) => viewOf(operation)?.requests ?? 0,
  errors: (operation: OperationView) => viewOf(operation)?.errors ?? 0,
  p99: (operation: OperationView) => viewOf(operation)?.firstByteUs?.p99 ?? 0,
}

function keyOf({ edge, protocol, operation, host }: OperationView): string {
  return fingerprint(`${edge}\n${protocol}\n${operation}\n${host ?? ''}`)
}

function matcher(given: OperationsParameters): (operation: OperationView) => boolean {
  const match = given.match?.toLowerCase()
  return each =>
    (given.source === undefined || each.source === given.source) &&
    (given.target === undefined || each.target === given.target) &&
    (given.block === undefined || each.block === given.block) &&
    (given.status === undefined || hasStatus(each, given.status)) &&
    (match === undefined || `${each.operation}\n${each.host ?? ''}`.toLowerCase().includes(match))
}

function hasStatus({ client, server }: OperationView, status: number): boolean {
  return (client?.statuses[status] ?? 0) > 0 || (server?.statuses[status] ?? 0) > 0
}
