/** A web server and a name server that are as slow as they are told to be; a line makes them print their own times. */
export const slowServers = `
const http = require('node:http'), dgram = require('node:dgram')
const [address, webPort, delayMs] = [process.argv[1], Number(process.argv[2]), Number(process.argv[3])]
const took = []
const us = since => Number(process.hrtime.bigint() - since) / 1000
http.createServer((q, a) => {
  const since = process.hrtime.bigint(), clientPort = q.socket.remotePort
  const answer = () => { took.push({ serverPort: webPort, clientPort, us: us(since) }); a.end('x') }
  q.url === '/slow' ? setTimeout(answer, delayMs) : answer()
}).listen(webPort, address)
const names = dgram.createSocket('udp4')
names.on('message', (question, { port: clientPort, address: to }) => {
  const since = process.hrtime.bigint()
  setTimeout(() => {
    took.push({ serverPort: 53, clientPort, us: us(since) })
    const answer = Buffer.from(question)
    answer[2] |= 0x80
    names.send(answer, clientPort, to)
  }, delayMs)
}).bind(53, address)
require('node:readline').createInterface({ input: process.stdin }).on('line', () => console.log(JSON.stringify(took.splice(0))))
`

/** Asks each server again and again, each time on a new connection, and prints how long it waited by its own clock. */
export const waitingClient = `
const net = require('node:net'), dgram = require('node:dgram')
const { address, times, quickTimes, webPort, redisPort, postgresPort, delayMs } = JSON.parse(process.argv[1])
const took = []
const timed = async (send, answer, serverPort, portOf) => {
  const since = process.hrtime.bigint()
  send()
  await answer
  took.push({ serverPort, clientPort: portOf(), us: Number(process.hrtime.bigint() - since) / 1000 })
}
const dial = port => new Promise((done, failed) => {
  const s = net.connect({ port, host: address, noDelay: true }, () => done(s)).on('error', failed)
})
const data = s => new Promise(done => s.once('data', done))
const gone = s => new Promise(done => s.once('close', done).end())
const overTcp = async (port, question) => {
  const s = await dial(port)
  await timed(() => s.write(question), data(s), port, () => s.localPort)
  await gone(s)
}
const http = path => overTcp(webPort, 'GET ' + path + ' HTTP/1.1\\r\\nHost: shop\\r\\nConnection: close\\r\\n\\r\\n')
const redis = words => overTcp(redisPort, '*' + words.length + '\\r\\n' + words.map(w => '$' + w.length + '\\r\\n' + w + '\\r\\n').join(''))
const message = (type, text) => {
  const body = Buffer.from(text), head = Buffer.alloc(4)
  head.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(type), head, body])
}
const startup = message('', '\\0\\x03\\0\\0user\\0postgres\\0database\\0postgres\\0\\0')
const postgres = async () => {
  const s = await dial(postgresPort)
  s.write(startup)
  // it is ready when it says so at last
  for (let last = ''; !last.endsWith('Z\\0\\0\\0\\x05I');) last = (await data(s)).toString('latin1')
  const query = message('Q', 'SELECT pg_sleep(' + delayMs / 1000 + ')\\0')
  await timed(() => s.write(query), data(s), postgresPort, () => s.localPort)
  await gone(s)
}
const question = Buffer.from('\\0\\x07\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0\\x04slow\\x07example\\0\\0\\x01\\0\\x01', 'latin1')
const dns = async () => {
  const s = dgram.createSocket('udp4')
  await new Promise(done => s.connect(53, address, done))
  const answer = new Promise(done => s.once('message', done))
  await timed(() => s.send(question), answer, 53, () => s.address().port)
  await new Promise(done => s.close(done))
}
const go = async () => {
  for (let i = 0; i < quickTimes; i++) { await http('/quick'); await redis(['PING']) }
  for (let i = 0; i < times; i++) { await http('/slow'); await redis(['DEBUG', 'SLEEP', String(delayMs / 1000)]); await postgres(); await dns() }
  console.log(JSON.stringify(took))
}
go()
`
