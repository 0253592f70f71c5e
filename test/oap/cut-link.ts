import { connect, createServer, type Server, type Socket } from 'node:net'

/**
 * A way to a port that can be cut as a cable is: connections stay, nothing passes, nobody is told. It can also be made
 * slow, which looks as if whoever is at its end hardly read: what was sent stays with the sender.
 */
export class CutLink {
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  /** Bytes that passed on their way to the port. */
  passed = 0
  #isCut = false
  #bytesPerSecond = Number.POSITIVE_INFINITY

  private constructor(server: Server) {
    this.#server = server
  }

  static async to(port: number): Promise<CutLink> {
    const server = createServer({ allowHalfOpen: true })
    const link = new CutLink(server)
    server.on('connection', from => link.#join(from, port))
    const { promise, resolve } = Promise.withResolvers<void>()
    server.listen(0, '127.0.0.1', resolve)
    await promise
    return link
  }

  get address(): string {
    const { port } = this.#server.address() as { port: number }
    return `127.0.0.1:${port}`
  }

  cut(): void {
    this.#isCut = true
    for (const [a, b] of this.#pairs) for (const socket of [a, b]) socket.pause()
  }

  /** What was under way when the link was cut is lost with its connections. */
  mend(): void {
    this.#isCut = false
    this.#drop()
  }

  /** From here on not more than this; infinity is as fast as it can be. */
  limit(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond
  }

  close(): void {
    this.#drop()
    this.#server.close()
  }

  #join(from: Socket, port: number): void {
    const to = connect(port, '127.0.0.1')
    const pair = [from, to] as const
    this.#pairs.add(pair)
    for (const [a, b] of [pair, [to, from] as const]) {
      a.on('data', chunk => {
        if (this.#isCut) return
        b.write(chunk)
        if (a === from) this.passed += chunk.length
        const restMs = (1_000 * chunk.length) / this.#bytesPerSecond
        if (restMs === 0) return
        a.pause()
        setTimeout(() => {
          if (!this.#isCut) a.resume()
        }, restMs)
      })
      a.on('error', () => undefined) // seen as a close
      a.on('close', () => {
        if (!this.#isCut) b.destroy()
      })
      if (this.#isCut) a.pause()
    }
  }

  #drop(): void {
    for (const [a, b] of this.#pairs) {
      a.destroy()
      b.destroy()
    }
    this.#pairs.clear()
  }
}
