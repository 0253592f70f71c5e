import Type from 'typebox'
import type { ApiContext, ApiServer } from '../api-deps.ts'

const querystring = Type.Object({}, { additionalProperties: false })
const health = { content: { 'application/json': { schema: Type.Ref('Health#') } } }

/**
 * A probe must get its answer when the rest is overloaded or limited, or the process is killed for being busy; and it
 * has no token.
 */
const config = { rateLimit: false as const, pressureHandler: () => undefined, open: true }

/** `/livez`: the event loop turns. `/readyz`: the aggregator reads its bus and is not shutting down. */
export function healthRoutes(app: ApiServer, context: ApiContext): void {
  const live = {
    summary: 'Is the process alive',
    tags: ['health'],
    security: [],
    querystring,
    response: { 200: { description: 'It is', ...health } },
  }
  app.get('/livez', { config, schema: live }, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(JSON.stringify({ status: 'ok', reasons: [] })),
  )
  const ready = {
    summary: 'Can it answer',
    tags: ['health'],
    security: [],
    querystring,
    response: { 200: { description: 'It can', ...health }, 503: { description: 'Not now', ...health } },
  }
  app.get('/readyz', { config, schema: ready }, async (_request, reply) => {
    const { ready, reasons } = context.readiness()
    reply.code(ready ? 200 : 503).type('application/json; charset=utf-8')
    return reply.send(JSON.stringify({ status: ready ? 'ok' : 'not_ready', reasons }))
  })
}
