// Runs inside the emulated machine: starts the product, makes traffic that counts itself, prints what the API says.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { release } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

const connections = 20
const refusedDials = 3
const request = withBody('POST /orders HTTP/1.1\r\nHost: shop.example', 1_000)
const reply = withBody('HTTP/1.1 201 Created', 10_000)
const api = 'http://127.0.0.1:7100'

const product = spawn('/bin/node', ['packages/cli/dist/main.js', 'standalone', '--flush', '200ms'])
let productLog = ''
const ended = once(product, 'exit')
for (const stream of [product.stdout, product.stderr]) stream.on('data', text => (productLog += text))

/** A message of HTTP/1. */
function withBody(begin, length) {
  return Buffer.from(`${begin}\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`)
}

async function json(path) {
  const answer = await fetch(api + path)
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
  return answer.json()
}

async function until(what, deadlineMs, condition) {
  for (const end = Date.now() + deadlineMs; Date.now() < end; await delay(300)) {
    const value = await condition().catch(() => undefined)
    if (value) return value
  }
  throw new Error(`gave up waiting until ${what}`)
}

/** One connection with one request, closed by the server. */
async function exchange(port) {
  const socket = net.connect(port, '127.0.0.1')
  socket.end(request)
  socket.resume()
  await once(socket, 'close')
  return { sent: socket.bytesWritten, received: socket.bytesRead }
}

async function refused(port) {
  const socket = net.connect(port, '127.0.0.1')
  const [error] = await once(socket, 'error')
  return error.code
}

async function main() {
  const isReady = until('the product is ready', 180_000, () => json('/status')).then(() => true)
  if (!(await Promise.race([isReady, ended.then(() => false)]))) return
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    socket.resume().on('end', () => socket.end(reply))
  })
  server.listen(8080, '127.0.0.1')
  await once(server, 'listening')
  const truth = { opened: 0, sent: 0, received: 0, refused: 0 }
  for (let n = 0; n < connections; n++) {
    const { sent, received } = await exchange(8080)
    truth.opened++
    truth.sent += sent
    truth.received += received
  }
  for (let n = 0; n < refusedDials; n++) if ((await refused(9)) === 'ECONNREFUSED') truth.refused++

  const query = '/edges?window=15m&groupBy=process'
  const counted = async () => {
    const edge = (await json(query)).edges.find(candidate => candidate.port === 8080)
    const ends = [edge?.tcp.client?.closed, edge?.tcp.server?.closed, edge?.http?.client?.requests]
    return [...ends, edge?.http?.server?.requests].every(count => count >= truth.opened)
  }
  await until('every connection is counted', 30_000, counted).catch(error => console.log(String(error)))
  console.log(`@@truth\n${JSON.stringify(truth)}\n@@edges\n${JSON.stringify(await json(query))}`)
  console.log(`@@status\n${JSON.stringify(await json('/status'))}`)
}

console.log(`kernel ${release()}`)
await main().catch(error => console.log(`failed: ${error.stack}`))
product.kill('SIGTERM')
const [code] = await ended
console.log(`@@product\nexit code ${code}\n${productLog}\n@@end`)
process.exit(0)
