import { constants, createServer, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { loadConfig } from '@skybraid/shared'
import { afterEach, expect, it, vi } from 'vitest'
import { createOapConnection } from './oap-connection.ts'
import { type OapConfig, oapConfigSchema } from './options.ts'

afterEach(() => {
  vi.useRealTimers()
})

it('never pings: OAP ends connections that ping more often than every five minutes', async () => {
  const sessions: ServerHttp2Session[] = []
  let pings = 0
  const opened = Promise.withResolvers<void>()
  const server = createServer()
  server.on('session', session => {
    sessions.push(session)
    session.on('ping', () => pings++)
  })
  // an OAP that reads and does not answer
  server.on('stream', stream => {
    stream.resume()
    stream.on('error', () => {})
    opened.resolve()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const loaded = loadConfig(oapConfigSchema, { args: ['--oap', address], env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval'] })
  const connection = createOapConnection(address, loaded.config as OapConfig)
  try {
    const answered = connection.send([])
    await opened.promise
    // as long as a stream may stay open, and then without one
    for (let second = 0; second < 360; second++) {
      await vi.advanceTimersByTimeAsync(1000)
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(sessions).toHaveLength(1)
    expect(pings).toBe(0)
    sessions[0]!.close()
    sessions[0]!.destroy(undefined, constants.NGHTTP2_NO_ERROR)
    expect((await answered).isStalled).toBe(true)
  } finally {
    connection.close()
    server.close()
  }
})
