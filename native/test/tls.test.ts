import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import { decodeFlushes, roleOf, speaksOf } from './decode.ts'
import {
  canCapture,
  client,
  has,
  nothingLost,
  observeEachTest,
  saidAt,
  server,
  until,
} from './observed-capture.ts'
import { freePort } from './web-server.ts'

const all = Object.values(L7Protocol).reduce((bits: number, protocol) => bits | (1 << protocol), 0)
const delayMs = 60

/**
 * Ends of TLS, as the lines say: `server KEY CERT` answers ports of a server that takes 1.2 and 1.3, and of one that
 * waits before it answers; the others answer what came of it.
 */
const ends = `
const tls = require('node:tls'), net = require('node:net'), { Duplex } = require('node:stream'), { once } = require('node:events')
const { readFileSync: read } = require('node:fs'), { randomBytes } = require('node:crypto')
const listening = async s => { await new Promise(r => s.listen(0, '127.0.0.1', r)); return s.address().port }
let port, slow
const options = more => ({ host: '127.0.0.1', port, servername: 'shop.example', ALPNProtocols: ['h2', 'http/1.1'], rejectUnauthorized: false, ...more })
const shake = more => new Promise(done => {
  let session
  const s = tls.connect(options(more))
  s.on('session', got => session = got).on('error', e => done({ error: e.code })).on('data', () => {})
    .on('end', () => done({ version: s.getProtocol(), resumed: s.isSessionReused(), session }))
})
// What the client says goes through \`rewrite\`, which gives the pieces that are sent one by one.
const through = (rewrite, more) => {
  const raw = net.connect({ host: '127.0.0.1', port, noDelay: true })
  const pipe = new Duplex({
    read() {},
    write(bytes, _, done) { (async () => { for (const piece of rewrite(bytes)) await new Promise(r => raw.write(piece, () => setImmediate(r))) })().then(() => done()) },
    final(done) { raw.end(done) },
  })
  raw.on('data', d => pipe.push(d)).on('end', () => pipe.push(null)).on('error', () => pipe.destroy())
  return shake({ ...more, host: undefined, port: undefined, socket: pipe })
}
const single = bytes => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
let hello = true
const records = bytes => {
  if (bytes[0] !== 22 || !hello) return [bytes]
  hello = false
  const body = bytes.subarray(5), out = []
  for (let at = 0; at < body.length; at += 90) {
    const part = body.subarray(at, at + 90)
    out.push(Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part]))
  }
  return out
}
const n16 = n => Buffer.from([n >> 8, n & 255])
const sized = b => Buffer.concat([n16(b.length), b])
const extension = (type, body) => Buffer.concat([n16(type), sized(body)])
// As browsers do: values that mean nothing wherever there is a list, the first offer too.
const greased = () => {
  const share = Buffer.concat([n16(0x2a2a), sized(Buffer.from([0])), n16(29), sized(randomBytes(32))])
  const extensions = [
    extension(0x3a3a, Buffer.alloc(0)),
    extension(0, sized(Buffer.concat([Buffer.from([0]), sized(Buffer.from('shop.example'))]))),
    extension(16, sized(Buffer.concat([Buffer.from([2, 0x4a, 0x4a, 2]), Buffer.from('h2')]))),
    extension(10, sized(Buffer.concat([n16(0x2a2a), n16(29)]))),
    extension(13, sized(Buffer.concat([n16(0x0804), n16(0x0403)]))),
    extension(43, Buffer.from([6, 0x5a, 0x5a, 3, 4, 3, 3])),
    extension(51, sized(share)),
    extension(0x6a6a, Buffer.from([0])),
  ]
  const body = Buffer.concat([n16(0x0303), randomBytes(32), Buffer.from([32]), randomBytes(32),
    sized(Buffer.concat([n16(0x7a7a), n16(0x1301)])), Buffer.from([1, 0]), sized(Buffer.concat(extensions))])
  const message = Buffer.concat([Buffer.from([1, 0]), sized(body)])
  return Buffer.concat([Buffer.from([22, 3, 1]), sized(message)])
}
const commands = {
  async server(key, cert) {
    const context = { key: read(key), cert: read(cert), ALPNProtocols: ['h2', 'http/1.1'], minVersion: 'TLSv1.2' }
    const answer = s => s.on('error', () => {}).end('GET /secret HTTP/1.1')
    port = await listening(tls.createServer(context, answer).on('tlsClientError', () => {}))
    const secure = tls.createSecureContext(context)
    slow = await listening(net.createServer(s => setTimeout(() => {
      answer(new tls.TLSSocket(s, { isServer: true, secureContext: secure, ALPNProtocols: ['h2'] }))
    }, ${delayMs})))
    return port
  },
  plain: () => shake({}),
  old: () => shake({ maxVersion: 'TLSv1.2', ALPNProtocols: undefined }),
  nameless: () => shake({ servername: '' }),
  tooOld: () => shake({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }),
  async resumed() { const { session } = await shake({}); return shake({ session }) },
  async resumedOld() { const old = { maxVersion: 'TLSv1.2' }, { session } = await shake(old); return shake({ ...old, session }) },
  bytes: () => through(single, {}),
  records: () => through(records, {}),
  slow: () => shake({ port: slow }),
  async greased() { const s = net.connect({ host: '127.0.0.1', port }); s.write(greased()); const [d] = await once(s, 'data'); s.destroy(); return { first: d[0], message: d[5] } },
  // after the hellos nothing is anything else
  async disguised() {
    const s = net.connect({ host: '127.0.0.1', port }); s.on('error', () => {}); s.write(greased()); await once(s, 'data')
    for (let i = 0; i < 5; i++) s.write('GET /secret HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
    await new Promise(r => s.on('close', r).resume())
    return {}
  },
}
require('node:readline').createInterface({ input: process.stdin }).on('line', async line => {
  const [command, ...words] = line.split(' ')
  console.log(JSON.stringify(await commands[command](...words)))
})
`

describe.skipIf(!canCapture || !has('openssl'))('TLS', () => {
  const observation = observeEachTest({ l7: all })
  let folder: string
  let files: string[]

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sb-tls-'))
    files = ['key', 'cert'].map(name => join(folder, name))
    const subject = ['-subj', '/CN=shop.example', '-days', '2']
    const out = ['-keyout', files[0]!, '-out', files[1]!]
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, ...out], {
      stdio: 'ignore',
    })
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it.each([
    ['plain', { version: 'TLSv1.3', resumed: false }, { 'shop.example h2 772': 1 }],
    ['old', { version: 'TLSv1.2', resumed: false }, { 'shop.example 771': 1 }],
    ['nameless', { version: 'TLSv1.3' }, { '{no name} h2 772': 1 }],
    // an alert of the server: the version of the protocol
    ['tooOld', { error: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' }, { 'shop.example h2 70': 1 }],
    ['resumed', { version: 'TLSv1.3', resumed: true }, { 'shop.example h2 772': 2 }],
    ['resumedOld', { version: 'TLSv1.2', resumed: true }, { 'shop.example h2 771': 2 }],
    ['bytes', { version: 'TLSv1.3' }, { 'shop.example h2 772': 1 }],
    ['records', { version: 'TLSv1.3' }, { 'shop.example h2 772': 1 }],
    ['greased', { first: 22, message: 2 }, { 'shop.example h2 772': 1 }],
    ['disguised', {}, { 'shop.example h2 772': 1 }],
    ['slow', { version: 'TLSv1.3' }, { 'shop.example h2 772': 1 }],
  ])('tells what both ends agreed on, and nothing of what is encrypted: %s', async (what, outcome, truth) => {
    const tell = observation.group.run(ends)
    await tell(`server ${files.join(' ')}`)
    const observed = observation.start()
    expect(await tell(what)).toMatchObject(outcome)
    observed.close()
    expect(observed.counters().l7).toMatchObject(nothingLost)
    for (const role of [client, server]) expect(saidAt(observation.flushes, role)).toEqual(truth)
    for (const { record, firstByteSumUs, isError, status, count } of decodeFlushes(
      observation.flushes,
    ).flatMap(frame => frame.said)) {
      expect(speaksOf(record)).toBe(L7Protocol.tls)
      expect(isError).toBe(status < 256)
      if (what === 'slow') expect(firstByteSumUs).toBeGreaterThan((delayMs - 1) * 1000)
      if (what === 'slow' || roleOf(record) === server) expect(firstByteSumUs / count).toBeLessThan(5_000_000)
    }
  })

  it('of openssl’s own server and client', async () => {
    const { group } = observation
    const port = await freePort()
    const keys = ['-key', files[0]!, '-cert', files[1]!]
    const listening = group.spawn('openssl', 's_server', ...keys, '-accept', `127.0.0.1:${port}`, '-www')
    let said = ''
    listening.stdout!.on('data', data => (said += data))
    await until('the server', () => said.includes('ACCEPT'))
    const observed = observation.start()
    const ask = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'Shop.Example']
    for (const version of ['-tls1_2', '-tls1_3']) {
      const more = [version, '-alpn', 'http/1.1', '-ign_eof']
      await group.output(
        'sh',
        '-c',
        `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl ${[...ask, ...more].join(' ')}`,
      )
    }
    observed.close()
    expect(observed.counters().l7).toMatchObject(nothingLost)
    for (const role of [client, server])
      expect(saidAt(observation.flushes, role)).toEqual({
        'shop.example http/1.1 771': 1,
        'shop.example http/1.1 772': 1,
      })
  })
})
