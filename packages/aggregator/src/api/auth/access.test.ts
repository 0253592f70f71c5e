import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import supertest from 'supertest'
import Value from 'typebox/value'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type FixtureServer, fixtureServer } from '../fixture/fixture-server.testing.ts'
import { problemSchema } from '../schema/problem-schema.ts'
import { bearerOf, isSameToken, tokenProblem } from './bearer-token.ts'
import { openTokenFile } from './token-file.ts'

// servers and sockets: generous, because test machines are shared
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const token = 'first-token-of-this-api'
const log = pino({ level: 'silent' })

let folder = ''
let file = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skybraid-token-'))
  file = join(folder, 'token')
  writeFileSync(file, `${token}\n`)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('an API with a token', () => {
  let server: FixtureServer
  const clock = { ms: 0 }
  async function start(requestsPerSecond = 0) {
    server = await fixtureServer(
      { requestsPerSecond, loopbackOnly: false },
      { isToken: openTokenFile(file, log, () => clock.ms) },
    )
    await server.app.listen({ host: '127.0.0.1', port: 0 })
    return supertest(server.app.server)
  }
  afterEach(() => server.app.close())

  const closed = [
    '/topology',
    '/topology/stream',
    '/edges',
    '/flows',
    '/status',
    '/metrics',
    '/openapi.json',
    '/problems',
  ]

  it('answers nothing but probes and the page without it', async () => {
    const api = await start()
    for (const path of [...closed, ...closed.map(path => `/api/v1${path}`), '/nosuch', '/edges?nosuch=1']) {
      const answer = await api.get(path)
      expect(answer.status, path).toBe(401)
      expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8')
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="skybraid"')
      expect(Value.Errors(problemSchema, answer.body)).toEqual([])
      expect(answer.body.type).toBe('/problems#unauthorized')
    }
    expect((await api.head('/topology')).status).toBe(401)
    expect((await api.post('/topology').send({ a: 1 })).status).toBe(401)
    for (const path of ['/livez', '/readyz', '/api/v1/readyz', '/', '/app.js', '/app.css', '/icon.svg']) {
      expect((await api.get(path)).status, path).toBe(200)
      expect((await api.head(path)).status, path).toBe(200)
    }
  })

  it('answers everything with it', async () => {
    const api = await start()
    for (const path of closed.filter(path => path !== '/topology/stream'))
      expect((await api.get(path).set('authorization', `Bearer ${token}`)).status, path).toBe(200)
    const { body } = await api.get('/openapi.json').set('authorization', `Bearer ${token}`)
    expect(body.security).toEqual([{ token: [] }])
    expect(body.components.securitySchemes.token.scheme).toBe('bearer')
    expect(body.components.schemas).toHaveProperty('Problem')
    expect(body.paths['/api/v1/livez'].get.security).toEqual([])
    expect((await api.get('/nosuch').set('authorization', `bearer ${token}`)).status).toBe(404)
    expect((await api.post('/topology').set('authorization', `Bearer ${token}`)).status).toBe(405)
  })

  it.each([`Bearer ${token}x`, `Bearer ${token.slice(0, -1)}`, 'Bearer undefined'])(
    'says that %s is another token, without showing its own',
    async authorization => {
      const answer = await (await start()).get('/status').set('authorization', authorization)
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="skybraid", error="invalid_token"')
      expect(JSON.stringify(answer.body)).not.toContain(token.slice(0, 8))
    },
  )

  it.each(['Bearer', 'Bearer  ', token, `Basic ${token}`, `Bearer ${token} ${token}`])(
    'takes no other form: %j',
    async authorization => {
      expect((await (await start()).get('/status').set('authorization', authorization)).status).toBe(401)
    },
  )

  it('limits guesses like any requests', async () => {
    const api = await start(1)
    const statuses: number[] = []
    for (let guess = 0; guess < 11; guess++)
      statuses.push((await api.get('/status').set('authorization', `Bearer guess-${guess}`)).status)
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429])
  })

  it('wants the new token soon after the file was replaced, and keeps the last while there is none', async () => {
    const api = await start()
    const statusWith = async (given: string) =>
      (await api.get('/status').set('authorization', `Bearer ${given}`)).status
    writeFileSync(`${file}.new`, 'second-token-of-this-api')
    renameSync(`${file}.new`, file)
    clock.ms += 1_000
    expect(await statusWith(token)).toBe(401)
    expect(await statusWith('second-token-of-this-api')).toBe(200)
    for (const breaking of [() => writeFileSync(file, ''), () => rmSync(file)]) {
      breaking()
      clock.ms += 1_000
      expect(await statusWith('second-token-of-this-api')).toBe(200)
      expect(await statusWith('')).toBe(401)
    }
  })
})

describe('the token file', () => {
  it.each([
    ['', 'it is empty'],
    [' \n', 'it is empty'],
    ['short', 'can be guessed'],
    ['two words that are long enough', 'one line of letters'],
    ['first-token-of-this\nsecond-token-of-this', 'one line of letters'],
    ['x'.repeat(1_025), 'at most 1024'],
  ])('refuses %j in words that do not show it', (text, words) => {
    writeFileSync(file, text)
    const failure = failureOf(() => openTokenFile(file, log, () => 0))
    expect(failure).toMatchObject({ code: 'SB_CONFIG', message: expect.stringContaining(words) })
    if (text.trim() !== '') expect(failure.message).not.toContain(text)
  })

  it('says which file is not there', () => {
    rmSync(file)
    const failure = failureOf(() => openTokenFile(file, log, () => 0))
    expect(failure).toMatchObject({ code: 'SB_CONFIG', message: expect.stringContaining('ENOENT') })
  })
})

describe('a bearer token', () => {
  it('is read from a header of any case', () => {
    expect(bearerOf('bEaReR abc')).toBe('abc')
    expect(bearerOf(undefined)).toBeUndefined()
    expect(bearerOf('Bearer')).toBeUndefined()
  })

  it('is compared whole, whatever the lengths', () => {
    expect(isSameToken(token, token)).toBe(true)
    expect(isSameToken('', token)).toBe(false)
    expect(isSameToken(`${token}\u0000`, token)).toBe(false)
  })

  it('may be base64', () => {
    expect(tokenProblem('AbCdEfGhIjKlMnOp+/==')).toBeUndefined()
  })
})

function failureOf(work: () => unknown): Error {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}
