import { createInterface } from 'node:readline'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { KubeObject } from '../resolve/kube-object.ts'
import type { KubeTrimmer } from '../resolve/kube-trim.ts'
import { acceptOf, type KubeResource } from './kube-resource.ts'
import { KubeHttpError, type KubeTransport } from './kube-transport.ts'
import { createListItems } from './list-items.ts'

export interface KubeWatchHandlers {
  /** `heardMs`: until then this sort did not change unseen; 0 if nobody looked. */
  put(object: KubeObject, heardMs: number): void
  gone(uid: string): void
  /** A complete list is in; `sinceMs` is when this sort was last heard of before it, 0 if never. */
  listed(uids: ReadonlySet<string>, sinceMs: number): void
}

export interface KubeWatchOptions {
  readonly transport: KubeTransport
  readonly resource: KubeResource
  readonly trimmer: KubeTrimmer
  readonly handlers: KubeWatchHandlers
  readonly nowMs: () => number
  readonly random: () => number
  /** A watch in which nothing is heard for so long is given up; the server sends a bookmark every minute. */
  readonly silentMs?: number
  readonly pageSize?: number
  readonly onError?: (error: unknown) => void
}

export interface KubeWatchStatus {
  readonly resource: string
  readonly watching: boolean
  /** Unix milliseconds of the last complete list, page, event or bookmark; 0 if none. */
  readonly heardMs: number
  readonly lists: number
  readonly watches: number
  readonly events: number
  readonly failures: number
  readonly lastError: string
}

export interface KubeWatch {
  status(): KubeWatchStatus
  close(): Promise<void>
}

const silentMs = 90_000
const pageSize = 200
const shortestWaitMs = 500
const longestWaitMs = 30_000
const shortestWatchMs = 1_000
/** Objects read and put between two turns of the event loop. */
const putsPerTurn = 25

interface ListPage {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string }
}

/** Lists page by page, then watches from there on, for ever: what the server cuts is resumed, what it forgot is listed again. */
export function startKubeWatch(options: KubeWatchOptions): KubeWatch {
  const { transport, resource, handlers, nowMs } = options
  const trim = resource.trim(options.trimmer)
  const stop = new AbortController()
  const counts = { lists: 0, watches: 0, events: 0, failures: 0 }
  let heardMs = 0
  /** What is heard next happened after this, or it would have been heard before. */
  let knownMs = 0
  let watching = false
  let lastError = ''
  let version = ''
  let failuresInARow = 0

  async function list(): Promise<void> {
    const sinceMs = heardMs
    const begunMs = nowMs()
    const uids = new Set<string>()
    let next = ''
    let listVersion = ''
    counts.lists++
    do {
      const query = new URLSearchParams({ limit: String(options.pageSize ?? pageSize) })
      if (next !== '') query.set('continue', next)
      const page = await readPage(`${resource.path}?${query}`, uids)
      listVersion = page.metadata?.resourceVersion ?? ''
      next = page.metadata?.continue ?? ''
    } while (next !== '')
    handlers.listed(uids, sinceMs)
    heardMs = nowMs()
    knownMs = begunMs
    version = listVersion
  }

  /** Puts the objects of a page as they come in. */
  async function readPage(path: string, uids: Set<string>): Promise<ListPage> {
    const quiet = new AbortController()
    // a signal with a time of its own would hold the request, and what it was answered, until then
    const timer = globalThis.setTimeout(
      () => quiet.abort(new Error('a list took too long')),
      options.silentMs ?? silentMs,
    )
    try {
      const signal = AbortSignal.any([stop.signal, quiet.signal])
      const response = await transport.get(path, signal, acceptOf(resource, true))
      const items = createListItems()
      let puts = 0
      for await (const chunk of response) {
        timer.refresh()
        for (const text of items.take(chunk as Buffer)) {
          const object = trim(JSON.parse(text))
          if (object) {
            uids.add(object.uid)
            handlers.put(object, knownMs)
          }
          if (++puts % putsPerTurn === 0) await setImmediate()
        }
      }
      return items.end() as ListPage
    } finally {
      clearTimeout(timer)
    }
  }

  async function watch(): Promise<void> {
    const quiet = new AbortController()
    const signal = AbortSignal.any([stop.signal, quiet.signal])
    const query = new URLSearchParams({
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion: version,
      // the server ends a watch by itself after so many seconds; they are spread
      timeoutSeconds: String(300 + Math.floor(options.random() * 300)),
    })
    const limitMs = options.silentMs ?? silentMs
    const timer = globalThis.setTimeout(
      () => quiet.abort(new Error('nothing was heard for too long')),
      limitMs,
    )
    counts.watches++
    try {
      const response = await transport.get(`${resource.path}?${query}`, signal, acceptOf(resource, false))
      watching = true
      heardMs = nowMs()
      for await (const line of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
        timer.refresh()
        heardMs = nowMs()
        failuresInARow = 0
        take(JSON.parse(line))
        knownMs = heardMs
      }
      if (quiet.signal.aborted) throw quiet.signal.reason
    } finally {
      watching = false
      clearTimeout(timer)
    }
  }

  function take(event: { readonly type?: string; readonly object?: unknown }): void {
    const { type, object } = event
    if (type === 'ERROR') {
      const { code = 0, message = 'the watch failed' } = object as { code?: number; message?: string }
      throw new KubeHttpError(code, message)
    }
    const metadata = (object as { metadata?: { resourceVersion?: string; uid?: string } } | undefined)
      ?.metadata
    if (metadata?.resourceVersion !== undefined) version = metadata.resourceVersion
    if (type === 'BOOKMARK') return
    counts.events++
    const trimmed = trim(object)
    // the last state says when its containers ended
    if (trimmed) handlers.put(trimmed, knownMs)
    if (type === 'DELETED' && metadata?.uid !== undefined) handlers.gone(metadata.uid)
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        if (version === '') await list()
        const begunMs = performance.now()
        await watch()
        // whatever ends watches as soon as they begin is not asked as fast as it answers
        if (performance.now() - begunMs < shortestWatchMs) await pause()
        else failuresInARow = 0
      } catch (error) {
        if (stop.signal.aborted) return
        await recover(error)
      }
    }
  }

  async function recover(error: unknown): Promise<void> {
    counts.failures++
    lastError = error instanceof Error ? error.message : String(error)
    options.onError?.(error)
    // what we resume from is no longer kept
    if (error instanceof KubeHttpError && error.status === 410) version = ''
    await pause()
  }

  async function pause(): Promise<void> {
    const longest = Math.min(longestWaitMs, shortestWaitMs * 2 ** failuresInARow++)
    await setTimeout(longest * (0.5 + options.random() / 2), undefined, { signal: stop.signal }).catch(
      () => undefined,
    )
  }

  const running = run()
  return {
    status: () => ({ resource: resource.name, watching, heardMs, ...counts, lastError }),
    async close() {
      stop.abort()
      await running
    },
  }
}
