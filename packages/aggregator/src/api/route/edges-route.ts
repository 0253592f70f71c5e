import Type, { type Static } from 'typebox'
import type { GroupBy } from '../../resolve/entity.ts'
import type { ViewScope } from '../../resolve/view-scope.ts'
import type { TopologyEdge, TopologyQuery } from '../../topology/answer.ts'
import type { ApiContext, ApiServer } from '../api-deps.ts'
import { viewerOf } from '../auth/viewer.ts'
import { notModified } from '../conditional.ts'
import { type EdgeCursor, encodeCursor, fingerprint } from '../cursor.ts'
import { edgeBytes, edgeLost, edgeRetransmits } from '../format/edge-figures.ts'
import { cursorOf, linkToNext, questionOf, walkRange } from '../page-walk.ts'
import { graphParameters, timeParameters } from '../query-schema.ts'
import { refusals } from '../schema/problem-schema.ts'
import type { TimeRange } from '../time-range.ts'
import { rangeOf, topologyQuery } from '../topology-query.ts'

const sortKeys = ['bytes', 'opened', 'failed', 'retransmits', 'lost', 'id'] as const
type SortKey = (typeof sortKeys)[number]

const querySchema = Type.Object(
  {
    ...timeParameters,
    ...graphParameters,
    sort: Type.Optional(
      Type.Enum([...sortKeys, '-bytes', '-opened', '-failed', '-retransmits', '-lost', '-id'], {
        description: 'a leading - sorts downwards; -bytes if absent. Edges without the figure come last',
      }),
    ),
    match: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'part of the source, the target or via, any case',
      }),
    ),
    source: Type.Optional(
      Type.String({ minLength: 1, maxLength: 512, description: 'id of the dialling node' }),
    ),
    target: Type.Optional(
      Type.String({ minLength: 1, maxLength: 512, description: 'id of the accepting node' }),
    ),
    port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535 })),
    observed: Type.Optional(Type.Enum(['client', 'server', 'both'])),
    health: Type.Optional(Type.Enum(['ok', 'degraded', 'failing'])),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 5000, description: 'edges a page; 500 if absent' }),
    ),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 2048, description: 'from nextCursor' })),
  },
  { additionalProperties: false },
)
type EdgesQuery = Static<typeof querySchema>

const schema = {
  summary: 'The edges of a range, page by page',
  tags: ['topology'],
  querystring: querySchema,
  response: {
    200: {
      description: 'One page; Link rel=next leads to the next',
      content: { 'application/json': { schema: Type.Ref('EdgeList#') } },
    },
    304: { description: 'The copy named in If-None-Match is still right', type: 'null' },
    ...refusals,
  },
}

export function edgesRoute(app: ApiServer, context: ApiContext): void {
  const { cache, options } = context
  app.get('/edges', { schema }, async (request, reply) => {
    const nowMs = context.now()
    const given = request.query
    const cursor = cursorOf(given.cursor, questionOf(given))
    const range = walkRange(cursor, rangeOf(given, nowMs, options.maxRangeMs), options.maxRangeMs)
    const query = allEdges(given, range, options.defaultGroupBy, viewerOf(request).scope)
    const version = cache.version(query, nowMs)
    const pageName = fingerprint(JSON.stringify([questionOf(given), given.limit ?? 0, given.cursor ?? '']))
    if (notModified(request, reply, `${version}-${pageName}`, range, nowMs)) return reply.code(304).send()
    const { window, completeness, groupBy, notes, edges } = cache.answer(query, version, nowMs)
    const page = pageOf(edges, given, cursor, range)
    if (page.nextCursor !== undefined) reply.header('link', linkToNext(request.url, page.nextCursor))
    reply.type('application/json; charset=utf-8')
    return reply.send(JSON.stringify({ window, completeness, groupBy, ...page, notes }))
  })
}

/** A list is never collapsed to a coarser grouping: its pages bound it instead. */
function allEdges(
  given: EdgesQuery,
  range: TimeRange,
  defaultGroupBy: GroupBy,
  scope: ViewScope | undefined,
): TopologyQuery {
  return { ...topologyQuery(given, range, defaultGroupBy, scope), limit: Number.MAX_SAFE_INTEGER }
}

function pageOf(
  edges: readonly TopologyEdge[],
  given: EdgesQuery,
  cursor: EdgeCursor | undefined,
  range: TimeRange,
): { total: number; edges: TopologyEdge[]; nextCursor?: string } {
  const { key, down } = sortOf(given)
  const rows = edges.filter(matcher(given)).map(edge => ({ edge, value: figure(edge, key, down) }))
  rows.sort((a, b) => compare(a.value, a.edge.id, b.value, b.edge.id, down))
  const start =
    cursor === undefined
      ? 0
      : rows.findIndex(row => compare(row.value, row.edge.id, cursor.value, cursor.id, down) > 0)
  const limit = given.limit ?? 500
  const page = start < 0 ? [] : rows.slice(start, start + limit)
  const last = page.at(-1)
  const total = rows.length
  if (last === undefined || start + limit >= total) return { total, edges: page.map(row => row.edge) }
  const next: EdgeCursor = { fromMs: range.fromMs, toMs: range.toMs, value: last.value, id: last.edge.id }
  return { total, edges: page.map(row => row.edge), nextCursor: encodeCursor(next, questionOf(given)) }
}

function compare(a: number | string, aId: string, b: number | string, bId: string, down: boolean): number {
  const order = a === b ? 0 : a < b ? -1 : 1
  if (order !== 0) return down ? -order : order
  return aId === bId ? 0 : aId < bId ? -1 : 1
}

function figure(edge: TopologyEdge, key: SortKey, down: boolean): number | string {
  if (key === 'id') return edge.id
  if (key === 'bytes') return edgeBytes(edge)
  if (key === 'opened') return edge.tcp?.opened ?? edge.udp?.client?.flows ?? edge.udp?.server?.flows ?? 0
  if (key === 'failed') return edge.tcp?.failed ?? 0
  if (key === 'retransmits') return edgeRetransmits(edge)
  return edgeLost(edge) ?? (down ? -1 : Number.MAX_SAFE_INTEGER)
}

function matcher(given: EdgesQuery): (edge: TopologyEdge) => boolean {
  const match = given.match?.toLowerCase()
  return edge =>
    (given.source === undefined || edge.source === given.source) &&
    (given.target === undefined || edge.target === given.target) &&
    (given.port === undefined || edge.port === given.port) &&
    (given.observed === undefined || edge.observed === given.observed) &&
    (given.health === undefined || edge.health === given.health) &&
    (match === undefined || `${edge.source}\n${edge.target}\n${edge.via ?? ''}`.toLowerCase().includes(match))
}

function sortOf(given: EdgesQuery): { key: SortKey; down: boolean } {
  const sort = given.sort ?? '-bytes'
  return sort.startsWith('-')
    ? { key: sort.slice(1) as SortKey, down: true }
    : { key: sort as SortKey, down: false }
}
