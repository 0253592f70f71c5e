import { expositionContentType } from '@skybraid/shared'
import Type from 'typebox'
import type { ApiContext, ApiServer } from '../api-deps.ts'
import { demandRight } from '../auth/access.ts'
import { writeEdgeMetrics } from '../metrics/edge-metrics.ts'
import { MetricSet } from '../metrics/metric-set.ts'
import { writeSelfMetrics } from '../metrics/self-metrics.ts'
import { refusals } from '../schema/problem-schema.ts'

const schema = {
  summary:
    'Figures about skybraid itself, for Prometheus; per-edge series only if asked for in the configuration',
  tags: ['status'],
  querystring: Type.Object({}, { additionalProperties: false }),
  response: {
    200: { description: 'Exposition format 0.0.4', content: { 'text/plain': { schema: Type.String() } } },
    ...refusals,
  },
}

export function metricsRoute(app: ApiServer, context: ApiContext): void {
  app.get('/metrics', { schema }, async (request, reply) => {
    const { scope } = await demandRight(request, '/metrics')
    const out = new MetricSet()
    writeSelfMetrics(out, context)
    writeEdgeMetrics(out, context, scope)
    return reply.type(expositionContentType).send(out.toString())
  })
}
