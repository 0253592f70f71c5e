import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { until } from '../lab/until.ts'
import { freePort } from './free-port.ts'
import { natsProgram } from './nats-program.ts'
import { removeFolder, scratchFolder } from './scratch-folder.ts'

export interface NatsServerOptions {
  /** Further lines of the server's configuration: logins, TLS, limits. */
  readonly config?: string
  /** False leaves JetStream turned off. Default: true. */
  readonly jetstream?: boolean
  /** Most bytes that JetStream may keep, in files and in memory each. Nothing is reserved. */
  readonly storeBytes?: number
  /** Its unique name, needed in a cluster. */
  readonly name?: string
}

interface Ports {
  readonly client: number
  readonly monitor: number
}

const startMs = 120_000
const live = new Set<NatsServer>()

// a killed runner is another matter: the kernel then kills the servers, see `launch`
process.on('exit', () => {
  for (const server of live) server.signal('SIGKILL')
})

/** A nats-server of its own on 127.0.0.1, with its own folder. It never outlives the process that started it. */
export class NatsServer {
  readonly folder = scratchFolder()
  #options: NatsServerOptions
  #ports: Ports | undefined
  #child: ChildProcess | undefined

  private constructor(options: NatsServerOptions) {
    this.#options = options
  }

  /** Starts one on free ports; resolves once clients can use it. */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const server = new NatsServer(options)
    live.add(server)
    try {
      for (let attempt = 1; ; attempt++) {
        server.#ports = { client: await freePort(), monitor: await freePort() }
        try {
          await server.restart()
          return server
        } catch (error) {
          // somebody else was quicker to take the port
          if (attempt === 3 || !/address already in use/.test(String(error))) throw error
        }
      }
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  get port(): number {
    return this.#ports!.client
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  get pid(): number | undefined {
    return this.isRunning ? this.#child!.pid : undefined
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Starts it again on the same ports and store, after it was ended or killed. */
  async restart(): Promise<void> {
    if (this.isRunning) throw new Error('the server still runs')
    this.#writeConfig()
    this.#launch()
    await this.#listening(performance.now() + startMs)
  }

  /** Ends it by SIGTERM, and takes its folder away. Idempotent. */
  async stop(): Promise<void> {
    await this.terminate()
    live.delete(this)
    removeFolder(this.folder)
  }

  /** Ends it by SIGTERM, as an orderly restart does. */
  async terminate(): Promise<void> {
    this.signal('SIGTERM')
    this.signal('SIGCONT')
    const timer = setTimeout(() => this.signal('SIGKILL'), 30_000)
    await this.#exit()
    clearTimeout(timer)
  }

  /** Kills it without warning. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.#exit()
  }

  /** Stops it from running: connections stay open and nobody answers. */
  pause(): void {
    this.signal('SIGSTOP')
  }

  resume(): void {
    this.signal('SIGCONT')
  }

  /** Takes over other configuration lines without a restart; waits until the server says that it did. */
  async reload(config: string): Promise<void> {
    this.#options = { ...this.#options, config }
    this.#writeConfig()
    const before = countOf(this.log(), 'Reloaded server configuration')
    this.signal('SIGHUP')
    await until(
      'the server reloads its configuration',
      () => countOf(this.log(), 'Reloaded server configuration') > before,
      { describe: () => this.logTail() },
    )
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child!.kill(signal)
  }

  /** What the server's monitoring endpoint answers, such as `varz` or `connz`. */
  async monitor<T = Record<string, unknown>>(path: string): Promise<T> {
    const answer = await fetch(`http://127.0.0.1:${this.#ports!.monitor}/${path}`)
    return (await answer.json()) as T
  }

  log(): string {
    return readFileSync(this.#logPath, 'utf8')
  }

  logTail(lines = 20): string {
    return this.log().trimEnd().split('\n').slice(-lines).join('\n')
  }

  get #logPath(): string {
    return join(this.folder, 'nats-server.log')
  }

  get #configPath(): string {
    return join(this.folder, 'nats-server.conf')
  }

  #writeConfig(): void {
    const { config = '', jetstream = true, storeBytes = 64 * 2 ** 30, name } = this.#options
    const store = `jetstream { store_dir: ${JSON.stringify(join(this.folder, 'store'))}, max_file_store: ${storeBytes}, max_memory_store: ${storeBytes} }`
    const lines = [
      `listen: "127.0.0.1:${this.port}"`,
      `http: "127.0.0.1:${this.#ports!.monitor}"`,
      jetstream ? store : '',
      name === undefined ? '' : `server_name: ${name}`,
      config,
    ]
    writeFileSync(this.#configPath, `${lines.join('\n')}\n`)
  }

  #launch(): void {
    const log = openSync(this.#logPath, 'a')
    try {
      // setpriv has the kernel kill the server when the thread that starts it ends, however that happens
      const args = ['--pdeathsig', 'KILL', natsProgram('server'), '--config', this.#configPath]
      this.#child = spawn('setpriv', args, { stdio: ['ignore', log, log] })
    } finally {
      closeSync(log)
    }
    this.#child.on('error', () => {}) // seen as a server that does not run
  }

  async #listening(deadline: number): Promise<void> {
    const { jetstream = true } = this.#options
    while (this.isRunning && performance.now() < deadline) {
      const info = await greeting(this.port)
      if (info !== undefined && (!jetstream || info.jetstream === true)) return
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    const tail = this.logTail()
    await this.kill()
    throw new Error(`nats-server is not ready:\n${tail}`)
  }

  async #exit(): Promise<void> {
    if (!this.isRunning) return
    await new Promise(resolve => this.#child!.once('exit', resolve))
  }
}

function countOf(text: string, part: string): number {
  return text.split(part).length - 1
}

/** The INFO line that a server says first; undefined if nobody says one. */
function greeting(port: number): Promise<{ readonly jetstream?: boolean } | undefined> {
  const { promise, resolve } = Promise.withResolvers<{ readonly jetstream?: boolean } | undefined>()
  let text = ''
  const socket = connect({ port, host: '127.0.0.1', timeout: 1_000 })
  const end = (info?: { readonly jetstream?: boolean }) => {
    socket.destroy()
    resolve(info)
  }
  socket.on('data', chunk => {
    text += chunk.toString()
    const line = /^INFO (\{.*\})\s*\r\n/.exec(text)
    if (line !== null) end(JSON.parse(line[1]))
  })
  socket.on('error', () => end())
  socket.on('close', () => end())
  socket.on('timeout', () => end())
  return promise
}
