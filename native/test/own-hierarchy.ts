// Opens a capture on the root of a cgroup namespace, makes one connection and prints what was seen: run by
// own-hierarchy.test.ts inside such a namespace.
import { once } from 'node:events'
import net from 'node:net'
import { openCapture } from '../../packages/collector/src/source/open-capture.ts'
import { recordsOf, roleOf, stateOf } from './decode.ts'

const flushes: ArrayBuffer[] = []
const capture = openCapture({
  cgroupPath: process.argv[2]!,
  flushMs: 50,
  partitions: 1,
  ringBytes: 1 << 20,
  maxFlows: 100,
  udp: true,
  taskFiles: false,
  reportMs: 10_000,
  announceMs: 300_000,
  onFlush: flush => flushes.push(flush),
})
const server = net.createServer(socket => socket.end('pong'))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as net.AddressInfo
const client = net.connect(port, '127.0.0.1')
client.resume()
await once(client, 'close')
server.close()
await once(server, 'close')
capture.close()
const ends = recordsOf(flushes).filter(record => stateOf(record) === 2)
console.log(
  JSON.stringify({ pid: process.pid, roles: ends.map(roleOf).sort(), owners: ends.map(r => r.owner) }),
)
