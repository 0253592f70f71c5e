import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type Readiness, type StatusServer, startStatusServer } from './status-server.ts'

const running: StatusServer[] = []
afterEach(async () => {
  for (const server of running.splice(0)) await server.close()
})

async function start(readiness: Readiness = { ready: true, reasons: [] }) {
  const server = await startStatusServer({
    listen: { host: '127.0.0.1', port: 0 },
    readiness: () => readiness,
    status: () => ({ node: 'n' }),
    metrics: () => 'up 1\n',
  })
  running.push(server)
  const base = `http://127.0.0.1:${server.address.port}`
  return { server, ask: (path: string, init?: RequestInit) => fetch(base + path, init) }
}

/** Everything the server sends back on one connection until it closes it. */
function raw(port: number, text: string): Promise<string> {
  return new Promise(resolve => {
    let received = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('data', chunk => {
      received += chunk.toString()
    })
    socket.on('error', () => resolve(received))
    socket.on('close', () => resolve(received))
  })
}

describe('startStatusServer', () => {
  it('serves the four paths', async () => {
    const { ask } = await start()
    expect(await (await ask('/livez')).json()).toEqual({ status: 'ok', reasons: [] })
    expect(await (await ask('/readyz')).json()).toEqual({ status: 'ok', reasons: [] })
    expect(await (await ask('/status')).json()).toEqual({ node: 'n' })
    const metrics = await ask('/metrics')
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(await metrics.text()).toBe('up 1\n')
  })

  it('says with 503 why it is not ready, and stays alive', async () => {
    const { ask } = await start({ ready: false, reasons: ['It is shutting down.'] })
    const answer = await ask('/readyz')
    expect(answer.status).toBe(503)
    expect(await answer.json()).toEqual({ status: 'not_ready', reasons: ['It is shutting down.'] })
    expect((await ask('/livez')).status).toBe(200)
  })

  it.each([
    ['/nothing', 'GET', 404],
    ['/', 'GET', 404],
    ['/constructor', 'GET', 404],
    ['/status', 'POST', 405],
    ['/status', 'HEAD', 405],
    ['/status?pretty=1', 'GET', 400],
  ])('refuses %s by %s with %d as problem+json', async (path, method, status) => {
    const { ask } = await start()
    const answer = await ask(path, { method })
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    if (status === 405) expect(answer.headers.get('allow')).toBe('GET')
    if (method !== 'HEAD') expect(await answer.json()).toMatchObject({ status, instance: path.split('?')[0] })
  })

  it('does not read what it did not ask for: bodies, large headers', async () => {
    const { server } = await start()
    const { port } = server.address
    const body = await raw(port, 'GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nabc')
    expect(body).toMatch(/^HTTP\/1\.1 200/)
    expect(body.toLowerCase()).toContain('connection: close')
    const large = await raw(port, `GET /livez HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)
    expect(large).toMatch(/^HTTP\/1\.1 431/)
  })

  it('ends connections that send their request too slowly', async () => {
    const { server } = await start()
    const answer = await raw(server.address.port, 'GET /livez HTTP/1.1\r\nhost: x\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 408/)
  }, 15_000)

  it('says in a sentence that the address is taken', async () => {
    const { server } = await start()
    const again = startStatusServer({
      listen: { host: '127.0.0.1', port: server.address.port },
      readiness: () => ({ ready: true, reasons: [] }),
      status: () => ({}),
      metrics: () => '',
    })
    await expect(again).rejects.toMatchObject({
      code: 'SB_LISTEN',
      message: expect.stringMatching(/another program listens there; .*--status-listen\.$/),
    })
  })
})
