// Tries to publish with the login of the pod in which it runs: publish.mjs SERVER SUBJECT…
// The streams take none of it, because the one that it names is not there. Prints, as JSON, what the server said to
// each subject: "allowed", or why not.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

const [server, ...subjects] = process.argv.slice(2)
const { hostname, port } = new URL(server)
const mounted = name => readFileSync(`/etc/skybraid-bus/${name}`, 'utf8')
const login = JSON.stringify({
  verbose: false,
  headers: true,
  lang: 'test',
  version: '0',
  auth_token: mounted('token'),
})
const header = 'NATS/1.0\r\nNats-Expected-Stream: none\r\n\r\n'
const publishAll = subjects
  .map(s => `HPUB ${s} ${header.length} ${header.length + 1}\r\n${header}x\r\n`)
  .join('')

const plain = connect(port, hostname)
plain.setTimeout(20_000, () => plain.destroy(new Error('the server says nothing')))
// the server speaks first, and from then on only within TLS
plain.once('data', () => {
  const socket = connectTls({ socket: plain, host: hostname, servername: hostname, ca: mounted('ca.crt') })
  socket.write(`CONNECT ${login}\r\n${publishAll}PING\r\n`)
  let said = ''
  socket.setEncoding('utf8').on('data', text => {
    said += text
    const isRefused = /^-ERR '(?!Permissions)/m.test(said)
    if (!isRefused && !/^PONG\r\n/m.test(said)) return
    const errors = said.split('\r\n').filter(line => line.startsWith('-ERR'))
    const answers = subjects.map(subject => errors.find(line => line.includes(`"${subject}"`)) ?? 'allowed')
    console.log(JSON.stringify(isRefused ? errors : answers))
    socket.destroy()
  })
})
