import { describe, expect, it } from 'vitest'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import { decodeFlushes, speaksOf } from './decode.ts'
import { canCapture, client, has, observeEachTest, server, statusesAt } from './observed-capture.ts'
import { startNginx, tally } from './web-server.ts'

/** A server that answers by path, and a client that counts the status lines that it gets. */
const traffic = `
const net = require('node:net'), http = require('node:http')
const big = 'x'.repeat(30000)
const server = http.createServer((req, res) => {
  if (req.url === '/chunked') { res.write(big); res.end(big) }
  else if (req.url === '/no') { res.statusCode = 503; res.end() }
  else if (req.url === '/long') { res.setHeader('x-long', 'h'.repeat(3000)); res.end('ok') }
  else { let n = 0; req.on('data', d => n += d.length); req.on('end', () => res.end(String(n))) }
})
server.keepAliveTimeout = 60000
let port
// Sends the texts, each in writes of a size, and waits until as many responses ended as there are requests.
const talk = (texts, size) => new Promise((done, failed) => {
  const socket = net.connect(port, '127.0.0.1'), statuses = []
  let got = ''
  socket.setNoDelay(true).on('error', failed).on('close', () => done(statuses))
  socket.on('data', async d => {
    got += d
    statuses.length = 0
    for (const m of got.matchAll(/HTTP\\/1.1 (\\d+)/g)) statuses.push(Number(m[1]))
  })
  ;(async () => {
    for (const text of texts)
      for (let i = 0; i < text.length; i += size) {
        await new Promise(r => socket.write(text.slice(i, i + size), r))
        if (size < 100) await new Promise(r => setImmediate(r))
      }
    socket.end()
  })()
})
const get = path => 'GET ' + path + ' HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n'
const ask = (path, body, agent) => new Promise((done, failed) => {
  const req = http.request({ port, host: '127.0.0.1', path, agent, method: body ? 'POST' : 'GET' }, res => res.resume().on('end', () => done(res.statusCode)))
  req.on('error', failed).end(body)
})
const commands = {
  async ready() { await new Promise(r => server.listen(0, '127.0.0.1', r)); port = server.address().port; return port },
  async pipelined() { return await talk([get('/a').repeat(20)], 1 << 20) },
  async bytes() { return await talk([get('/a') + get('/no')], 1) },
  async kept() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 }), statuses = []
    for (let i = 0; i < 30; i++) for (const path of ['/a', '/chunked', '/no', '/long']) statuses.push(await ask(path, undefined, agent))
    statuses.push(await ask('/upload', 'u'.repeat(2000000), agent))
    agent.destroy()
    return statuses
  },
  async noise() { const s = net.connect(port, '127.0.0.1'); s.on('error', () => {}); s.write('GET /x\\0\\r\\n'); for (let i = 0; i < 20; i++) s.write('GET nothing of the kind ' + i); await new Promise(r => s.on('close', r).resume()); return [] },
}
require('node:readline').createInterface({ input: process.stdin }).on('line', async l => console.log(JSON.stringify(await commands[l]())))
`

describe.skipIf(!canCapture)('application protocols', () => {
  const observation = observeEachTest({ l7: 1 << L7Protocol.http1 })
  const { start } = observation
  const counts = (role: number): Record<string, number> => statusesAt(observation.flushes, role)

  it.each(['kept', 'pipelined', 'bytes'])('counts what a program counts, at both ends: %s', async command => {
    const tell = observation.group.run(traffic)
    const observed = start()
    await tell('ready')
    const statuses = (await tell(command)) as number[]
    expect(statuses.length).toBeGreaterThan(1)
    observed.close()
    expect(observed.counters().l7).toMatchObject({ ringFull: 0, late: 0, unpaired: 0, outOfStep: 0 })
    expect(counts(client)).toEqual(tally(statuses))
    expect(counts(server)).toEqual(tally(statuses))
  })

  it('makes nothing of noise that begins like a request', async () => {
    const tell = observation.group.run(traffic)
    const observed = start()
    await tell('ready')
    await tell('noise')
    observed.close()
    // The server answers it with 400, which belongs to no request.
    expect(Object.keys(counts(server)).filter(status => status !== '-1' && status !== '400')).toEqual([])
    expect(observed.counters().l7.pieces).toBeGreaterThan(0)
  })

  it.skipIf(!has('nginx') || !has('h2load'))("counts what nginx's log counts, under load", async () => {
    const { group } = observation
    const nginx = await startNginx(group, 'deferred')
    try {
      const observed = start()
      for (const path of ['1k', 'none'])
        await group.output(
          'h2load',
          '--h1',
          '-n',
          '5000',
          '-c',
          '4',
          `http://127.0.0.1:${nginx.port}/${path}`,
        )
      const truth = await nginx.finish()
      observed.close()
      const seen = counts(server)
      expect(truth[200]).toBeGreaterThan(0)
      // On a machine that is busy otherwise the ring may overflow: then less is seen, which is counted, and nothing else.
      if (observed.counters().l7.ringFull === 0) expect(seen).toEqual(truth)
      for (const status of [200, 404]) expect(seen[status]).toBeLessThanOrEqual(truth[status]!)
      const speak = decodeFlushes(observation.flushes).flatMap(f => f.said.map(row => speaksOf(row.record)))
      expect(new Set(speak)).toEqual(new Set([L7Protocol.http1]))
    } finally {
      nginx.remove()
    }
  })
})
