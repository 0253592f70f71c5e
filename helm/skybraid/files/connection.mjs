// helm test: `server` answers on a port; `client` opens a connection to it that stays, and waits until the API shows
// that both ends of it were observed.
import { readFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'

const [role, host, api, seconds, tokenFile] = process.argv.slice(2)
const port = 7199
const deadline = Date.now() + Number(seconds) * 1_000
const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

function dial() {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => resolve(socket)).setTimeout(5_000, () => socket.destroy())
    socket.once('error', reject)
  })
}

async function untilDialled() {
  for (;;) {
    try {
      return await dial()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await pause(500)
    }
  }
}

async function seen(localPort) {
  const token = (await readFile(tokenFile, 'utf8')).trim()
  const response = await fetch(`${api}/api/v1/flows?port=${localPort}&limit=50`, {
    signal: AbortSignal.timeout(5_000),
    headers: { authorization: `Bearer ${token}` },
  })
  if (!response.ok) return `the API answers ${response.status}`
  const { flows } = await response.json()
  // somebody else may have the same port at this moment
  const isOurs = ({ client, server }) =>
    (client?.local.endsWith(`:${localPort}`) ?? true) && (server?.local.endsWith(`:${port}`) ?? true)
  const views = flows.filter(isOurs).map(flow => flow.observed)
  return views.includes('both') ? 'both' : `observed so far: ${views.join(', ') || 'nothing'}`
}

async function client() {
  const socket = await untilDialled()
  socket.setTimeout(0)
  const { localPort } = socket
  console.log(`connected from port ${localPort} to ${host}:${port}`)
  const talking = setInterval(() => socket.write('are you there?\n'), 200)
  let state
  while (Date.now() < deadline) {
    state = await seen(localPort).catch(error => error.message)
    if (state === 'both') {
      console.log('observed from both ends')
      clearInterval(talking)
      socket.end()
      return 0
    }
    await pause(1_000)
  }
  console.error(`not observed from both ends in ${seconds} s; ${state}`)
  return 1
}

if (role === 'server') createServer(socket => socket.on('error', () => {}).pipe(socket)).listen(port)
else process.exit(await client())
