import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { until } from '../lab/until.ts'

/** Name of the thread that empties the rings. */
export const pollThread = 'skybraid-poll'

export interface Product {
  readonly pid: number
  readonly url: string
  get<T>(path: string): Promise<T>
  /** Ends it as Ctrl-C does; throws if it does not end well. */
  stop(): Promise<void>
}

const program = fileURLToPath(new URL('../../packages/cli/dist/main.js', import.meta.url))

/** Starts the built product on the given nodes and waits until it answers. */
export async function startProduct(
  nodes: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<Product> {
  const url = `http://127.0.0.1:${await freePort()}`
  const nodeFlags = Object.entries(nodes).flatMap(([name, path]) => ['--node', `${name}=${path}`])
  const args = [program, 'standalone', '--listen', url.slice('http://'.length), ...nodeFlags, ...flags]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const output = collect(child)
  await until(
    `product at ${url}`,
    async () => {
      if (child.exitCode !== null) throw new Error(`the product ended: ${output()}`)
      return fetch(`${url}/readyz`).then(
        answer => answer.ok,
        () => false,
      )
    },
    { timeoutMs: 20_000, describe: output },
  )
  return {
    pid: child.pid!,
    url,
    get: async <T>(path: string) => (await fetch(url + path)).json() as Promise<T>,
    stop: () => stop(child, output),
  }
}

async function stop(child: ChildProcess, output: () => string): Promise<void> {
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  child.kill('SIGINT')
  const code = child.exitCode ?? (await ended)
  if (code !== 0) throw new Error(`the product ended with ${code}: ${output()}`)
}

function collect(child: ChildProcess): () => string {
  let text = ''
  const take = (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-8_192)
  }
  child.stdout!.on('data', take)
  child.stderr!.on('data', take)
  return () => text
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
