// What runs in the pods of the tests: it listens, it dials when told to, and it knows exactly what it did.
//   peer.mjs '{"control":9900,"listen":[8081],"dial":{"host":"10.0.0.1","port":8081,"count":1}}'
// What `dial` says is done at once, as the run "boot".
// Control, over HTTP: GET /totals; POST /run (dials `count` times, one after the other, and answers what came of it);
// POST /start (dials `every` ms until POST /stop with its name, which answers when the last connection is closed).
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer } from 'node:net'
import { hostname } from 'node:os'

const { control, listen = [], dial: boot } = JSON.parse(process.argv[2])
const accepted = {}
const started = new Map()

/** Reads all that the other one sends, then says its own name: so the dialler learns which pod it reached. */
function serve(port) {
  const server = createServer({ allowHalfOpen: true }, socket => {
    const from = socket.remoteAddress.replace('::ffff:', '')
    accepted[port] ??= {}
    accepted[port][from] ??= { accepted: 0, received: 0, sent: 0 }
    const totals = accepted[port][from]
    totals.accepted++
    socket.resume().on('end', () => socket.end(`${hostname()}\n`))
    socket.on('error', () => {})
    socket.on('close', () => {
      totals.received += socket.bytesRead
      totals.sent += socket.bytesWritten
    })
  })
  server.listen(port)
}

const noTotals = () => ({
  dialled: 0,
  opened: 0,
  failed: {},
  unanswered: 0,
  sent: 0,
  received: 0,
  answeredBy: {},
})

function dial({ host, port, bytes = 100 }, totals) {
  totals.dialled++
  return new Promise(resolve => {
    let isOpen = false
    let answer = ''
    const socket = connect({ host, port, autoSelectFamily: false })
    socket.setTimeout(5_000, () => socket.destroy(new Error('ETIMEDOUT')))
    const opened = () => {
      isOpen = true
      totals.opened++
      totals.firstOpenedMs ??= Date.now()
    }
    socket.on('connect', () => {
      opened()
      socket.end('x'.repeat(bytes))
    })
    socket.on('data', data => {
      answer += data
    })
    socket.on('error', error => {
      if (isOpen) return
      const code = error.code ?? error.message
      // a dial is refused; what was reset was open for a moment that this program did not see
      if (code === 'ECONNRESET') opened()
      else totals.failed[code] = (totals.failed[code] ?? 0) + 1
    })
    socket.on('close', () => {
      if (isOpen) {
        totals.sent += socket.bytesWritten
        totals.received += socket.bytesRead
        const name = answer.trim()
        if (name === '') totals.unanswered++
        else totals.answeredBy[name] = (totals.answeredBy[name] ?? 0) + 1
      }
      resolve()
    })
  })
}

async function run(target, totals = noTotals()) {
  for (let i = 0; i < target.count; i++) await dial(target, totals)
  return totals
}

function start(target) {
  const totals = noTotals()
  const open = new Set()
  const timer = setInterval(() => {
    const one = dial(target, totals).then(() => open.delete(one))
    open.add(one)
  }, target.every)
  started.set(target.name, { totals, open, timer })
  return totals
}

async function stop({ name }) {
  const { totals, open, timer } = started.get(name)
  clearInterval(timer)
  await Promise.all(open)
  return totals
}

const totals = () => ({
  accepted,
  started: Object.fromEntries([...started].map(([name, { totals: own }]) => [name, own])),
})

const actions = { '/totals': totals, '/run': run, '/start': start, '/stop': stop }

for (const port of listen) serve(port)
if (boot !== undefined) {
  const own = noTotals()
  started.set('boot', { totals: own })
  void run(boot, own)
}
createHttpServer(async (request, response) => {
  let body = ''
  for await (const part of request) body += part
  const answer = await actions[request.url](body === '' ? {} : JSON.parse(body))
  const text = JSON.stringify(answer)
  console.log(request.url, body, text)
  response.setHeader('connection', 'close').end(text)
}).listen(control)

// as a server does that drains: what is on its way to it is still answered
process.on('SIGTERM', () => setTimeout(() => process.exit(0), 3_000))
