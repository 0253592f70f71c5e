// One of the shop's programs: shop.mjs ROLE. Each says every ten seconds how many calls of which kind it made and took,
// and how many connections with how many bytes those were.
import { createServer, get } from 'node:http'

const [role] = process.argv.slice(2)
const figures = new Map()
const add = (what, amount = 1) => figures.set(what, (figures.get(what) ?? 0) + amount)

/** A connection's bytes count when it is closed. */
function countBytes(socket, who) {
  socket.once('close', () => {
    add(`sent ${who}`, socket.bytesWritten)
    add(`received ${who}`, socket.bytesRead)
  })
}

function countConnection(socket, service) {
  socket.once('connect', () => {
    add(`opened ${service}`)
    countBytes(socket, service)
  })
}

function call(service) {
  return new Promise(resolve => {
    add(`called ${service}`)
    const request = get(`http://${service}/`, { timeout: 2_000 }, response => {
      response.resume().on('end', () => resolve(response.statusCode))
    })
    request
      .on('socket', socket => request.reusedSocket || countConnection(socket, service))
      .on('timeout', () => request.destroy())
      .on('error', error => {
        add(`failed ${service} ${error.code}`)
        resolve(0)
      })
  })
}

// what each program asks of others before it answers
const needs = { front: ['catalog', 'orders'], catalog: [], orders: ['catalog', 'payments'] }

if (role === 'customers') {
  const everyMs = 1_000 / Number(process.env.REQUESTS_PER_SECOND)
  setInterval(() => void call('front'), everyMs)
} else {
  const server = createServer(async (_request, response) => {
    add('answered')
    await Promise.all(needs[role].map(call))
    response.end(`${role}\n`)
  })
  server.on('connection', socket => {
    const from = socket.remoteAddress.replace('::ffff:', '')
    add(`accepted ${from}`)
    countBytes(socket, from)
  })
  server.listen(8080)
}

const say = () => console.log(JSON.stringify({ role, ...Object.fromEntries(figures) }))
setInterval(say, 10_000).unref()
process.on('SIGTERM', () => {
  say()
  process.exit(0)
})
