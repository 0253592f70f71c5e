import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import { type DecodedSaid, decodeFlushes, roleOf } from './decode.ts'
import { LineClient } from './line-client.ts'
import { canCapture, client, has, nothingLost, observeEachTest, server, until } from './observed-capture.ts'
import { freePort } from './web-server.ts'

/** What one end saw, by operation and status, with a mark where the time says nothing. */
function timesAt(said: readonly DecodedSaid[], role: number): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { record, operation, status, timeless, count } of said) {
    if (roleOf(record) !== role) continue
    const key = `${operation} ${status}${timeless ? ' timeless' : ''}`
    sums[key] = (sums[key] ?? 0) + count
  }
  return sums
}

/** Polls, streams of events, a websocket and a tunnel: each lasts as long as somebody likes. */
const web = `
const http = require('node:http'), net = require('node:net'), { once } = require('node:events')
const server = http.createServer((q, a) => {
  if (q.url === '/poll') return setTimeout(() => a.end('news'), 100)
  if (q.url !== '/events') return a.end('x')
  a.writeHead(200, { 'content-type': 'text/event-stream' })
  let n = 0
  const timer = setInterval(() => { a.write('data: x\\n\\n'); if (++n === 3) { clearInterval(timer); a.end() } }, 30)
})
server.on('upgrade', (q, s) => {
  s.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n')
  s.on('data', d => s.write(d)).on('end', () => s.end()).on('error', () => {})
})
server.on('connect', (q, s) => {
  s.write('HTTP/1.1 200 Connection Established\\r\\n\\r\\n')
  s.on('data', d => s.write(d)).on('end', () => s.end()).on('error', () => {})
})
let port
const get = (path, headers = {}) => new Promise((done, failed) =>
  http.get({ port, host: '127.0.0.1', path, headers, agent: false }, a => a.resume().on('end', () => done(a.statusCode))).on('error', failed))
// What goes through looks like requests of HTTP, and is none.
const through = async head => {
  const s = net.connect(port, '127.0.0.1')
  s.write(head)
  await once(s, 'data')
  for (let i = 0; i < 5; i++) { s.write('GET /inside HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); await once(s, 'data') }
  s.end()
  await once(s.resume(), 'close')
}
require('node:readline').createInterface({ input: process.stdin }).on('line', async () => {
  await new Promise(r => server.listen(0, '127.0.0.1', r))
  port = server.address().port
  await get('/plain')
  await get('/poll', { prefer: 'wait=30' })
  await get('/events')
  await through('GET /chat HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n')
  await through('CONNECT db.example:5432 HTTP/1.1\\r\\nHost: db.example:5432\\r\\n\\r\\n')
  console.log('true')
})
`

describe.skipIf(!canCapture)('what lasts as long as somebody likes', () => {
  const observation = observeEachTest({ l7: (1 << L7Protocol.http1) | (1 << L7Protocol.redis) })

  it('is counted, and kept out of the times, of HTTP/1', async () => {
    const tell = observation.group.run(web)
    const observed = observation.start()
    await tell('go')
    observed.close()
    expect(observed.counters().l7).toMatchObject(nothingLost)
    const said = decodeFlushes(observation.flushes).flatMap(frame => frame.said)
    for (const role of [client, server])
      expect(timesAt(said, role)).toEqual({
        'GET /plain 200': 1,
        'GET /poll 200 timeless': 1,
        'GET /events 200 timeless': 1,
        'GET /chat 101': 1,
        'CONNECT {host} 200 timeless': 1,
      })
    expect(said.find(({ operation }) => operation.startsWith('CONNECT'))?.host).toBe('db.example')
  })

  it.skipIf(!has('redis-server'))('is counted, and kept out of the times, of Redis', async () => {
    const { group } = observation
    const port = await freePort()
    group.spawn('redis-server', '--port', `${port}`, '--save', '', '--bind', '127.0.0.1')
    const cli = ['redis-cli', '-p', `${port}`]
    const ask = (...words: string[]) => group.output(cli[0]!, ...cli.slice(1), ...words)
    const now = (...words: string[]) =>
      spawnSync(cli[0]!, [...cli.slice(1), ...words], { encoding: 'utf8' }).stdout
    await until('the server', () => now('PING').includes('PONG'))
    const observed = observation.start()
    const waiting = ask('BLPOP', 'list', '30')
    await until('one that waits', () => now('INFO', 'clients').includes('blocked_clients:1'))
    await ask('LPUSH', 'list', 'x')
    expect(await waiting).toContain('x')
    const listener = new LineClient(group, [...cli, 'SUBSCRIBE', 'news'])
    await listener.heard('subscribe')
    for (let i = 0; i < 3; i++) await ask('PUBLISH', 'news', `n${i}`)
    await listener.heard('n2')
    await listener.stop()
    observed.close()
    expect(observed.counters().l7).toMatchObject(nothingLost)
    const said = decodeFlushes(observation.flushes).flatMap(frame => frame.said)
    for (const role of [client, server]) {
      const { 'INFO 0': _asked, ...times } = timesAt(said, role)
      expect(times).toEqual({
        'BLPOP 0 timeless': 1,
        'LPUSH 0': 1,
        'SUBSCRIBE 0 timeless': 1,
        'PUBLISH 0': 3,
      })
    }
  })
})
