import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Capture, openCapture } from '../../packages/collector/src/source/open-capture.ts'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import { decodeFlushes, roleOf, speaksOf } from './decode.ts'
import { ObservedGroup } from './observed-group.ts'

const canCapture = process.getuid?.() === 0 && existsSync('/sys/kernel/btf/vmlinux')
const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
const client = 1
const server = 2

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

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  listener.close()
  await once(listener, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

describe.skipIf(!canCapture)('application protocols', () => {
  let group: ObservedGroup
  let flushes: ArrayBuffer[]
  let capture: Capture | undefined

  beforeEach(() => {
    group = new ObservedGroup()
    flushes = []
  })
  afterEach(async () => {
    capture?.close()
    capture = undefined
    await group.remove()
  })

  const start = (): Capture => {
    capture = openCapture({
      cgroupPath: group.path,
      flushMs: 100,
      partitions: 4,
      ringBytes: 1 << 20,
      maxFlows: 10_000,
      udp: true,
      l7: 1 << L7Protocol.http1,
      taskFiles: false,
      reportMs: 200,
      announceMs: 300_000,
      onFlush: flush => flushes.push(flush),
    })
    return capture
  }
  /** Counts by status, as one end saw them. */
  const counts = (role: number): Record<string, number> => {
    const sums: Record<string, number> = {}
    for (const { said } of decodeFlushes(flushes))
      for (const row of said)
        if (roleOf(row.record) === role) sums[row.status] = (sums[row.status] ?? 0) + row.count
    return sums
  }
  const tally = (statuses: readonly number[]): Record<string, number> => {
    const sums: Record<string, number> = {}
    for (const status of statuses) sums[status] = (sums[status] ?? 0) + 1
    return sums
  }

  it.each(['kept', 'pipelined', 'bytes'])('counts what a program counts, at both ends: %s', async command => {
    const tell = group.run(traffic)
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
    const tell = group.run(traffic)
    const observed = start()
    await tell('ready')
    await tell('noise')
    observed.close()
    // The server answers it with 400, which belongs to no request.
    expect(Object.keys(counts(server)).filter(status => status !== '-1' && status !== '400')).toEqual([])
    expect(observed.counters().l7.pieces).toBeGreaterThan(0)
  })

  it.skipIf(!has('nginx') || !has('h2load'))("counts what nginx's log counts, under load", async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sb-nginx-'))
    const port = await freePort()
    writeFileSync(join(directory, '1k'), 'x'.repeat(1024))
    writeFileSync(
      join(directory, 'nginx.conf'),
      `daemon off; user root; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error;
      events {} http { access_log ${directory}/log; keepalive_requests 100000000;
      server { listen 127.0.0.1:${port} deferred; root ${directory}; } }`,
    )
    const inGroup = (...argv: string[]) =>
      spawn('sh', ['-c', `echo $$ > ${group.path}/cgroup.procs && exec "$@"`, 'sh', ...argv], {
        stdio: 'ignore',
      })
    const nginx = inGroup('nginx', '-p', directory, '-c', join(directory, 'nginx.conf'))
    try {
      const observed = start()
      for (let tries = 0; tries < 200 && !existsSync(join(directory, 'pid')); tries++)
        await new Promise(r => setTimeout(r, 50))
      for (const path of ['1k', 'none']) {
        const load = inGroup('h2load', '--h1', '-n', '5000', '-c', '4', `http://127.0.0.1:${port}/${path}`)
        expect((await once(load, 'exit'))[0]).toBe(0)
      }
      nginx.kill('SIGQUIT')
      await once(nginx, 'exit')
      observed.close()
      const log = readFileSync(join(directory, 'log'), 'utf8')
      const truth = tally([...log.matchAll(/" (\d{3}) /g)].map(m => Number(m[1])))
      const seen = counts(server)
      expect(truth[200]).toBeGreaterThan(0)
      // On a machine that is busy otherwise the ring may overflow: then less is seen, which is counted, and nothing else.
      if (observed.counters().l7.ringFull === 0) expect(seen).toEqual(truth)
      for (const status of [200, 404]) expect(seen[status]).toBeLessThanOrEqual(truth[status]!)
      const speak = decodeFlushes(flushes).flatMap(frame => frame.said.map(row => speaksOf(row.record)))
      expect(new Set(speak)).toEqual(new Set([L7Protocol.http1]))
    } finally {
      nginx.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
