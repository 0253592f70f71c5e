import { setImmediate, setTimeout } from 'node:timers/promises'
import { DeliverPolicy, type JsMsg, type OrderedConsumerOptions } from '@nats-io/jetstream'
import type { NatsLink } from '@skybraid/shared/nats'

/** Where in a stream reading begins: at the first message of it, or of a time. */
export interface ReadStart {
  readonly unixMs?: number
  /** Sequence up to which another process read already, whatever comes again from there. */
  readonly knownThrough?: number
}

export interface StreamReaderOptions {
  readonly link: NatsLink
  readonly stream: string
  /** Subjects to read. */
  readonly filter: string
  readonly start: ReadStart
  /** Gets every message once, in the stream's order. */
  readonly onMessage: (message: StreamMessage) => void
  /** Nothing was left to read at this moment; every time that is so. */
  readonly onIdle: () => void
  readonly onTrouble: (reason: string) => void
  /** Reading goes on at `first`, because the stream has nothing older: what lies before it and behind `known` is gone. */
  readonly onTrimmed?: (known: number, first: number) => void
}

export interface StreamMessage {
  readonly subject: string
  readonly data: Uint8Array
  readonly header: (name: string) => string | undefined
  readonly sequence: number
  /** When the stream took it. */
  readonly unixMs: number
}

export interface StreamReader {
  /** Sequence of the last message that was read. */
  readonly sequence: number
  /** Messages that waited in the stream when the last one was read. */
  readonly pending: number
  /** The stream's time right now, as far as it is known: never later than it is; undefined while messages wait. */
  nowMs(): number | undefined
  stop(): Promise<void>
}

/** Pulls are bounded by bytes: bounded by messages they can exceed what the server holds for one client. */
const pullBytes = 4 << 20
/** The event loop turns at least this often. */
const longestRunMs = 10
const retryMs = 1_000
/** What a delivery may take longer than another: so much later the clock goes on while nothing comes. */
const deliverySpreadMs = 1_000

/**
 * Reads a stream in order, for ever: a consumer of its own that acknowledges nothing and starts anew behind the last
 * message that was read, whenever the server, the connection or the consumer is gone.
 */
export function readStream(options: StreamReaderOptions): StreamReader {
  const { link, start, onMessage, onIdle, onTrouble } = options
  const stopping = new AbortController()
  let sequence = 0
  let trimmedTo = 0
  let pending = -1
  let lastMs: number | undefined
  let lastReadAt = performance.now()

  function take(message: JsMsg): void {
    if (message.seq <= sequence) return
    sequence = message.seq
    const { timestampNanos } = message.info
    lastMs = Math.floor(timestampNanos / 1e6)
    lastReadAt = performance.now()
    onMessage({
      subject: message.subject,
      data: message.data,
      header: name => message.headers?.get(name),
      sequence,
      unixMs: lastMs,
    })
    pending = message.info.pending
    if (pending === 0) onIdle()
  }

  /** Tells of each such place once, however often reading begins anew. */
  async function lookForTrim(): Promise<void> {
    const { state } = await link.jsm.streams.info(options.stream)
    const known = Math.max(sequence, trimmedTo, start.knownThrough ?? 0)
    if (known === 0 || state.first_seq <= known + 1) return
    trimmedTo = state.first_seq - 1
    options.onTrimmed?.(known, state.first_seq)
  }

  async function readOnce(): Promise<void> {
    if (options.onTrimmed) await lookForTrim()
    const consumer = await link.js.consumers.get(options.stream, startOf(options, sequence))
    const { num_pending: waiting } = await consumer.info(true)
    if (waiting === 0) {
      pending = 0
      onIdle()
    }
    const messages = await consumer.consume({ max_bytes: pullBytes, expires: 10_000 })
    let hasEnded = false
    const end = () => {
      hasEnded = true
      void messages.close()
    }
    stopping.signal.addEventListener('abort', end)
    let ranSince = performance.now()
    try {
      for await (const message of messages) {
        // the client ends behind what waits already, and never where one leaves before that
        if (hasEnded) continue
        take(message)
        if (performance.now() - ranSince < longestRunMs) continue
        await setImmediate()
        ranSince = performance.now()
      }
    } finally {
      stopping.signal.removeEventListener('abort', end)
      // not waited for: after an error nobody takes what waits, so that it would never end
      void messages.close()
    }
  }

  async function readOn(): Promise<void> {
    let lastReason = ''
    while (!stopping.signal.aborted) {
      try {
        await readOnce()
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        if (reason !== lastReason && !stopping.signal.aborted) onTrouble(reason)
        lastReason = reason
      }
      pending = -1
      await setTimeout(retryMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined)
    }
  }

  const done = readOn()
  return {
    get sequence() {
      return sequence
    },
    get pending() {
      return pending
    },
    nowMs() {
      if (pending !== 0 || !link.state().connected) return undefined
      const sinceMs = performance.now() - lastReadAt - deliverySpreadMs
      return lastMs === undefined ? Date.now() - deliverySpreadMs : lastMs + Math.max(0, sinceMs)
    },
    async stop() {
      stopping.abort()
      await done
    },
  }
}

function startOf({ filter, start }: StreamReaderOptions, sequence: number): Partial<OrderedConsumerOptions> {
  const common = { filter_subjects: filter, inactive_threshold: 60_000 }
  if (sequence > 0)
    return { ...common, deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: sequence + 1 }
  if (start.unixMs === undefined) return { ...common, deliver_policy: DeliverPolicy.All }
  const time = new Date(Math.max(0, start.unixMs)).toISOString()
  return { ...common, deliver_policy: DeliverPolicy.StartTime, opt_start_time: time }
}
