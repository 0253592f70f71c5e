import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { BusStatus } from '../../packages/aggregator/src/bus/bus-status.ts'
import type { TopologyAnswer } from '../../packages/aggregator/src/topology/answer.ts'
import { until } from '../lab/until.ts'
import { afterTest } from './cleanup.ts'

const main = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))

/** `skybraid aggregator` in a process of its own, killed with the test. */
export interface AggregatorProgram {
  readonly child: ChildProcessByStdio<null, Readable, Readable>
  out(): string
  err(): string
  get<T>(path: string): Promise<T>
  text(path: string): Promise<string>
  bus(): Promise<BusStatus>
  ready(timeoutMs?: number): Promise<void>
  /** Waits until all partitions are there, which takes a moment after the start, and each is so. */
  everyPartition(
    what: string,
    isSo: (partition: BusStatus['partitions'][number]) => boolean,
    timeoutMs?: number,
  ): Promise<void>
  /** Waits until every partition has closed a minute, as this one sees it. */
  closed(minute: number, timeoutMs?: number): Promise<void>
  /** Everything between two times, every counter of every edge. */
  topology(fromMs: number, toMs: number): Promise<TopologyAnswer>
  kill(signal: NodeJS.Signals): Promise<number | string>
}

/** Unless the program is told otherwise. */
const partitionCount = 4

export async function startAggregatorProgram(
  url: string,
  ...args: readonly string[]
): Promise<AggregatorProgram> {
  const all = ['aggregator', '--nats', url, '--listen', '127.0.0.1:0', '--request-rate', '0', ...args]
  const child = spawn(process.execPath, ['--conditions=source', main, ...all], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const exit = new Promise<number | string>(resolve => {
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  afterTest(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const address = await until('the API listens', () => /http:\/\/[\d.:]+/.exec(out)?.[0], {
    timeoutMs: 120_000,
    describe: () => out + err,
  })
  // a process that was paused, or has no processor, says that it is overloaded or nothing at all, and is asked again
  const answer = (path: string) =>
    fetch(`${address}${path}`, { signal: AbortSignal.timeout(20_000) }).catch(() => undefined)
  const ask = async (path: string) => {
    return await until(
      `${path} is answered`,
      async () => {
        const tried = await answer(path)
        return tried?.ok && tried
      },
      { timeoutMs: 120_000, everyMs: 250, describe: () => out + err },
    )
  }
  const get = async <T>(path: string) => (await (await ask(path)).json()) as T
  const program = {
    child,
    out: () => out,
    err: () => err,
    get,
    text: async (path: string) => await (await ask(path)).text(),
    async bus() {
      const { bus } = await get<{ bus: BusStatus }>('/status')
      return bus
    },
    async ready(timeoutMs = 240_000) {
      await until('it is ready', async () => (await answer('/readyz'))?.ok, {
        timeoutMs,
        everyMs: 100,
        describe: () => out + err,
      })
    },
    async everyPartition(
      what: string,
      isSo: (partition: BusStatus['partitions'][number]) => boolean,
      timeoutMs = 240_000,
    ) {
      const partitions = async () => (await program.bus()).partitions
      const areAll = (all: BusStatus['partitions']) => all.length >= partitionCount && all.every(isSo)
      await until(what, async () => areAll(await partitions()), {
        timeoutMs,
        everyMs: 250,
        describe: async () => JSON.stringify(await partitions()),
      })
    },
    async closed(minute: number, timeoutMs?: number) {
      const isClosed = ({ closedThrough }: { closedThrough: number }) => closedThrough >= minute
      await program.everyPartition(`minute ${minute} is closed`, isClosed, timeoutMs)
    },
    topology(fromMs: number, toMs: number) {
      const range = `from=${new Date(fromMs).toISOString()}&to=${new Date(toMs).toISOString()}`
      return get<TopologyAnswer>(`/topology?${range}&groupBy=process&limit=5000&include=detail`)
    },
    kill(signal: NodeJS.Signals) {
      child.kill(signal)
      return exit
    },
  }
  return program
}
