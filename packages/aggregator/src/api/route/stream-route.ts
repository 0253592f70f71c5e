import type { ServerResponse } from 'node:http'
import Type from 'typebox'
import type { ApiContext, ApiServer } from '../api-deps.ts'
import { isSameView, type Viewer, viewerOf } from '../auth/viewer.ts'
import { RequestProblem } from '../problem.ts'
import { focusParameters, graphParameters, includeParameter, windowParameter } from '../query-schema.ts'
import { refusals } from '../schema/problem-schema.ts'
import type { LiveQuestion, StreamHub } from '../stream/stream-hub.ts'
import type { StreamClient } from '../stream/topology-channel.ts'
import { rangeOf, topologyQuery } from '../topology-query.ts'

const schema = {
  summary: 'The topology of the running window, live (server-sent events)',
  description: [
    'Events: `snapshot` (a whole topology), `patch` (`nodes` and `edges`, each with `add`, `update` and `remove`),',
    '`window` (the window moved or closed), `gap` (what the client saw last is no longer known; a snapshot follows).',
    'A client that sends `Last-Event-ID` gets what it missed. A comment comes every 15 s when nothing else does.',
    'A client that lets more than 1 MiB wait is cut.',
  ].join('\n'),
  tags: ['topology'],
  querystring: Type.Object(
    { ...windowParameter, ...graphParameters, ...focusParameters, ...includeParameter },
    { additionalProperties: false },
  ),
  response: {
    200: { description: 'A stream of events', content: { 'text/event-stream': { schema: Type.String() } } },
    ...refusals,
  },
}

export function streamRoute(app: ApiServer, context: ApiContext, hub: StreamHub): void {
  const { options } = context
  app.get('/topology/stream', { schema, exposeHeadRoute: false }, async (request, reply) => {
    const range = rangeOf(request.query, context.now(), options.maxRangeMs)
    const viewer = viewerOf(request)
    const { fromMs, toMs, ...query } = topologyQuery(
      request.query,
      range,
      options.defaultGroupBy,
      viewer.scope,
    )
    const question: LiveQuestion = { windowMs: toMs - fromMs, query }
    if (!hub.hasRoom(question)) {
      throw new RequestProblem(503, 'too-many-streams', 'Too many live clients; poll /topology instead.', {
        retryAfterSeconds: 30,
      })
    }
    const lastEventId = headerText(request.headers['last-event-id'])
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value)
    }
    reply.hijack()
    openStream(reply.raw, context, hub, question, viewer, lastEventId)
  })
}

function openStream(
  raw: ServerResponse,
  context: ApiContext,
  hub: StreamHub,
  question: LiveQuestion,
  viewer: Viewer,
  lastEventId: string | undefined,
): void {
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  raw.write('retry: 2000\n\n')
  const client = clientOf(raw, context.options.streamBufferBytes, hub)
  let leave: (() => void) | undefined
  const heartbeat = setInterval(
    () => client.send(Buffer.from(': still here\n\n')),
    context.options.streamHeartbeatMs,
  )
  heartbeat.unref()
  const watch = endWhenSeenOtherwise(raw, viewer, context)
  raw.on('close', () => {
    clearInterval(heartbeat)
    clearInterval(watch)
    leave?.()
  })
  raw.on('error', error => context.log.debug({ err: error }, 'a live client went away'))
  try {
    leave = hub.join(question, client, lastEventId, () => raw.end())
    client.opened = true
  } catch (error) {
    context.log.error({ err: error }, 'a live view could not be opened')
    raw.destroy()
  }
  if (raw.destroyed) leave?.()
}

/** A client that may see something else by now, or nothing, is cut off; it comes back and is asked who it is. */
function endWhenSeenOtherwise(raw: ServerResponse, viewer: Viewer, context: ApiContext): NodeJS.Timeout {
  const watch = async () => {
    const isSame = await viewer.again().then(
      now => isSameView(viewer, now),
      () => false,
    )
    if (!isSame) raw.end()
  }
  return setInterval(() => void watch(), context.options.streamAccessMs).unref()
}

/**
 * What brings a new client up to date is always written, and a later write larger than the cap goes out whole to a
 * client that has read everything before it.
 */
function clientOf(
  raw: ServerResponse,
  bufferBytes: number,
  hub: StreamHub,
): StreamClient & { opened: boolean } {
  return {
    opened: false,
    send(event) {
      if (raw.destroyed || raw.writableEnded) return
      const waiting = raw.writableLength
      if (this.opened && waiting > 0 && waiting + event.length > bufferBytes) {
        hub.countCut()
        raw.destroy()
        return
      }
      raw.write(event)
    },
  }
}

function headerText(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && value.length > 0 ? value : undefined
}
