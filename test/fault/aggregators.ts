import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { until } from '../lab/until.ts'
import { freePort } from '../nats/free-port.ts'

export interface AggregatorSettings {
  readonly nats: readonly string[]
  readonly cluster: string
  readonly replicas?: number
  readonly ordinal?: number
  readonly flags?: readonly string[]
}

interface Partition {
  readonly partition: number
  readonly phase: string
  readonly lagMessages: number
  readonly lagMs: number
  /** Unix minutes. */
  readonly closedThrough: number
}

const program = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))
const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** `skybraid aggregator` as a process that can be killed, paused and started again at the same address. */
export class AggregatorProcess {
  readonly url: string
  readonly #port: number
  #settings: AggregatorSettings
  #child: ChildProcess | undefined
  #output = ''

  private constructor(port: number, settings: AggregatorSettings) {
    this.#port = port
    this.#settings = settings
    this.url = `http://127.0.0.1:${port}`
  }

  /** Resolves once it has caught up with its partitions. */
  static async start(settings: AggregatorSettings): Promise<AggregatorProcess> {
    const aggregator = new AggregatorProcess(await freePort(), settings)
    aggregator.launch()
    try {
      await aggregator.ready()
    } catch (error) {
      await aggregator.end()
      throw error
    }
    return aggregator
  }

  get pid(): number {
    return this.#child!.pid!
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  get output(): string {
    return this.#output
  }

  launch(change: Partial<AggregatorSettings> = {}): void {
    this.#settings = { ...this.#settings, ...change }
    const { nats, cluster, replicas = 1, ordinal = 0, flags = [] } = this.#settings
    const args = ['--conditions=source', program, 'aggregator', '--listen', `127.0.0.1:${this.#port}`]
    args.push(...nats.flatMap(url => ['--nats', url]), '--cluster', cluster, '--request-rate', '0')
    args.push('--replicas', String(replicas), '--replica-ordinal', String(ordinal), ...flags)
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    running.add(child)
    child.once('close', () => running.delete(child))
    const take = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-16_384)
    }
    child.stdout!.on('data', take)
    child.stderr!.on('data', take)
  }

  /** Waits until its API answers anything, and answers how long that took, ms. */
  async answering(timeoutMs = 240_000): Promise<number> {
    return await this.#says('/livez', 'the API answers', timeoutMs)
  }

  /** Waits until it says that it is ready, and answers how long that took, ms. */
  async ready(timeoutMs = 240_000): Promise<number> {
    return await this.#says('/readyz', 'the aggregator is ready', timeoutMs)
  }

  async #says(path: string, what: string, timeoutMs: number): Promise<number> {
    const begun = performance.now()
    await until(
      what,
      async () => {
        if (!this.isRunning) throw new Error(`the aggregator ended: ${this.#output}`)
        return fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(10_000) }).then(
          answer => answer.ok,
          () => false,
        )
      },
      { timeoutMs, everyMs: 50, describe: () => this.#output.slice(-2_000) },
    )
    return performance.now() - begun
  }

  async partitions(): Promise<readonly Partition[]> {
    const answer = await fetch(`${this.url}/status`, { signal: AbortSignal.timeout(30_000) })
    const { bus } = (await answer.json()) as { bus?: { partitions: Partition[] } }
    return bus?.partitions ?? []
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child!.kill(signal)
  }

  async kill(): Promise<void> {
    if (!this.isRunning) return
    const closed = once(this.#child!, 'close')
    this.signal('SIGKILL')
    await closed
  }

  /** Ends it by SIGTERM and answers its exit code. */
  async terminate(): Promise<number | null> {
    const closed = once(this.#child!, 'close')
    this.signal('SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), 15_000)
    const [code] = (await closed) as [number | null]
    clearTimeout(timer)
    return code
  }

  async end(): Promise<void> {
    this.signal('SIGCONT')
    await this.kill()
  }
}
