import underPressure from '@fastify/under-pressure'
import Fastify, { type FastifyError } from 'fastify'
import Value from 'typebox/value'
import { afterEach, expect, it } from 'vitest'
import { createPressureHandler } from './pressure.ts'
import { sendProblem, toProblem } from './problem.ts'
import { problemSchema } from './schema/problem-schema.ts'

const apps: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

/** A server that is always under pressure: no process fits into one byte. */
async function pressedServer(nowMs: () => number) {
  const app = Fastify()
  apps.push(app)
  app.setErrorHandler<FastifyError>((error, request, reply) =>
    sendProblem(toProblem(error, request), request, reply),
  )
  await app.register(underPressure, {
    maxRssBytes: 1,
    sampleInterval: 10,
    pressureHandler: createPressureHandler(nowMs),
  })
  app.get('/topology', async () => 'answer')
  app.get('/livez', { config: { pressureHandler: () => undefined } }, async () => 'alive')
  await app.ready()
  await expect.poll(() => app.isUnderPressure()).toBe(true)
  return app
}

it('answers 503 with Retry-After under pressure, but not right after the start and never to a probe', async () => {
  let nowMs = 0
  const app = await pressedServer(() => nowMs)
  expect((await app.inject('/topology')).body).toBe('answer')
  nowMs = 10_000
  const refused = await app.inject('/topology?window=5m')
  expect(refused.statusCode).toBe(503)
  expect(refused.headers['retry-after']).toBe('2')
  expect(refused.headers['content-type']).toBe('application/problem+json; charset=utf-8')
  expect(Value.Errors(problemSchema, refused.json())).toEqual([])
  expect((await app.inject('/livez')).body).toBe('alive')
})
