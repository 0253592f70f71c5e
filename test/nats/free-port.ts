import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

const lowestPort = 10_240

/**
 * A port of 127.0.0.1 that nobody listens on, below those the kernel gives to outgoing connections: while a server is
 * down, no connection attempt of a client can take its port, or end up connected to itself.
 */
export async function freePort(): Promise<number> {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  const highest = Math.max(lowestPort + 1_000, Number(range.trim().split(/\s+/)[0]))
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = lowestPort + Math.floor(Math.random() * (highest - lowestPort))
    if (await isFree(port)) return port
  }
  throw new Error(`no free port between ${lowestPort} and ${highest}`)
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  return promise
}
