import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { FlowView, IngestStatus, TopologyAnswer } from '../../packages/aggregator/src/topology/answer.ts'
import type { Lab } from '../lab/lab.ts'
import { until } from '../lab/until.ts'

const main = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))

export interface ProductOptions {
  /** Further arguments of `standalone`. */
  readonly args?: readonly string[]
  readonly flush?: string
}

export interface ProductStatus {
  readonly ready: boolean
  readonly reasons: readonly string[]
  readonly ingest: IngestStatus
  readonly collectors: readonly unknown[]
}

/** The product as a user runs it, one collector per node of a lab, asked only over its API. */
export class Product {
  readonly url: string
  readonly startedMs: number
  readonly #child: ChildProcess
  #output = ''

  private constructor(child: ChildProcess, url: string, startedMs: number) {
    this.#child = child
    this.url = url
    this.startedMs = startedMs
    const keep = (text: string) => {
      this.#output = (this.#output + text).slice(-64_000)
    }
    child.stdout!.setEncoding('utf8').on('data', keep)
    child.stderr!.setEncoding('utf8').on('data', keep)
  }

  /** Starts it with one collector per node of the lab and waits until every collector reports. */
  static async start(lab: Lab, options: ProductOptions = {}): Promise<Product> {
    const nodes = await Promise.all(
      lab.spec.nodes.map(async n => ['--node', `${n.name}=${await lab.nodeCgroup(n.name)}`]),
    )
    return Product.run(['--flush', options.flush ?? '200ms', ...nodes.flat(), ...(options.args ?? [])])
  }

  /** Starts it with these arguments of `standalone` and waits until it is ready. */
  static async run(args: readonly string[]): Promise<Product> {
    const port = await freePort()
    const argv = ['--conditions=source', main, 'standalone', '--listen', `127.0.0.1:${port}`, ...args]
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
    const product = new Product(child, `http://127.0.0.1:${port}`, Date.now())
    try {
      await until(
        'the product to be ready',
        () => {
          if (child.exitCode !== null)
            throw new Error(`the product ended with ${child.exitCode}:\n${product.output}`)
          return product.#ready()
        },
        { everyMs: 50, describe: () => product.output },
      )
    } catch (error) {
      await product.stop()
      throw error
    }
    return product
  }

  get output(): string {
    return this.#output
  }

  get pid(): number {
    return this.#child.pid!
  }

  async #ready(): Promise<boolean> {
    const answer = await fetch(`${this.url}/readyz`).catch(() => undefined)
    return answer?.status === 200
  }

  async get<T>(path: string): Promise<T> {
    // one that has no processor says that it is overloaded, and is asked again
    const answer = await until(`${path} is answered`, async () => {
      const tried = await fetch(this.url + path)
      return tried.status !== 503 && tried
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${text}`)
    return JSON.parse(text) as T
  }

  /** Everything since it started. */
  topology(groupBy = 'container'): Promise<TopologyAnswer> {
    return this.get(`/topology?groupBy=${groupBy}&from=${this.startedMs}&limit=5000&include=detail`)
  }

  /** Every flow that matches, over all pages. */
  async flows(query = ''): Promise<FlowView[]> {
    const flows: FlowView[] = []
    let cursor = ''
    do {
      const page = await this.get<{ flows: FlowView[]; nextCursor?: string }>(
        `/flows?limit=5000&${query}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
      )
      flows.push(...page.flows)
      cursor = page.nextCursor ?? ''
    } while (cursor !== '')
    return flows
  }

  status(): Promise<ProductStatus> {
    return this.get('/status')
  }

  /** Ends it as Ctrl-C does; returns its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#child.once('close', () => resolve())
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    await promise
    clearTimeout(timer)
    return this.#child.exitCode
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject).listen(0, '127.0.0.1', resolve)
  await promise
  const { port } = server.address() as { port: number }
  server.close()
  return port
}
