import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { BusStatus } from '../../packages/collector/src/program.ts'
import type { CollectorStatus } from '../../packages/collector/src/status.ts'
import { until } from '../lab/until.ts'
import { freePort } from '../nats/free-port.ts'

const main = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))

/** `skybraid collector` as a user runs it, asked only over its own pages. */
export interface CollectorProcess {
  readonly output: () => string
  status(): Promise<CollectorStatus & { readonly bus: BusStatus }>
  get(path: string): Promise<Response>
  signal(signal: NodeJS.Signals): void
  /** Sends the signal and answers the exit code; kills it if it takes longer than `patienceMs`. */
  stop(signal?: NodeJS.Signals, patienceMs?: number): Promise<number | null>
}

/** Starts one and waits until it serves its pages, which it does once it is attached. */
export async function startCollectorProcess(args: readonly string[]): Promise<CollectorProcess> {
  const url = `127.0.0.1:${await freePort()}`
  const argv = ['--conditions=source', main, 'collector', '--status-listen', url, ...args]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const keep = (text: string) => {
    output = (output + text).slice(-64_000)
  }
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  const get = (path: string) => fetch(`http://${url}${path}`)
  const stop = (signal: NodeJS.Signals = 'SIGTERM', patienceMs = 20_000) => ended(child, signal, patienceMs)
  try {
    await until(
      'the collector to be attached',
      async () => {
        if (child.exitCode !== null) throw new Error(`the collector ended with ${child.exitCode}:\n${output}`)
        return (await get('/livez').catch(() => undefined))?.status === 200
      },
      { timeoutMs: 20_000, everyMs: 50, describe: () => output },
    )
  } catch (error) {
    await stop('SIGKILL')
    throw error
  }
  return {
    output: () => output,
    get,
    signal: signal => void child.kill(signal),
    stop,
    status: async () => (await (await get('/status')).json()) as CollectorStatus & { bus: BusStatus },
  }
}

async function ended(
  child: ChildProcess,
  signal: NodeJS.Signals,
  patienceMs: number,
): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const { promise, resolve } = Promise.withResolvers<void>()
  child.once('close', () => resolve())
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  await promise
  clearTimeout(timer)
  return child.exitCode
}
