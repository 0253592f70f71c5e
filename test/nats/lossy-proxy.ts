import { createServer, connect as dial, type Socket } from 'node:net'
import { afterTest } from './cleanup.ts'

/** A relay in front of a server that can keep its answers back and cut its connections. */
export interface LossyProxy {
  readonly url: string
  /** What the server says from now on is lost; what it is told still arrives. */
  swallowAnswers(): void
  /** The same, from when a client says this on. */
  swallowAnswersTo(text: string): void
  /** Cuts all connections; new ones are whole. */
  cut(): void
}

export async function lossyProxy(port: number): Promise<LossyProxy> {
  let swallowing = false
  let cue: string | undefined
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = dial(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', chunk => {
      if (cue !== undefined && chunk.includes(cue)) swallowing = true
      upstream.write(chunk)
    })
    upstream.on('data', chunk => {
      if (!swallowing) client.write(chunk)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    swallowing = false
    cue = undefined
    for (const socket of sockets) socket.destroy()
  }
  afterTest(() => {
    cut()
    server.close()
  })
  const address = server.address() as { port: number }
  return {
    url: `nats://127.0.0.1:${address.port}`,
    swallowAnswers: () => {
      swallowing = true
    },
    swallowAnswersTo(text) {
      cue = text
    },
    cut,
  }
}
