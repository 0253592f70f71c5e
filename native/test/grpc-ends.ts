import { join } from 'node:path'
import type { Python } from '../../test/otlp/find-python.ts'
import type { ObservedGroup } from './observed-group.ts'

/** In metadata and in messages of errors. */
export const secret = 'sekrit-grpc-4718'

const packageOfGrpc = join(import.meta.dirname, '..', '..', 'packages', 'aggregator', 'package.json')

/**
 * Both ends of gRPC: `serve` answers the port; `call PORT METHOD COUNT AT-ONCE DEADLINE-MS` answers how often each
 * status came. Hang without a deadline is cancelled by the client.
 */
export const grpcScript = `
const grpc = require('node:module').createRequire(${JSON.stringify(packageOfGrpc)})('@grpc/grpc-js')
const service = 'shop.v1.Cart', secret = ${JSON.stringify(secret)}
const same = bytes => bytes
const method = (name, requestStream, responseStream) => ({
  path: '/' + service + '/' + name, requestStream, responseStream,
  requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
})
const metadata = name => { const all = new grpc.Metadata(); all.set(name, secret); return all }
const handlers = {
  Get: [false, false, (call, done) => done(null, call.request)],
  Missing: [false, false, (call, done) => done({ code: 5, details: 'käse 100% ' + secret })],
  Denied: [false, false, (call, done) => { call.sendMetadata(metadata('x-shop')); done({ code: 7, details: secret }) }],
  Hang: [false, false, () => {}],
  List: [false, true, call => { for (let i = 0; i < 5; i++) call.write(call.request); call.end() }],
  Put: [true, false, (call, done) => { let all = Buffer.alloc(0); call.on('data', d => all = Buffer.concat([all, d])).on('end', () => done(null, all)) }],
  Chat: [true, true, call => call.on('data', d => call.write(d)).on('end', () => call.end())],
}
const serve = () => new Promise((done, failed) => {
  const server = new grpc.Server()
  const of = pick => Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, pick(name, handler)]))
  server.addService(of((name, [asks, answers]) => method(name, asks, answers)), of((_, handler) => handler[2]))
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => error ? failed(error) : done(port))
})
const clients = new Map()
const one = (port, name, deadlineMs) => new Promise(done => {
  const client = clients.get(port) ?? new grpc.Client('127.0.0.1:' + port, grpc.credentials.createInsecure())
  clients.set(port, client)
  const { path } = method(name), all = metadata('authorization')
  const options = deadlineMs ? { deadline: Date.now() + deadlineMs } : {}
  const [asks, answers] = handlers[name] ?? [false, false]
  const ended = error => done(error ? error.code : 0)
  const fill = call => { for (let i = 0; i < 5; i++) call.write(Buffer.from('put')); call.end() }
  const drain = call => call.on('data', () => {}).on('error', () => {}).on('status', status => done(status.code))
  if (asks && answers) { const call = client.makeBidiStreamRequest(path, same, same, all, options); drain(call); fill(call) }
  else if (answers) drain(client.makeServerStreamRequest(path, same, same, Buffer.from('list'), all, options))
  else if (asks) fill(client.makeClientStreamRequest(path, same, same, all, options, ended))
  else {
    const call = client.makeUnaryRequest(path, same, same, Buffer.from('ask'), all, options, ended)
    if (name === 'Hang' && !deadlineMs) setTimeout(() => call.cancel(), 50)
  }
})
const call = async (port, name, count, atOnce, deadlineMs) => {
  const counts = {}
  for (let done = 0; done < count; done += Number(atOnce)) {
    const calls = Array.from({ length: Math.min(atOnce, count - done) }, () => one(port, name, Number(deadlineMs)))
    for (const status of await Promise.all(calls)) {
      const key = service + '/' + name + ' ' + status
      counts[key] = (counts[key] ?? 0) + 1
    }
  }
  return counts
}
require('node:readline').createInterface({ input: process.stdin }).on('line', async line => {
  const [command, ...words] = line.split(' ')
  console.log(JSON.stringify(command === 'serve' ? await serve() : await call(...words)))
})
`

export type Tell = (command: string) => Promise<unknown>

/** An end in the group, of the Node library or of Python's. */
export function startGrpc(group: ObservedGroup, python: Python | undefined): Tell {
  if (python === undefined) return group.run(grpcScript)
  return group.converse(python.path, join(import.meta.dirname, 'grpc_end.py'), secret)
}
