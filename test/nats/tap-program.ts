import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { until } from '../lab/until.ts'

const main = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))

/** `skybraid tap` in a process of its own. */
export interface TapProgram {
  readonly child: ChildProcessByStdio<null, Readable, Readable>
  out(): string
  err(): string
  /** Lines of ndjson so far. */
  objects(): TapObject[]
  /** Resolves with its exit code. */
  ended(): Promise<number | string>
  /** Ctrl-C, and its exit code. */
  interrupt(): Promise<number | string>
}

export interface TapObject {
  readonly type: string
  readonly node?: string
  readonly sequence?: number
  readonly records?: number
  readonly [name: string]: unknown
}

export function startTap(args: readonly string[], reading = true): TapProgram {
  const child = spawn(process.execPath, ['--conditions=source', main, 'tap', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8')
  if (reading) child.stdout.on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const exit = new Promise<number | string>(resolve => {
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  return {
    child,
    out: () => out,
    err: () => err,
    objects: () =>
      out
        .slice(0, out.lastIndexOf('\n') + 1)
        .split('\n')
        .filter(line => line !== '')
        .map(line => JSON.parse(line) as TapObject),
    ended: () => exit,
    interrupt() {
      child.kill('SIGINT')
      return exit
    },
  }
}

/** Waits until a live tap has its subscription at the server. */
export async function subscribed(server: { monitor<T>(path: string): Promise<T> }): Promise<void> {
  await until('the tap subscribes', async () => {
    const { connections } = await server.monitor<Connections>('connz?subs=1')
    return connections.some(({ subscriptions_list: subjects = [] }) =>
      subjects.some(subject => subject.startsWith('skybraid.v1.')),
    )
  })
}

interface Connections {
  readonly connections: readonly { readonly subscriptions_list?: readonly string[] }[]
}
