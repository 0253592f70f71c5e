import { setImmediate, setTimeout } from 'node:timers/promises'
import {
  type ConsumerMessages,
  DeliverPolicy,
  type JsMsg,
  type OrderedConsumerOptions,
  type StreamInfo,
} from '@nats-io/jetstream'
import type { NatsLink } from '@skybraid/shared/nats'
import { compareStream, type StreamExtent, type StreamPlace } from './stream-place.ts'

/** Where in a stream reading begins: at the first message of it, or of a time. */
export interface ReadStart {
  readonly unixMs?: number
  /** Up to where another process read already, whatever comes again from before. */
  readonly known?: StreamPlace
}

export interface StreamReaderOptions {
  readonly link: NatsLink
  readonly stream: string
  /** Subjects to read, as they are when reading begins, also anew. */
  readonly filters: () => string[]
  readonly start: ReadStart
  /** Gets every message once, in the stream's order. */
  readonly onMessage: (message: StreamMessage) => void
  /** Nothing was left to read at this moment; every time that is so. */
  readonly onIdle: () => void
  readonly onTrouble: (reason: string) => void
  /** Reading goes on at `first`, because the stream has nothing older: what lies before it and behind `known` is gone. */
  readonly onTrimmed?: (known: number, first: number) => void
  /** The stream is another than the one that was read up to `known`: all that it holds comes, numbered from its start. */
  readonly onReplaced?: (known: number, first: number) => void
}

export interface StreamMessage {
  readonly subject: string
  readonly data: Uint8Array
  readonly header: (name: string) => string | undefined
  readonly sequence: number
  /** When the stream took it. */
  readonly unixMs: number
  /** When the stream itself was made. */
  readonly stream: string
}

export interface StreamReader {
  /** Sequence of the last message that was read. */
  readonly sequence: number
  /** Messages that waited in the stream when the last one was read. */
  readonly pending: number
  /**
   * The stream's time right now, as far as it is known: never later than it is; undefined while messages wait. Asked
   * for several times a second.
   */
  nowMs(): number | undefined
  /** The subjects to read are others now; what is read of them goes on at the same place. */
  renew(): void
  stop(): Promise<void>
}

/**
 * What the messages asked for at a time hold at most: more than the server lets wait for one client ends in disconnects.
 * Asked for as a number of messages of the largest size that the stream takes: told a number of bytes, the client waits
 * for seconds whenever the rest of a request is smaller than the next message.
 */
const pullBytes = 32 << 20
const mostMessages = 512
/** A consumer that is not heard of for about three of these is gone, as one that lived on another server may be. */
const heartbeatMs = 2_000
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
  let startsAt = start.unixMs
  let furthest: StreamPlace = start.known ?? { sequence: 0, unixMs: Number.NEGATIVE_INFINITY }
  let stream = ''
  let atATime = 1
  let sequence = 0
  let pending = -1
  let endReading: (() => void) | undefined
  let lastMs: number | undefined
  let lastReadAt = performance.now()
  /** A process that stood still has not read what came meanwhile: for it, time did not pass. */
  let wokeAt = lastReadAt
  let askedAt = lastReadAt

  function take(message: JsMsg): void {
    if (message.seq <= sequence) return
    sequence = message.seq
    const { timestampNanos } = message.info
    lastMs = Math.floor(timestampNanos / 1e6)
    if (sequence > furthest.sequence) furthest = { stream, sequence, unixMs: lastMs }
    lastReadAt = performance.now()
    onMessage({
      subject: message.subject,
      data: message.data,
      header: name => message.headers?.get(name),
      sequence,
      unixMs: lastMs,
      stream,
    })
    pending = message.info.pending
    if (pending === 0) onIdle()
  }

  /** Tells of each trim and each new stream once, however often reading begins anew. */
  async function lookAtStream(): Promise<void> {
    const info = await link.jsm.streams.info(options.stream)
    atATime = messagesAtATime(info, link.connection.info?.max_payload ?? 1 << 20)
    const is = extentOf(info)
    stream = is.stream
    const known = furthest.sequence
    const news = compareStream(furthest, is)
    if (news === 'same') return
    if (news === 'trimmed') {
      furthest = { stream, sequence: is.firstSequence - 1, unixMs: is.firstUnixMs ?? furthest.unixMs }
      options.onTrimmed?.(known, is.firstSequence)
      return
    }
    furthest = { stream, sequence: 0, unixMs: Number.NEGATIVE_INFINITY }
    sequence = 0
    startsAt = undefined
    options.onReplaced?.(known, is.firstSequence)
  }

  async function readOnce(): Promise<void> {
    await lookAtStream()
    const consumer = await link.js.consumers.get(
      options.stream,
      startOf(options.filters(), startsAt, sequence),
    )
    const { num_pending: waiting } = await consumer.info(true)
    if (waiting === 0) {
      pending = 0
      onIdle()
    }
    const messages = await consumer.consume({
      max_messages: atATime,
      expires: 10_000,
      idle_heartbeat: heartbeatMs,
    })
    const end = () => void messages.close()
    // The client goes on by itself with what it had asked for before, which nobody answers any more, for up to half a
    // minute; a consumer that is made anew is there at once.
    const forget = link.onState(({ connected }) => connected || end())
    void endWithConsumer(messages, end)
    endReading = end
    stopping.signal.addEventListener('abort', end)
    let ranSince = performance.now()
    try {
      for await (const message of messages) {
        // the client ends behind what waits already, and never where one leaves before that
        if (stopping.signal.aborted) continue
        take(message)
        if (performance.now() - ranSince < longestRunMs) continue
        await setImmediate()
        ranSince = performance.now()
      }
    } finally {
      forget()
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
      await untilConnected(link, stopping.signal)
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
      const at = performance.now()
      if (at - askedAt > deliverySpreadMs) wokeAt = at
      askedAt = at
      if (pending !== 0 || !link.state().connected) return undefined
      const sinceMs = at - Math.max(lastReadAt, wokeAt) - deliverySpreadMs
      return lastMs === undefined ? Date.now() - deliverySpreadMs : lastMs + Math.max(0, sinceMs)
    },
    renew: () => endReading?.(),
    async stop() {
      stopping.abort()
      await done
    },
  }
}

function messagesAtATime({ config }: StreamInfo, maxPayload: number): number {
  const largest = config.max_msg_size > 0 ? config.max_msg_size : maxPayload
  return Math.max(1, Math.min(mostMessages, Math.floor(pullBytes / largest)))
}

/** Calls `end` when the client says of its consumer that it is gone, or silent. */
async function endWithConsumer(messages: ConsumerMessages, end: () => void): Promise<void> {
  for await (const { type } of messages.status()) if (consumerIsGone.has(type)) end()
}

const consumerIsGone: ReadonlySet<string> = new Set([
  'heartbeats_missed',
  'consumer_not_found',
  'consumer_deleted',
  'stream_not_found',
  'no_responders',
  'reset',
])

/** What is asked for without a connection is only answered by the time being over. */
function untilConnected(link: NatsLink, stop: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const look = () => {
      if (!link.state().connected && !stop.aborted) return
      forget()
      stop.removeEventListener('abort', look)
      resolve()
    }
    const forget = link.onState(look)
    stop.addEventListener('abort', look)
    look()
  })
}

function extentOf({ created, state }: StreamInfo): StreamExtent {
  const { first_seq: firstSequence, last_seq: lastSequence, first_ts: firstTime, messages } = state
  return {
    stream: String(created),
    firstSequence,
    lastSequence,
    firstUnixMs: messages > 0 ? Date.parse(String(firstTime)) : undefined,
  }
}

function startOf(
  filters: string[],
  unixMs: number | undefined,
  sequence: number,
): Partial<OrderedConsumerOptions> {
  // for one, the client asks on a subject that names it, which permissions can tell apart
  const subjects = filters.length === 1 ? filters[0]! : filters
  const common = { filter_subjects: subjects, inactive_threshold: 60_000 }
  if (sequence > 0)
    return { ...common, deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: sequence + 1 }
  if (unixMs === undefined) return { ...common, deliver_policy: DeliverPolicy.All }
  const time = new Date(Math.max(0, unixMs)).toISOString()
  return { ...common, deliver_policy: DeliverPolicy.StartTime, opt_start_time: time }
}
