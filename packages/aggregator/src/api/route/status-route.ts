import Type, { type Static } from 'typebox'
import type { ApiContext, ApiServer } from '../api-deps.ts'
import { demandRight } from '../auth/access.ts'
import { oapFigures } from '../oap-figures.ts'
import { otlpFigures } from '../otlp-figures.ts'
import { processFigures } from '../process-figures.ts'
import { refusals } from '../schema/problem-schema.ts'
import type { statusSchema } from '../schema/status-schema.ts'

const schema = {
  summary: 'Who reports, what was lost where, and whether the numbers add up',
  tags: ['status'],
  querystring: Type.Object({}, { additionalProperties: false }),
  response: {
    200: { description: 'Status', content: { 'application/json': { schema: Type.Ref('Status#') } } },
    ...refusals,
  },
}

export function statusRoute(app: ApiServer, context: ApiContext): void {
  const startedAt = new Date(context.now()).toISOString()
  app.get('/status', { schema }, async (request, reply) => {
    await demandRight(request, '/status')
    const nowMs = context.now()
    const { ready, reasons } = context.readiness()
    const status = {
      version: context.version,
      startedAt,
      now: new Date(nowMs).toISOString(),
      ready,
      reasons: [...reasons],
      notes: [...(context.notes ?? [])],
      ingest: context.reader.ingestStatus(nowMs),
      ...(context.kubernetes && { kubernetes: context.kubernetes() }),
      ...(context.bus && { bus: context.bus() }),
      collectors: [...context.collectors()],
      ...(context.oap && { oap: oapFigures(context.oap()) }),
      ...(context.otlp && { otlp: otlpFigures(context.otlp()) }),
      api: {
        streamClients: context.streams.clients(),
        streamClientsMax: context.options.maxStreamClients,
        streamClientsCut: context.streams.cut(),
      },
      process: processFigures(),
    }
    reply.header('cache-control', 'no-store').type('application/json; charset=utf-8')
    return reply.send(JSON.stringify(status satisfies ReadonlyDeep<Static<typeof statusSchema>>))
  })
}

type ReadonlyDeep<T> = T extends object ? { readonly [K in keyof T]: ReadonlyDeep<T[K]> } : T
