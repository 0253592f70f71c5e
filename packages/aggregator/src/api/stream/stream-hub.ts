import type { TopologyQuery } from '../../topology/answer.ts'
import type { AnswerCache } from '../answer-cache.ts'
import type { ApiDeps, StreamCounts } from '../api-deps.ts'
import { minuteMs } from '../time-range.ts'
import { type ChannelSource, type StreamClient, TopologyChannel } from './topology-channel.ts'

/** A live question: a topology query whose range ends with the running minute. */
export interface LiveQuestion {
  readonly windowMs: number
  readonly query: Omit<TopologyQuery, 'fromMs' | 'toMs'>
}

interface OpenChannel {
  readonly channel: TopologyChannel
  idleSinceMs: number | undefined
  nextTickMs: number
}

const maxChannels = 32
/** How long a question without clients is kept, so that a client that lost its connection can resume. */
const idleChannelMs = 60_000

/** All live channels, one timer for all; it only runs while there are channels. */
export class StreamHub implements StreamCounts {
  readonly #deps: ApiDeps
  readonly #cache: AnswerCache
  readonly #channels = new Map<string, OpenChannel>()
  readonly #open = new Map<StreamClient, () => void>()
  #timer: NodeJS.Timeout | undefined
  #cutClients = 0

  constructor(deps: ApiDeps, cache: AnswerCache) {
    this.#deps = deps
    this.#cache = cache
  }

  clients(): number {
    return this.#open.size
  }

  cut(): number {
    return this.#cutClients
  }

  countCut(): void {
    this.#cutClients++
  }

  /** False if there are too many clients or too many different questions. */
  hasRoom(question: LiveQuestion): boolean {
    if (this.#open.size >= this.#deps.options.maxStreamClients) return false
    if (this.#channels.has(nameOf(question)) || this.#channels.size < maxChannels) return true
    return this.#evictIdle()
  }

  /** Adds a client; `end` closes its connection when the server shuts down. Returns how to remove it. */
  join(
    question: LiveQuestion,
    client: StreamClient,
    lastEventId: string | undefined,
    end: () => void,
  ): () => void {
    const open = this.#channelOf(question)
    open.idleSinceMs = undefined
    this.#open.set(client, end)
    open.channel.join(client, lastEventId)
    return () => {
      open.channel.clients.delete(client)
      this.#open.delete(client)
      if (open.channel.clients.size === 0) open.idleSinceMs = this.#deps.now()
    }
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    for (const end of [...this.#open.values()]) end()
    this.#channels.clear()
  }

  #channelOf(question: LiveQuestion): OpenChannel {
    const name = nameOf(question)
    let open = this.#channels.get(name)
    if (open === undefined) {
      const channel = new TopologyChannel(this.#source(question))
      open = { channel, idleSinceMs: undefined, nextTickMs: 0 }
      this.#channels.set(name, open)
      this.#timer ??= setInterval(() => this.#tick(), this.#deps.options.streamTickMs).unref()
    }
    return open
  }

  #source({ windowMs, query }: LiveQuestion): ChannelSource {
    const { reader, now } = this.#deps
    let lastVersion = ''
    let last: { readonly query: TopologyQuery; readonly nowMs: number } | undefined
    return {
      next: before => {
        const nowMs = now()
        const toMs = Math.floor(nowMs / minuteMs) * minuteMs + minuteMs
        const ranged: TopologyQuery = { ...query, fromMs: toMs - windowMs, toMs }
        const version = this.#cache.version(ranged, nowMs)
        if (version === lastVersion && before !== undefined) return undefined
        const change = reader.changedSince(ranged, nowMs, before)
        lastVersion = version
        last = { query: ranged, nowMs }
        return change
      },
      whole: () => {
        if (last === undefined) throw new Error('nothing was asked yet')
        return reader.topologyJson(last.query, last.nowMs)
      },
    }
  }

  #tick(): void {
    const nowMs = this.#deps.now()
    for (const [name, open] of this.#channels) {
      if (open.idleSinceMs !== undefined && nowMs - open.idleSinceMs > idleChannelMs) {
        this.#channels.delete(name)
      } else if (performance.now() >= open.nextTickMs) {
        this.#tickChannel(open)
      }
    }
    if (this.#channels.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  /** A question that is dear to answer is asked less often: live views may take a tenth of the time, not more. */
  #tickChannel(open: OpenChannel): void {
    const startMs = performance.now()
    try {
      open.channel.tick()
    } catch (error) {
      this.#deps.log.error({ err: error }, 'a live view could not be updated')
    }
    open.nextTickMs = startMs + 10 * (performance.now() - startMs)
  }

  #evictIdle(): boolean {
    for (const [name, open] of this.#channels) {
      if (open.idleSinceMs === undefined) continue
      this.#channels.delete(name)
      return true
    }
    return false
  }
}

function nameOf({ windowMs, query }: LiveQuestion): string {
  const entries = Object.entries(query).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([windowMs, entries])
}
