import Type from 'typebox'
import type { ApiServer } from '../api-deps.ts'

/** `GET /openapi.json`: the OpenAPI 3.1 document, made from the schemas of the routes. */
export function openApiRoute(app: ApiServer): void {
  let document: string | undefined
  const schema = {
    summary: 'This document',
    tags: ['status'],
    querystring: Type.Object({}, { additionalProperties: false }),
    response: {
      200: {
        description: 'OpenAPI 3.1',
        content: { 'application/json': { schema: Type.Unsafe<string>({ type: 'object' }) } },
      },
    },
  }
  app.get('/openapi.json', { schema }, async (_request, reply) => {
    document ??= JSON.stringify(app.swagger())
    return reply
      .header('cache-control', 'private, max-age=60')
      .type('application/json; charset=utf-8')
      .send(document)
  })
}
