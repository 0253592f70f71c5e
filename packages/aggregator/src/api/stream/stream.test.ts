import { createConnection, type Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { ApiOptions } from '../api-deps.ts'
import { fixtureEdge, fixtureNode } from '../fixture/fixture-reader.testing.ts'
import { type FixtureServer, fixtureServer } from '../fixture/fixture-server.testing.ts'

// servers and sockets: generous, because test machines are shared
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

let server: FixtureServer
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await server.app.close()
})

async function start(options: Partial<ApiOptions>): Promise<number> {
  server = await fixtureServer({ streamTickMs: 20, ...options })
  await server.app.listen({ host: '127.0.0.1', port: 0 })
  return (server.app.server.address() as { port: number }).port
}

/** A client that shows the raw text it got; the test decides whether it reads. */
function open(port: number, headers = '', query = '') {
  const socket = createConnection(port, '127.0.0.1')
  sockets.push(socket)
  const state = { socket, text: '', closed: false }
  socket.on('data', chunk => {
    state.text += chunk.toString()
  })
  socket.on('close', () => {
    state.closed = true
  })
  socket.on('error', () => undefined)
  socket.write(`GET /topology/stream${query} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`)
  return state
}

const eventually = { timeout: 5000, interval: 10 }

describe('/topology/stream', () => {
  it('sends a snapshot, patches and heartbeats', async () => {
    const port = await start({ streamHeartbeatMs: 50 })
    const one = open(port)
    await vi.waitFor(() => expect(one.text).toContain('event: snapshot'), eventually)
    expect(one.text).toMatch(/content-type: text\/event-stream/i)
    expect(one.text).toMatch(/content-security-policy/i)
    server.reader.edges = [fixtureEdge('curl', 'nginx', 77)]
    server.reader.touch()
    await vi.waitFor(() => expect(one.text).toContain('event: patch'), eventually)
    expect(one.text).toContain('"bytesSent":77')
    await vi.waitFor(() => expect(one.text).toContain(': still here'), eventually)
  })

  it('resumes over a new connection by Last-Event-ID', async () => {
    const port = await start({})
    const one = open(port)
    await vi.waitFor(() => expect(one.text).toContain('event: snapshot'), eventually)
    const id = /^id: (\S+)$/m.exec(one.text)![1]!
    one.socket.destroy()
    await vi.waitFor(async () => expect((await status()).api.streamClients).toBe(0), eventually)
    server.reader.edges = [fixtureEdge('curl', 'nginx', 78)]
    server.reader.touch()
    const back = open(port, `Last-Event-ID: ${id}\r\n`)
    await vi.waitFor(() => expect(back.text).toContain('"bytesSent":78'), eventually)
    expect(back.text).not.toContain('event: snapshot')
    const stranger = open(port, 'Last-Event-ID: nobody.1\r\n')
    await vi.waitFor(() => expect(stranger.text).toMatch(/event: gap[\s\S]+event: snapshot/), eventually)
  })

  it('cuts a client that does not read, and nobody else', async () => {
    const port = await start({ streamBufferBytes: 64 * 1024 })
    const slow = open(port)
    const good = open(port)
    await vi.waitFor(() => expect(good.text).toContain('event: snapshot'), eventually)
    await vi.waitFor(() => expect(slow.text).toContain('event: snapshot'), eventually)
    slow.socket.pause()
    const bigName = 'x'.repeat(400_000)
    let round = 0
    const grow = setInterval(() => {
      server.reader.nodes = [fixtureNode(`${round++}${bigName}`)]
      server.reader.touch()
    }, 20)
    try {
      await vi.waitFor(
        async () => expect((await status()).api).toMatchObject({ streamClients: 1, streamClientsCut: 1 }),
        {
          timeout: 20_000,
          interval: 50,
        },
      )
    } finally {
      clearInterval(grow)
    }
    expect(good.closed).toBe(false)
  }, 30_000)

  it('takes no more clients than it may, and says when to come back', async () => {
    const port = await start({ maxStreamClients: 1 })
    const one = open(port)
    await vi.waitFor(() => expect(one.text).toContain('event: snapshot'), eventually)
    const two = await fetch(`http://127.0.0.1:${port}/topology/stream`)
    expect(two.status).toBe(503)
    expect(two.headers.get('retry-after')).toBe('30')
    expect(await two.json()).toMatchObject({ type: '/problems#too-many-streams' })
  })

  it('survives many different questions', async () => {
    const port = await start({})
    for (let i = 1; i <= 40; i++) {
      const one = open(port, '', `?limit=${i}`)
      await vi.waitFor(() => expect(one.text).toContain('event: snapshot'), eventually)
      one.socket.destroy()
      await vi.waitFor(async () => expect((await status()).api.streamClients).toBe(0), eventually)
    }
  })

  it('ends when the server closes', async () => {
    const port = await start({})
    const one = open(port)
    await vi.waitFor(() => expect(one.text).toContain('event: snapshot'), eventually)
    await server.app.close()
    await vi.waitFor(() => expect(one.closed).toBe(true), eventually)
  })
})

async function status() {
  return (await server.app.inject({ url: '/status', headers: { host: 'localhost' } })).json()
}
