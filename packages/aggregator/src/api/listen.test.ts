import { createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { fixtureServer } from './fixture/fixture-server.testing.ts'
import { checkListenAddress, listenOn } from './listen.ts'

// servers and sockets: generous, because test machines are shared
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

describe('checkListenAddress', () => {
  it.each(['127.0.0.1', '127.8.9.1', 'localhost', '::1'])('takes %s', host => {
    expect(() =>
      checkListenAddress({ listen: { host, port: 7100 }, apiAuth: 'token', insecure: false }),
    ).not.toThrow()
  })

  it.each(['0.0.0.0', '::', '10.0.0.4', 'example.org', '127.evil.org'])(
    'refuses %s without a token',
    host => {
      const listen = { host, port: 7100 }
      expect(() => checkListenAddress({ listen, apiAuth: 'token', insecure: false })).toThrow(
        expect.objectContaining({
          code: 'SB_CONFIG',
          message: expect.stringMatching(/--api-token-file.*--insecure/),
        }),
      )
      expect(() => checkListenAddress({ listen, apiAuth: 'token', insecure: true })).not.toThrow()
      const closed = { listen, insecure: false }
      expect(() => checkListenAddress({ ...closed, apiAuth: 'token', apiTokenFile: '/t' })).not.toThrow()
      expect(() => checkListenAddress({ ...closed, apiAuth: 'kubernetes' })).not.toThrow()
    },
  )
})

describe('listenOn', () => {
  it('says in one sentence that the port is taken', async () => {
    const taken: Server = createServer()
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
    closers.push(() => taken.close())
    const { port } = taken.address() as { port: number }
    const { app } = await fixtureServer()
    closers.push(() => app.close())
    const failure = await listenOn(app, { host: '127.0.0.1', port }).catch(error => error)
    expect(failure).toMatchObject({ name: 'SkybraidError', code: 'SB_LISTEN' })
    expect(failure.message).toMatch(new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is taken`))
  })

  it('answers the port the system chose', async () => {
    const { app } = await fixtureServer()
    closers.push(() => app.close())
    const { port } = await listenOn(app, { host: '127.0.0.1', port: 0 })
    expect(port).toBeGreaterThan(0)
    const answer = await fetch(`http://127.0.0.1:${port}/livez`)
    expect(answer.status).toBe(200)
  })
})
