import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import { has } from './observed-capture.ts'
import type { ObservedGroup } from './observed-group.ts'

/** In whatever must not leave the node: keys, values, literals, queries, headers, names of users, passwords. */
export const secret = 'sekrit-4719'

/** A protocol with a server and a client that asks the same again and again on one connection. */
export interface Speaker {
  readonly name: string
  readonly protocol: number
  readonly isHere: boolean
  /** The server's program; what it needs is made in the folder. */
  readonly server: (folder: string, port: number) => readonly string[]
  /** Before the first client. */
  readonly prepare?: (group: Pick<ObservedGroup, 'output'>, port: number) => Promise<unknown>
  readonly client: (port: number) => readonly string[]
  readonly line: (i: number) => string
  /** How many answers are in what the client printed. */
  readonly answers: (output: string) => number
  /** What a line is, as it is told; what a client asks besides is not looked at. */
  readonly said: string
  readonly besides: RegExp
  /** Whether a connection that is joined in its middle is known. */
  readonly joins: boolean
  /** What is told of such a one, if it is less. */
  readonly joined?: string
}

const node = (script: string, ...args: readonly unknown[]): string[] => [
  process.execPath,
  '-e',
  script,
  ...args.map(String),
]
const linesOf = (output: string): number => output.split('\n').length - 1
const countOf = (what: string) => (output: string) => output.split(what).length - 1
const none = /^$/
const eachLine = `require('node:readline').createInterface({ input: process.stdin }).on('close', end).on('line', async l => console.log(await ask(l)))`

const versions = '/usr/lib/postgresql'
const postgres = existsSync(versions) ? join(versions, readdirSync(versions)[0]!, 'bin') : ''

function certificate(folder: string): string[] {
  const files = [join(folder, 'key'), join(folder, 'cert')]
  const subject = ['-subj', '/CN=shop.example', '-days', '2']
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, '-keyout', files[0]!, '-out', files[1]!],
    { stdio: 'ignore' },
  )
  return files
}

export const speakers: readonly Speaker[] = [
  {
    name: 'http1',
    protocol: L7Protocol.http1,
    isHere: true,
    server: (_folder, port) =>
      node(
        `require('node:http').createServer((q, a) => q.resume().on('end', () => a.end('x'.repeat(200)))).listen(${port}, '127.0.0.1')`,
      ),
    client: port =>
      node(`const http = require('node:http'), agent = new http.Agent({ keepAlive: true, maxSockets: 1 }), end = () => agent.destroy()
        const ask = path => new Promise((done, failed) => http.get({ port: ${port}, host: '127.0.0.1', path, agent, headers: { host: 'shop.example', cookie: '${secret}' }, auth: '${secret}:${secret}' }, a => a.resume().on('end', () => done(a.statusCode))).on('error', failed))
        ${eachLine}`),
    line: i => `/items/${1000 + i}?token=${secret}`,
    answers: linesOf,
    said: 'GET /items/{id} shop.example 200',
    besides: none,
    joins: true,
  },
  {
    name: 'http2',
    protocol: L7Protocol.http2,
    isHere: true,
    server: (_folder, port) =>
      node(
        `require('node:http2').createServer((q, a) => q.resume().on('end', () => a.end('x'.repeat(200)))).listen(${port}, '127.0.0.1')`,
      ),
    client: port =>
      node(`const session = require('node:http2').connect('http://127.0.0.1:${port}'), end = () => session.close()
        const ask = path => new Promise((done, failed) => { let status; session.request({ ':path': path, ':method': 'GET', ':scheme': 'http', ':authority': 'shop.example', authorization: 'Bearer ${secret}', cookie: '${secret}' }).on('response', h => status = h[':status']).on('end', () => done(status)).on('error', failed).resume().end() })
        ${eachLine}`),
    line: i => `/items/${1000 + i}?token=${secret}`,
    answers: linesOf,
    said: 'GET /items/{id} shop.example 200',
    besides: none,
    joins: true,
    joined: 'GET /items/{id} 200', // the host was named before
  },
  {
    name: 'redis',
    protocol: L7Protocol.redis,
    isHere: has('redis-server'),
    server: (folder, port) => [
      ...['redis-server', '--port', `${port}`, '--save', '', '--bind', '127.0.0.1', '--dir', folder],
    ],
    // redis-cli itself asks for what it shows as hints, which is longer than what is read of an answer
    client: port =>
      node(`const socket = require('node:net').connect({ port: ${port}, host: '127.0.0.1', noDelay: true }), end = () => socket.end()
        let answered
        let got = ''
        socket.on('data', d => { got += d; if (got.endsWith('\\r\\n')) { answered(got.trim()); got = '' } })
        const ask = line => new Promise(done => {
          answered = done
          const words = line.split(' ')
          socket.write('*' + words.length + '\\r\\n' + words.map(word => '$' + word.length + '\\r\\n' + word + '\\r\\n').join(''))
        })
        ${eachLine}`),
    line: i => `SET ${secret}:${i} ${secret}`,
    answers: linesOf,
    said: 'SET 0',
    besides: none,
    joins: true,
  },
  {
    name: 'postgres',
    protocol: L7Protocol.postgres,
    isHere: existsSync(join(postgres, 'initdb')),
    server: (folder, port) => {
      const as = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--']
      const data = join(folder, 'data')
      chmodSync(folder, 0o777)
      execFileSync('setpriv', [...as.slice(1), join(postgres, 'initdb'), '-D', data, '-A', 'trust', '-N'], {
        stdio: 'ignore',
      })
      const options = ['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1']
      return [...as, join(postgres, 'postgres'), '-D', data, '-p', `${port}`, '-k', folder, ...options]
    },
    prepare: (group, port) =>
      group.output('psql', ...psql(port), '-c', 'CREATE TABLE items AS SELECT generate_series(1, 100) AS id'),
    client: port => ['psql', ...psql(port), '-At'],
    line: i => `SELECT count(*) FROM items WHERE id <= ${i} AND '${secret}' <> '';`,
    answers: linesOf,
    said: 'SELECT items 0',
    besides: /^(CONNECT|\{tls\})/,
    joins: true,
  },
  {
    name: 'mysql',
    protocol: L7Protocol.mysql,
    isHere: has('mariadbd'),
    server: (folder, port) => {
      const data = join(folder, 'data')
      chmodSync(folder, 0o777)
      mkdirSync(data)
      execFileSync('chown', ['mysql', data])
      const own = ['--no-defaults', `--datadir=${data}`, '--user=mysql']
      execFileSync('mariadb-install-db', [...own, '--auth-root-authentication-method=normal'], {
        stdio: 'ignore',
      })
      const more = [`--socket=${folder}/socket`, `--pid-file=${folder}/pid`, '--innodb-buffer-pool-size=16M']
      return [
        'mariadbd',
        ...own,
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        '--skip-name-resolve',
        ...more,
      ]
    },
    prepare: (group, port) =>
      group.output(
        'mariadb',
        ...mariadb(port),
        '-e',
        'CREATE DATABASE shop; CREATE TABLE shop.items (id INT)',
      ),
    client: port => ['mariadb', ...mariadb(port), '-nN', 'shop'],
    line: i => `SELECT COUNT(*) FROM items WHERE id <= ${i} AND '${secret}' <> '';`,
    answers: linesOf,
    said: 'SELECT items 0',
    besides: /^(CONNECT|SELECT 0|SELECT -1|INIT_DB|QUIT|SET)/,
    joins: true,
  },
  {
    name: 'mqtt',
    protocol: L7Protocol.mqtt,
    isHere: has('mosquitto') && has('mosquitto_pub'),
    server: (folder, port) => {
      const file = join(folder, 'broker.conf')
      writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_type none\n`)
      return ['mosquitto', '-c', file]
    },
    client: port => [
      ...['mosquitto_pub', '-h', '127.0.0.1', '-p', `${port}`, '-u', secret, '-P', secret],
      ...['-q', '1', '-t', 'plant/4711/heat', '-l', '-d'],
    ],
    line: i => `${secret} ${i}`,
    answers: countOf('received PUBACK'),
    said: 'PUBLISH plant/{id}/heat 0',
    besides: /^(CONNECT|DISCONNECT)/,
    joins: false,
  },
  {
    name: 'tls',
    protocol: L7Protocol.tls,
    isHere: has('openssl'),
    server: (folder, port) => {
      const [key, cert] = certificate(folder)
      return node(`const { readFileSync: read } = require('node:fs')
        require('node:tls').createServer({ key: read('${key}'), cert: read('${cert}'), ALPNProtocols: ['h2'] }, s => s.on('error', () => {}).end('secret')).listen(${port}, '127.0.0.1')`)
    },
    client: port =>
      node(`const tls = require('node:tls'), end = () => {}
        const ask = () => new Promise((done, failed) => tls.connect({ port: ${port}, host: '127.0.0.1', servername: 'shop.example', ALPNProtocols: ['h2'], rejectUnauthorized: false }).on('error', failed).on('close', () => done('over')).resume())
        ${eachLine}`),
    line: () => 'shake hands',
    answers: linesOf,
    said: 'shop.example h2 772',
    besides: none,
    joins: true, // each line is a connection of its own
  },
  {
    name: 'dns',
    protocol: L7Protocol.dns,
    isHere: has('dnsmasq'),
    server: (_folder, port) => [
      ...[
        'dnsmasq',
        '--keep-in-foreground',
        '--no-resolv',
        '--no-hosts',
        '--conf-file=/dev/null',
        '--pid-file=',
      ],
      ...['--user=root', `--port=${port}`, '--listen-address=127.0.0.1', '--bind-interfaces'],
      '--host-record=cart.shop.example,10.9.9.9',
    ],
    client: port =>
      node(`const socket = require('node:net').connect({ port: ${port}, host: '127.0.0.1', noDelay: true }), end = () => socket.end()
        let id = 0, got = Buffer.alloc(0), answered
        socket.on('data', d => { got = Buffer.concat([got, d]); if (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) { const rcode = got[5] & 15; got = Buffer.alloc(0); answered('rcode ' + rcode) } })
        const ask = name => new Promise(done => {
          answered = done
          const labels = Buffer.concat([...name.split('.').map(l => Buffer.concat([Buffer.from([l.length]), Buffer.from(l)])), Buffer.from([0, 0, 1, 0, 1])])
          const query = Buffer.concat([Buffer.from([0, 12 + labels.length, 0, ++id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), labels])
          socket.write(query)
        })
        ${eachLine}`),
    line: () => 'cart.shop.example',
    answers: linesOf,
    said: 'A cart.shop.example 0',
    besides: none,
    joins: true,
  },
]

function psql(port: number): string[] {
  return ['-h', '127.0.0.1', '-p', `${port}`, '-U', 'postgres', '-X', 'postgres']
}

function mariadb(port: number): string[] {
  return ['--no-defaults', '-h', '127.0.0.1', `-P${port}`, '-u', 'root', '--skip-ssl']
}
