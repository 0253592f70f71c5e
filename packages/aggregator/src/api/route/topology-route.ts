import Type from 'typebox'
import { selectorText } from '../../resolve/label-selector.ts'
import type { TopologyQuery } from '../../topology/answer.ts'
import type { ApiContext, ApiServer } from '../api-deps.ts'
import { viewerOf } from '../auth/viewer.ts'
import { notModified } from '../conditional.ts'
import { graphContentTypes, graphFormats, renderGraph } from '../format/graph-format.ts'
import { focusParameters, graphParameters, includeParameter, timeParameters } from '../query-schema.ts'
import { refusals } from '../schema/problem-schema.ts'
import { minuteMs } from '../time-range.ts'
import { rangeOf, topologyQuery } from '../topology-query.ts'

const schema = {
  summary: 'Who talks to whom, how well, and why not',
  description: [
    'One document per range and grouping, with a strong ETag. Absent means not measured; 0 means zero. Edges are',
    'summaries, in which a figure that follows from others is left out; `include=detail` gives every counter.',
  ].join('\n'),
  tags: ['topology'],
  querystring: Type.Object(
    {
      ...timeParameters,
      ...graphParameters,
      ...focusParameters,
      ...includeParameter,
      format: Type.Optional(Type.Enum([...graphFormats], { description: 'native if absent' })),
    },
    { additionalProperties: false },
  ),
  response: {
    200: {
      description: 'The topology of the range, in the asked format',
      content: {
        'application/json': { schema: Type.Ref('Topology#') },
        'text/vnd.graphviz': { schema: Type.String() },
        'text/vnd.mermaid': { schema: Type.String() },
      },
    },
    304: { description: 'The copy named in If-None-Match is still right', type: 'null' },
    ...refusals,
  },
}

export function topologyRoute(app: ApiServer, context: ApiContext): void {
  const { cache, bodies, options } = context
  app.get('/topology', { schema }, async (request, reply) => {
    const nowMs = context.now()
    const range = rangeOf(request.query, nowMs, options.maxRangeMs)
    const { scope } = viewerOf(request)
    const query = topologyQuery(request.query, range, options.defaultGroupBy, scope)
    const format = request.query.format ?? 'native'
    const version = cache.version(query, nowMs)
    const links = linksOf(query, nowMs)
    const representation = links.next === undefined ? `${format}-last` : format
    if (notModified(request, reply, `${version}-${representation}`, range, nowMs)) {
      return reply.code(304).send()
    }
    const body = bodies.get(`${version} ${representation}`, reuse => {
      if (format === 'native') return nativeBody(context.reader.topologyJson(query, nowMs, reuse), links)
      return Buffer.from(renderGraph(format, cache.answer(query, version, nowMs)))
    })
    // closed means sent, or cut: nobody reads these bytes any more
    reply.raw.once('close', body.release)
    return reply.type(graphContentTypes[format]).send(body.bytes)
  })
}

interface Links {
  readonly self: string
  readonly prev: string
  readonly next?: string
}

/** The core's own text with the links put in before its closing brace: a large answer is neither parsed nor copied. */
function nativeBody(answer: Uint8Array<ArrayBuffer>, links: Links): Buffer<ArrayBuffer> {
  const tail = Buffer.from(`,"links":${JSON.stringify(links)}}`)
  const length = answer.length - 1 + tail.length
  // the core's buffer usually has room behind the text; it is ours from here on
  const hasRoom = answer.byteOffset + length <= answer.buffer.byteLength
  const body = hasRoom ? Buffer.from(answer.buffer, answer.byteOffset, length) : Buffer.allocUnsafe(length)
  if (!hasRoom) body.set(answer)
  body.set(tail, answer.length - 1)
  return body
}

function linksOf(query: TopologyQuery, nowMs: number): Links {
  const lengthMs = query.toMs - query.fromMs
  const currentEndMs = Math.floor(nowMs / minuteMs) * minuteMs + minuteMs
  const links = { self: linkTo(query, 0), prev: linkTo(query, -lengthMs) }
  const shiftMs = Math.min(lengthMs, currentEndMs - query.toMs)
  return shiftMs > 0 ? { ...links, next: linkTo(query, shiftMs) } : links
}

function linkTo(query: TopologyQuery, shiftMs: number): string {
  const { fromMs, toMs, detail, ends, scope: _scope, ...rest } = query
  const parameters = new URLSearchParams({
    from: new Date(fromMs + shiftMs).toISOString(),
    to: new Date(toMs + shiftMs).toISOString(),
  })
  for (const [name, value] of Object.entries(rest)) parameters.set(name, String(value))
  for (const namespace of ends?.namespaces ?? []) parameters.append('namespace', namespace)
  if (ends && ends.labels.length > 0) parameters.set('labels', selectorText(ends.labels))
  if (detail === true) parameters.set('include', 'detail')
  return `/api/v1/topology?${parameters}`
}
