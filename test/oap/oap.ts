import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '../lab/until.ts'
import { freePort } from '../nats/free-port.ts'
import { fetchOapJars } from './oap-jars.ts'

export interface OapPorts {
  readonly grpc: number
  readonly rest: number
  readonly metrics: number
}

export interface OapOptions {
  /** Senders must give it in the header `authentication`. */
  readonly token?: string
  /** Files; senders must have a certificate that `ca` signed. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string }
  /** Rules for OpenTelemetry metrics among those that are shipped; compiling them takes some seconds. */
  readonly metricRules?: string
  /** Free ones by default. */
  readonly ports?: OapPorts
  /** Goes on when this process ends. */
  readonly detached?: boolean
  readonly say?: (line: string) => void
}

const config = fileURLToPath(new URL('config', import.meta.url))
/** The rules that are shipped for those who run OAP. */
const rules = fileURLToPath(new URL('../../helm/skybraid/files/oap', import.meta.url))
const logs = fileURLToPath(new URL('../../.cache/oap', import.meta.url))
const mainClass = 'org.apache.skywalking.oap.server.starter.OAPServerStartUp'
/** On a busy machine; a quiet one takes 10 s. */
const bootMs = 240_000
const live = new Set<Oap>()

process.on('exit', () => {
  for (const oap of live) oap.signal('SIGKILL')
})

/** A real OAP on 127.0.0.1 that keeps everything in memory. */
export class Oap {
  readonly ports: OapPorts
  readonly #options: OapOptions
  readonly #jars: string
  /** Where receivers have a port of their own. */
  #corePort = 0
  #child: ChildProcess | undefined

  private constructor(jars: string, ports: OapPorts, options: OapOptions) {
    this.#jars = jars
    this.ports = ports
    this.#options = options
  }

  /** Fetches the jars if they are not here, starts a server and resolves once GraphQL answers. */
  static async start(options: OapOptions = {}): Promise<Oap> {
    const jars = await fetchOapJars(options.say ?? (() => undefined))
    const ports = options.ports ?? {
      grpc: await freePort(),
      rest: await freePort(),
      metrics: await freePort(),
    }
    const oap = new Oap(jars, ports, options)
    oap.#corePort = await freePort()
    if (options.detached !== true) live.add(oap)
    try {
      await oap.restart()
    } catch (error) {
      await oap.stop()
      throw error
    }
    return oap
  }

  /** Starts it again on the same ports after it was stopped or killed; it has forgotten everything. */
  async restart(): Promise<void> {
    if (this.isRunning) throw new Error('this OAP still runs')
    this.#launch()
    await until('OAP answers', () => this.#answers(), {
      timeoutMs: bootMs,
      everyMs: 250,
      describe: () => this.logTail(),
    })
  }

  get pid(): number | undefined {
    return this.isRunning ? this.#child!.pid : undefined
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  get address(): string {
    return `127.0.0.1:${this.ports.grpc}`
  }

  /** Ends it and takes its log away. Idempotent. */
  async stop(): Promise<void> {
    this.signal('SIGTERM')
    this.signal('SIGCONT')
    const timer = setTimeout(() => this.signal('SIGKILL'), 5_000)
    await this.#exit()
    clearTimeout(timer)
    live.delete(this)
    rmSync(this.logPath, { force: true })
  }

  /** Kills it without warning. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.#exit()
  }

  /** Keeps it from running: connections stay open and nobody answers. */
  pause(): void {
    this.signal('SIGSTOP')
  }

  resume(): void {
    this.signal('SIGCONT')
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child!.kill(signal)
  }

  /** Leaves a detached server to itself. */
  release(): void {
    this.#child?.unref()
  }

  /** The data of a GraphQL query; throws on any error. */
  async graphql<T>(query: string, variables: object = {}): Promise<T> {
    return graphql<T>(this.ports.rest, query, variables)
  }

  /** The server's own counters, in Prometheus' text format. */
  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.ports.metrics}/metrics`)).text()
  }

  log(): string {
    return readFileSync(this.logPath, 'utf8')
  }

  /** Lines of its log about what went wrong. */
  errors(lines = 20): string {
    const all = this.log().split('\n')
    return all
      .filter(line => / ERROR |Exception/.test(line))
      .slice(-lines)
      .join('\n')
  }

  logTail(lines = 20): string {
    return this.log().trimEnd().split('\n').slice(-lines).join('\n')
  }

  get logPath(): string {
    return join(logs, `oap-${this.ports.grpc}.log`)
  }

  async #answers(): Promise<boolean> {
    if (!this.isRunning) throw new Error(`OAP ended:\n${this.logTail()}`)
    return (await this.graphql('{ version }').catch(() => undefined)) !== undefined
  }

  #launch(): void {
    mkdirSync(logs, { recursive: true })
    const log = openSync(this.logPath, 'a')
    const java = [
      'java',
      '-Xms128m',
      '-Xmx768m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Duser.timezone=UTC',
      `-Dlog4j2.configurationFile=${join(config, 'log4j2.xml')}`,
      '-cp',
      `${this.#jars}/*:${config}:${rules}`,
      mainClass,
    ]
    const env = {
      ...process.env,
      SW_TEST_GRPC_PORT: String(this.ports.grpc),
      SW_TEST_REST_PORT: String(this.ports.rest),
      SW_TEST_METRICS_PORT: String(this.ports.metrics),
      ...(this.#options.metricRules === undefined ? {} : { SW_TEST_METRIC_RULES: this.#options.metricRules }),
      ...(this.#options.token === undefined ? {} : { SW_TEST_TOKEN: this.#options.token }),
      ...this.#tlsSettings(),
    }
    const detached = this.#options.detached === true
    // setpriv has the kernel kill the server when the thread that starts it ends, however that happens
    const argv = detached ? java : ['setpriv', '--pdeathsig', 'KILL', ...java]
    try {
      this.#child = spawn(argv[0], argv.slice(1), { stdio: ['ignore', log, log], env, detached })
    } finally {
      closeSync(log)
    }
    this.#child.on('error', () => {}) // seen as a server that does not run
  }

  #tlsSettings(): Record<string, string> {
    const { tls } = this.#options
    if (tls === undefined) return {}
    return {
      SW_TEST_GRPC_PORT: String(this.#corePort),
      SW_TEST_RECEIVER_PORT: String(this.ports.grpc),
      SW_TEST_TLS: 'true',
      SW_TEST_TLS_CERT: tls.cert,
      SW_TEST_TLS_KEY: tls.key,
      SW_TEST_TLS_CA: tls.ca,
    }
  }

  async #exit(): Promise<void> {
    if (!this.isRunning) return
    await new Promise(resolve => this.#child!.once('exit', resolve))
  }
}

export async function graphql<T>(port: number, query: string, variables: object = {}): Promise<T> {
  const answer = await fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(20_000),
  })
  const body = (await answer.json()) as { data?: T; errors?: unknown }
  if (body.errors !== undefined || body.data === undefined)
    throw new Error(`GraphQL: ${JSON.stringify(body.errors)} for ${query}`)
  return body.data
}
