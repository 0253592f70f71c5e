import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface ProxyOptions {
  readonly toPort: number
  /** Ends by itself after this long, so that nothing hangs on it. */
  readonly lastsMs: number
}

/** Between clients and a server, on 127.0.0.1. Everything passes until told otherwise. */
export class TcpProxy {
  readonly #server: Server
  readonly #toPort: number
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  readonly #swallowed = new Set<readonly [Socket, Socket]>()
  readonly #timer: NodeJS.Timeout
  #delayMs = 0
  #isBlackHole = false
  #refuses = false
  /** When each client came, by performance.now(). */
  readonly connectedAtMs: number[] = []

  private constructor(server: Server, { toPort, lastsMs }: ProxyOptions) {
    this.#server = server
    this.#toPort = toPort
    server.on('connection', socket => this.#take(socket))
    this.#timer = setTimeout(() => void this.close(), lastsMs)
    this.#timer.unref()
  }

  static async start(options: ProxyOptions): Promise<TcpProxy> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TcpProxy(server, options)
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  get connections(): number {
    return this.#pairs.size
  }

  /** Every piece comes so much later, in order. */
  delay(ms: number): void {
    this.#delayMs = ms
  }

  /** Cuts every connection with a reset. */
  cut(): void {
    for (const [client, server] of this.#pairs) {
      client.resetAndDestroy()
      server.destroy()
    }
  }

  /** Connections that exist stay open and nothing passes any more: half open. New ones pass. */
  swallowExisting(): void {
    for (const pair of this.#pairs) {
      this.#swallowed.add(pair)
      for (const socket of pair) {
        socket.removeAllListeners('data')
        socket.on('data', () => {})
      }
    }
  }

  /** New connections are refused as if nobody listened. */
  refuse(refuses: boolean): void {
    this.#refuses = refuses
  }

  /** New connections are taken and stay silent. */
  blackHole(isBlackHole: boolean): void {
    this.#isBlackHole = isBlackHole
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    for (const [client, server] of this.#pairs) {
      client.destroy()
      server.destroy()
    }
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  #take(client: Socket): void {
    this.connectedAtMs.push(performance.now())
    if (this.#refuses) return void client.resetAndDestroy()
    const server = connect(this.#toPort, '127.0.0.1')
    const pair = [client, server] as const
    this.#pairs.add(pair)
    if (!this.#isBlackHole) {
      this.#pass(client, server)
      this.#pass(server, client)
    } else client.on('data', () => {})
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        // of a half-open connection one end learns nothing of the other
        if (this.#swallowed.has(pair) && !pair.every(each => each.destroyed)) return
        this.#pairs.delete(pair)
        this.#swallowed.delete(pair)
        client.destroy()
        server.destroy()
      })
    }
  }

  #pass(from: Socket, to: Socket): void {
    from.on('data', piece => {
      if (this.#delayMs === 0) to.write(piece)
      else setTimeout(() => to.writable && to.write(piece), this.#delayMs).unref()
    })
  }
}
