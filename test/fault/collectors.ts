import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Told } from './world/truth-book.ts'
import type { WorldSettings } from './world/world.ts'

export interface CollectorsSettings {
  readonly world: Omit<WorldSettings, 'startMs'>
  readonly cluster: string
  /** Options of the bus, as on the command line. */
  readonly nats: readonly string[]
  readonly encoding?: 'raw' | 'zstd'
  readonly spoolBytes?: number
  readonly ackTimeoutMs?: number
  readonly drainMs?: number
  /** A node that never hears of another number of partitions. */
  readonly deafNode?: string
}

/** What all collectors of a process say together. */
export interface CollectorsAnswer {
  /** Records that each node's kernel would have made. */
  readonly nodes: Readonly<Record<string, number>>
  readonly encoded: number
  readonly published: number
  readonly merged: number
  readonly queued: number
  readonly lost: number
  /** Of the fullest spool. */
  readonly spoolBytes: number
  readonly holds: boolean
  readonly connected: number
  readonly disconnects: number
  readonly refusals: Readonly<Record<string, number>>
  readonly acknowledged: number
  readonly batchBytes: number
  readonly payloadBytes: number
  readonly largestRssBytes: number
  /** The most that flushes were late. */
  readonly behindMs: number
  readonly cpuMs: number
  readonly live: number
}

export interface Ending extends CollectorsAnswer {
  readonly unacknowledged: number
}

export interface Truth {
  readonly truth: Told
  readonly segments: { readonly compared: number; readonly lost: number }
  readonly oneSided: readonly string[]
}

export interface CollectorOrder {
  readonly id: number
  readonly what: 'status' | 'calm' | 'truth' | 'stop'
}

interface Said {
  readonly id?: number
  readonly ready?: true
  readonly ended?: true
  readonly value?: unknown
  readonly error?: string
}

const program = new URL('collectors-program.ts', import.meta.url).pathname
const answerMs = 180_000
const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A process of simulated collectors. */
export class SimulatedCollectors {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #orders = 0
  #ending: Ending | undefined

  private constructor(child: ChildProcess) {
    this.#child = child
    running.add(child)
    child.on('close', () => {
      running.delete(child)
      for (const one of this.#waiting.values()) one.reject(new Error('the collectors ended'))
      this.#waiting.clear()
    })
    child.on('message', (said: Said) => {
      if (said.ended) this.#ending = said.value as Ending
      const one = this.#waiting.get(said.id ?? 0)
      this.#waiting.delete(said.id ?? 0)
      if (said.error === undefined) one?.resolve(said.value)
      else one?.reject(new Error(said.error))
    })
  }

  static async start(settings: CollectorsSettings): Promise<SimulatedCollectors> {
    const child = fork(program, [JSON.stringify(settings)], { execArgv: ['--conditions=source'] })
    const collectors = new SimulatedCollectors(child)
    const ended = once(child, 'close').then(([code]) => {
      throw new Error(`the collectors ended with ${code}`)
    })
    await Promise.race([once(child, 'message'), ended])
    ended.catch(() => {})
    return collectors
  }

  get pid(): number {
    return this.#child.pid!
  }

  status(): Promise<CollectorsAnswer> {
    return this.#ask('status')
  }

  /** Nothing new from now on; what is open stays open. */
  async calm(): Promise<void> {
    await this.#ask('calm')
  }

  truth(): Promise<Truth> {
    return this.#ask('truth')
  }

  /** Ends every collector in order; the process stays for questions until `end`. */
  stop(): Promise<Ending> {
    return this.#ask('stop')
  }

  /** As an operator ends a collector; answers what it said last. */
  async terminate(): Promise<Ending> {
    this.#child.kill('SIGTERM')
    const deadline = performance.now() + answerMs
    while (this.#ending === undefined) {
      if (performance.now() > deadline) throw new Error('the collectors do not end')
      await Promise.race([once(this.#child, 'message'), once(this.#child, 'close')])
    }
    return this.#ending
  }

  /** Takes the process away, whatever it does. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }

  #ask<T>(what: CollectorOrder['what']): Promise<T> {
    const id = ++this.#orders
    const one = Promise.withResolvers<unknown>()
    this.#waiting.set(id, one)
    const timer = setTimeout(() => one.reject(new Error(`no answer to ${what}`)), answerMs)
    this.#child.send({ id, what })
    return one.promise.finally(() => clearTimeout(timer)) as Promise<T>
  }
}
