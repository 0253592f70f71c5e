import { headers, type MsgHdrs } from '@nats-io/transport-node'
import type { BusMessage } from '@skybraid/shared'
import {
  compressFlowPayload,
  type FlowEncoding,
  flowHeaders,
  flowMessageId,
  flowStream,
  flowSubject,
  type NatsLink,
  type NatsState,
} from '@skybraid/shared/nats'
import type { CollectorBus } from '../collector.ts'
import type { Log } from '../log.ts'
import { BusRefusal, type RefusalKind, refusalKinds, refusalOf } from './bus-refusal.ts'

export interface JetStreamPublisherOptions {
  readonly cluster: string
  readonly encoding: FlowEncoding
  readonly log: Log
  /** How long an acknowledgement may take. */
  readonly ackTimeoutMs?: number
}

export interface BusStatus {
  readonly connected: boolean
  readonly server: string | undefined
  /** When `connected` last changed. */
  readonly sinceUnixMs: number
  readonly disconnects: number
  /** Publishes and subscriptions that the server refused for want of permission. */
  readonly permissionViolations: number
  readonly lastError: string | undefined
  readonly lastRefusal: { readonly kind: RefusalKind; readonly message: string } | undefined
  /** Acknowledged by the stream, and how many of them it had already. */
  readonly acknowledged: number
  readonly duplicates: number
  /** Of acknowledged batches: before and after compression. */
  readonly batchBytes: number
  readonly payloadBytes: number
  readonly refusals: Readonly<Record<RefusalKind, number>>
}

export interface JetStreamPublisher extends CollectorBus {
  /** From now on there is a connection to publish over. */
  use(link: NatsLink): void
  status(): BusStatus
}

interface Prepared {
  readonly subject: string
  readonly payload: Uint8Array
  readonly headers: MsgHdrs
  readonly messageId: string
  readonly messageBytes: number
}

const logAgainMs = 10_000
const noNumber = Object.keys(refusalKinds).map(kind => [kind, 0] as const)

/**
 * Publishes batches to the cluster's FLOW stream. `publish` resolves on the stream's acknowledgement and rejects with a
 * BusRefusal otherwise, at once while there is no connection: the client library would take the message and throw it
 * away. A batch that is published again has the same bytes and the same id.
 */
export function createJetStreamPublisher(options: JetStreamPublisherOptions): JetStreamPublisher {
  const { cluster, encoding, log, ackTimeoutMs = 5_000 } = options
  const stream = flowStream(cluster)
  const prepared = new WeakMap<BusMessage, Prepared>()
  const waiting = new Set<(refusal: BusRefusal) => void>()
  const readyListeners: (() => void)[] = []
  const refusals = Object.fromEntries(noNumber) as Record<RefusalKind, number>
  const counts = { acknowledged: 0, duplicates: 0, batchBytes: 0, payloadBytes: 0 }
  const startedUnixMs = Date.now()
  const loggedAtMs = new Map<RefusalKind, number>()
  let lastRefusal: BusStatus['lastRefusal']
  let link: NatsLink | undefined

  function onState({ connected }: NatsState): void {
    if (connected) {
      for (const listener of readyListeners) listener()
      return
    }
    // their acknowledgements can't come any more
    for (const refuse of waiting) refuse(new BusRefusal('disconnected'))
  }

  function prepare(message: BusMessage): Prepared {
    const known = prepared.get(message)
    if (known !== undefined) return known
    const made = prepareMessage(message, cluster, encoding)
    prepared.set(message, made)
    return made
  }

  async function send(message: BusMessage): Promise<void> {
    if (link === undefined || !link.state().connected) throw new BusRefusal('not_connected')
    const ready = prepare(message)
    const limit = link.connection.info?.max_payload ?? Number.POSITIVE_INFINITY
    if (ready.messageBytes > limit) {
      throw new BusRefusal(
        'too_large',
        `A batch of ${ready.messageBytes} bytes exceeds max_payload ${limit} of the server.`,
      )
    }
    const { duplicate } = await untilDisconnected(
      link.js.publish(ready.subject, ready.payload, {
        msgID: ready.messageId,
        headers: ready.headers,
        expect: { streamName: stream },
        timeout: ackTimeoutMs,
      }),
    )
    counts.acknowledged++
    if (duplicate) counts.duplicates++
    counts.batchBytes += message.data.length
    counts.payloadBytes += ready.payload.length
    lastRefusal = undefined
  }

  function untilDisconnected<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      waiting.add(reject)
      answer.then(resolve, reject).finally(() => waiting.delete(reject))
    })
  }

  function note(refusal: BusRefusal): void {
    refusals[refusal.kind]++
    lastRefusal = { kind: refusal.kind, message: refusal.message }
    const nowMs = performance.now()
    if (nowMs < (loggedAtMs.get(refusal.kind) ?? 0)) return
    loggedAtMs.set(refusal.kind, nowMs + logAgainMs)
    if (refusal.kind !== 'not_connected')
      log.warn({ kind: refusal.kind, reason: refusal.message }, 'the bus did not take a batch')
  }

  return {
    async publish(message) {
      try {
        await send(message)
      } catch (error) {
        const refusal = refusalOf(error)
        note(refusal)
        throw refusal
      }
    },
    onReady(listener) {
      readyListeners.push(listener)
      // it may have come before whoever wants to know
      if (link?.state().connected) listener()
    },
    use(connected) {
      link = connected
      link.onState(onState)
      onState(link.state())
    },
    status() {
      const state = link?.state()
      return {
        connected: state?.connected ?? false,
        server: state?.server,
        sinceUnixMs: state?.sinceUnixMs ?? startedUnixMs,
        disconnects: state?.disconnects ?? 0,
        permissionViolations: state?.permissionViolations ?? 0,
        lastError: state?.lastError,
        lastRefusal,
        ...counts,
        refusals: { ...refusals },
      }
    },
  }
}

/** Less is not compressed: of a few records it takes as long as to publish them, and saves a hundred bytes or two. */
const fewBytes = 512

/** Compressed once: compressing again could give other bytes with another version of the library. */
function prepareMessage(message: BusMessage, cluster: string, configured: FlowEncoding): Prepared {
  const { head, partition, data } = message
  const encoding = data.length < fewBytes ? 'raw' : configured
  if (head === undefined) throw new BusRefusal('other', 'A batch without its head cannot be published.')
  const list = flowHeaders({ ...head, partition, encoding })
  const own = headers()
  for (const [name, value] of list) own.set(name, value)
  const payload = encoding === 'zstd' ? compressFlowPayload(data) : data
  const messageId = flowMessageId({ ...head, partition })
  // what the client adds: the id, the expected stream, the version line
  const headerBytes = list.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 256)
  return {
    subject: flowSubject(cluster, partition, head.node),
    payload,
    headers: own,
    messageId,
    messageBytes: payload.length + headerBytes,
  }
}
