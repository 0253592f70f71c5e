import type { FastifyBaseLogger } from 'fastify'
import { retryDelayMs } from '../oap/interval/retry-delay.ts'
import type { MetricsRequest } from '../otlp/metrics-writer.ts'
import type { OtlpAnswer } from './otlp-answer.ts'
import type { OtlpConnection } from './otlp-connection.ts'

export interface QueueLimits {
  readonly maxAgeMs: number
  readonly maxBytes: number
}

export interface OtlpSenderDeps {
  readonly connection: OtlpConnection
  readonly limits: QueueLimits
  readonly log: FastifyBaseLogger
  readonly nowMs: () => number
  readonly random: () => number
}

/** Points, by what became of them. */
export interface OtlpPoints {
  sent: number
  /** The receiver said that it does not want them. */
  refused: number
  /** In flight when the connection broke: whether the receiver counted them, nobody knows. Never sent again. */
  unknown: number
  /** Waited too long, or found no room. */
  dropped: number
}

export interface OtlpSenderState {
  readonly isConnected: boolean
  readonly lastError: string | undefined
  /** Requests that failed in a row. */
  readonly failures: number
  readonly points: Readonly<OtlpPoints>
  /** What is on its way included. */
  readonly queued: { readonly requests: number; readonly points: number; readonly bytes: number }
  readonly oldestQueuedMs: number | undefined
}

/** Sends one request after the other, each once. What waits is bounded; the oldest goes first. */
export interface OtlpSender {
  /** `settled` is called once it is known what became of all of it. */
  push(requests: readonly MetricsRequest[], settled: () => void): void
  state(): OtlpSenderState
  /** Ends once nothing waits, or after the time given. Idempotent. */
  close(withinMs: number): Promise<void>
}

interface Waiting extends MetricsRequest {
  readonly queuedMs: number
  readonly settled: () => void
}

export function startOtlpSender(deps: OtlpSenderDeps): OtlpSender {
  const { connection, limits, log, nowMs } = deps
  const points: OtlpPoints = { sent: 0, refused: 0, unknown: 0, dropped: 0 }
  const waiting: Waiting[] = []
  /** On its way, and not answered. */
  let current: Waiting | undefined
  let bytes = 0
  let isConnected = false
  let lastError: string | undefined
  let failures = 0
  let isClosing = false
  let goOn = () => {}
  let endPause = () => {}

  function drop(): void {
    const oldest = waiting.shift()!
    bytes -= oldest.body.length
    points.dropped += oldest.points
    oldest.settled()
  }

  function makeRoom(): void {
    while (waiting.length > 0 && nowMs() - waiting[0].queuedMs > limits.maxAgeMs) drop()
    while (waiting.length > 1 && bytes > limits.maxBytes) drop()
  }

  function note(answer: OtlpAnswer, request: Waiting): void {
    if (answer.outcome === 'taken') {
      const rejected = Math.min(request.points, answer.partial?.rejectedPoints ?? 0)
      points.sent += request.points - rejected
      points.refused += rejected
      if (answer.partial) complain(`the receiver refused ${rejected} points: ${answer.partial.why}`)
      if (!isConnected) log.info({ otlp: connection.address }, 'OpenTelemetry metrics are taken')
      isConnected = true
      failures = 0
      return
    }
    if (answer.outcome !== 'again') points[answer.outcome] += request.points
    if (answer.outcome !== 'refused') isConnected = false
    failures++
    complain(answer.why)
  }

  function complain(why: string): void {
    if (why !== lastError) log.warn({ otlp: connection.address, why }, 'OpenTelemetry metrics are not taken')
    lastError = why
  }

  /** The oldest that waits; it is gone from the queue unless it has to be sent again. */
  async function sendOldest(): Promise<void> {
    const request = waiting.shift()!
    bytes -= request.body.length
    current = request
    const answer = await connection.send(request.body)
    current = undefined
    note(answer, request)
    if (answer.outcome === 'again') {
      waiting.unshift(request)
      bytes += request.body.length
      const trouble = answer.isLasting ? 'lasting' : 'brief'
      return pause(answer.waitMs ?? retryDelayMs(failures, trouble, deps.random()))
    }
    request.settled()
    // what waits must not be lost in the same way at once
    if (answer.outcome === 'unknown') await pause(retryDelayMs(failures, 'brief', deps.random()))
  }

  async function run(): Promise<void> {
    while (!isClosing || (waiting.length > 0 && failures === 0)) {
      makeRoom()
      if (waiting.length > 0) await sendOldest()
      else await new Promise<void>(resolve => (goOn = resolve))
    }
  }

  function pause(ms: number): Promise<void> {
    if (isClosing) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  const running = run().catch((error: unknown) => {
    log.error({ err: error }, 'no OpenTelemetry metrics are sent any more')
  })
  let closing: Promise<void> | undefined
  return {
    push(requests, settled) {
      let unsettled = requests.length
      if (unsettled === 0) return settled()
      const one = () => {
        if (--unsettled === 0) settled()
      }
      for (const request of requests) {
        waiting.push({ ...request, queuedMs: nowMs(), settled: one })
        bytes += request.body.length
      }
      makeRoom()
      goOn()
    },
    state: () => ({
      isConnected,
      lastError,
      failures,
      points: { ...points },
      queued: {
        requests: waiting.length + (current ? 1 : 0),
        points: waiting.reduce((sum, one) => sum + one.points, current?.points ?? 0),
        bytes: bytes + (current?.body.length ?? 0),
      },
      oldestQueuedMs: waiting[0] === undefined ? undefined : nowMs() - waiting[0].queuedMs,
    }),
    close(withinMs) {
      closing ??= finish(withinMs)
      return closing
    },
  }

  async function finish(withinMs: number): Promise<void> {
    isClosing = true
    goOn()
    endPause()
    const timer = setTimeout(() => {
      failures++
      connection.close()
    }, withinMs)
    await running
    clearTimeout(timer)
  }
}
