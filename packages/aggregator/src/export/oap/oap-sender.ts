import { setImmediate } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { type EncodeCounts, type EncodeOptions, encodeInterval, noCounts } from './interval/access-log.ts'
import type { IntervalQueue, QueuedInterval } from './interval/interval-queue.ts'
import { encodeFigures } from './interval/oap-metrics.ts'
import type { Announcement } from './interval/pod-book.ts'
import { retryDelayMs, type Trouble } from './interval/retry-delay.ts'
import {
  createOapConnection,
  type OapAnswer,
  OapCode,
  type OapConnection,
  unusableFile,
} from './oap-connection.ts'
import type { OapConfig } from './options.ts'

export interface SenderDeps {
  readonly config: OapConfig
  readonly node: string
  readonly queue: IntervalQueue
  readonly log: FastifyBaseLogger
  readonly nowMs: () => number
  readonly random: () => number
  /** Pods that OAP should hear of. */
  readonly announcements: () => Announcement[]
  /** Another way to reach an OAP than the real one, for tests. */
  readonly connect?: (address: string, config: OapConfig) => OapConnection
  /** Another pace than the real one, for tests. */
  readonly retryDelayMs?: typeof retryDelayMs
}

export interface SenderCounts {
  intervals: number
  messages: number
  logs: number
  /**
   * In flight when the stream broke: whether OAP counted them, nobody knows. They are never sent again. Of the logs all
   * that the interval holds.
   */
  unknownIntervals: number
  unknownLogs: number
  /** Points of metrics that OAP took, and those of which nobody knows: they are never sent again, either. */
  metricPoints: number
  unknownMetricPoints: number
  /** Points that were never sent because their interval broke, or that nobody was there to take. */
  droppedMetricPoints: number
  announced: number
  announceFailures: number
  readonly refused: EncodeCounts['refused']
}

export interface SenderState {
  readonly connectedTo: string | undefined
  /** What went wrong last, in words. */
  readonly lastError: string | undefined
  /** Streams that failed in a row, opened or not; 0 once one with messages was read. */
  readonly failures: number
}

/** Sends what waits in the queue, one stream per interval. */
export interface OapSender {
  /** Something is in the queue. */
  wake(): void
  readonly counts: Readonly<SenderCounts>
  state(): SenderState
  /** Ends after what is being sent, or after the time given. Idempotent. */
  close(withinMs: number): Promise<void>
}

const announcementsAtOnce = 4

export function startOapSender(deps: SenderDeps): OapSender {
  const { config, queue, log } = deps
  const counts: SenderCounts = {
    intervals: 0,
    messages: 0,
    logs: 0,
    unknownIntervals: 0,
    unknownLogs: 0,
    metricPoints: 0,
    unknownMetricPoints: 0,
    droppedMetricPoints: 0,
    announced: 0,
    announceFailures: 0,
    refused: {},
  }
  const connect = deps.connect ?? createOapConnection
  const delayMs = deps.retryDelayMs ?? retryDelayMs
  let connection: OapConnection | undefined
  let isConnected = false
  /** It read a stream with messages. That it takes empty ones is no sign that it would. */
  let isTaking = false
  let address = 0
  let failures = 0
  let lastError: string | undefined
  let isClosing = false
  let wake = () => {}

  /** A connection that an opened stream proved good; tries the addresses in turn until then. */
  async function open(): Promise<OapConnection | undefined> {
    while (!isClosing) {
      const answer = await probe()
      if (answer.code === OapCode.ok && connection !== undefined) {
        isConnected = true
        return connection
      }
      await fail(answer)
    }
    return undefined
  }

  async function probe(): Promise<OapAnswer> {
    try {
      connection ??= connect(config.oap[address], config)
    } catch (error) {
      // certificates are replaced while we run, and not all of their files at once
      return unusableFile(error)
    }
    return connection.probe()
  }

  /** Goes to the next address; pauses once all of them have failed. */
  async function fail(answer: OapAnswer): Promise<void> {
    const at = config.oap[address]
    failures++
    lastError = `${at}: ${explain(answer)}`
    if (failures === 1) log.warn({ oap: at, code: answer.code }, lastError)
    // a new connection doesn't wait for packets that a dead one still tries to deliver
    connection?.close()
    connection = undefined
    isConnected = false
    isTaking = false
    address = (address + 1) % config.oap.length
    const isRound = failures % config.oap.length === 0
    if (isRound) await pause(delayMs(failures / config.oap.length, troubleOf(answer), deps.random()))
  }

  function succeed(to: OapConnection): void {
    if (!isTaking) log.info({ oap: to.address }, 'OAP takes what it is sent')
    isTaking = true
    failures = 0
  }

  async function sendOne(interval: QueuedInterval, to: OapConnection): Promise<void> {
    const encoded = noCounts()
    const options = { node: deps.node, cluster: config.oapCluster, nowMs: deps.nowMs() }
    const answer = await to.send(encodeInterval(interval, options, encoded))
    if (answer.code === OapCode.ok) {
      if (encoded.messages > 0) succeed(to)
      counts.messages += encoded.messages
      counts.logs += encoded.logs
      countRefused(encoded)
      await sendMetrics(interval, to)
      // what was refused altogether is counted as that alone
      if (encoded.messages > 0 || Object.keys(encoded.refused).length === 0) counts.intervals++
      interval.settled?.()
      return
    }
    giveUp(interval, answer, await countsOf(interval, options))
    // what waits must not be lost in the same way at once
    await fail(answer)
  }

  /** What the whole of an interval holds: a stream that breaks stops in the middle of it. */
  async function countsOf(interval: QueuedInterval, options: EncodeOptions): Promise<EncodeCounts> {
    const counts = noCounts()
    for (const _ of encodeInterval(interval, options, counts)) await setImmediate()
    return counts
  }

  function countRefused({ refused }: EncodeCounts): void {
    for (const [reason, count] of Object.entries(refused) as [keyof typeof refused, number][])
      counts.refused[reason] = (counts.refused[reason] ?? 0) + count
  }

  function giveUp(interval: QueuedInterval, { code }: OapAnswer, whole: EncodeCounts): void {
    counts.unknownIntervals++
    counts.unknownLogs += whole.logs
    countRefused(whole)
    for (const { points } of encodeFigures(interval, deps.nowMs(), counts))
      counts.droppedMetricPoints += points
    interval.settled?.()
    log.warn(
      { minute: interval.unixMinute, code },
      'an interval was in flight when the stream to OAP broke: unknown whether it counted',
    )
  }

  /** One that cannot be handled must not take those behind it along. */
  async function loseOne(interval: QueuedInterval, error: Error): Promise<void> {
    counts.unknownIntervals++
    interval.settled?.()
    log.error({ err: error, minute: interval.unixMinute }, 'an interval could not be sent to OAP')
    const details = `an interval could not be written; this is a bug: ${error.message}`
    await fail({ code: OapCode.internal, details, isStalled: false, messages: 0 })
  }

  async function sendMetrics(interval: QueuedInterval, to: OapConnection): Promise<void> {
    for (const { request, points } of encodeFigures(interval, deps.nowMs(), counts)) {
      const answer = await to.call('metrics', request)
      if (answer.code === OapCode.ok) counts.metricPoints += points
      else {
        // nobody there who could have counted them
        if (answer.code === OapCode.unimplemented) counts.droppedMetricPoints += points
        else counts.unknownMetricPoints += points
        lastError = `${to.address}: ${explainMetrics(answer)}`
      }
    }
  }

  async function announce(to: OapConnection): Promise<void> {
    const due = deps.announcements()
    const next = async () => {
      for (let one = due.pop(); one !== undefined && !isClosing; one = due.pop()) {
        const answers = [await to.call('keepAlive', one.keepAlive)]
        if (one.properties !== undefined)
          answers.push(await to.call('reportInstanceProperties', one.properties))
        if (answers.every(({ code }) => code === OapCode.ok)) {
          counts.announced++
          one.done(deps.nowMs())
          continue
        }
        counts.announceFailures++
        // they come up again with the next interval
        due.length = 0
      }
    }
    await Promise.all(Array.from({ length: announcementsAtOnce }, next))
  }

  async function run(): Promise<void> {
    for (;;) {
      while (queue.oldestMs() !== undefined) {
        const to = await open()
        if (to === undefined) return
        const interval = queue.shift(deps.nowMs())
        if (interval !== undefined)
          await sendOne(interval, to).catch(error => loseOne(interval, error as Error))
        if (connection !== undefined && queue.oldestMs() === undefined) await announce(connection)
      }
      if (isClosing) return
      await new Promise<void>(resolve => (wake = resolve))
    }
  }

  function pause(ms: number): Promise<void> {
    if (isClosing) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      wakeClosing = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  let wakeClosing = () => {}
  const running = run().catch(error => log.error({ err: error }, 'nothing is sent to OAP any more'))
  let closing: Promise<void> | undefined
  return {
    wake: () => wake(),
    counts,
    state: () => ({ connectedTo: isConnected ? connection?.address : undefined, lastError, failures }),
    close(withinMs) {
      closing ??= finish(withinMs)
      return closing
    },
  }

  async function finish(withinMs: number): Promise<void> {
    const late = Promise.withResolvers<void>()
    const stop = setTimeout(() => {
      isClosing = true
      connection?.close()
      wakeClosing()
    }, withinMs)
    const leave = setTimeout(late.resolve, withinMs + 100)
    // while OAP is there, what waits is sent; without it nobody waits
    if (failures > 0 && !isConnected) isClosing = true
    wakeClosing()
    await Promise.race([drained(), late.promise])
    clearTimeout(stop)
    clearTimeout(leave)
    connection?.close()
  }

  async function drained(): Promise<void> {
    while (queue.oldestMs() !== undefined && !isClosing) await new Promise(go => setTimeout(go, 20))
    isClosing = true
    wake()
    await running
  }
}

function explainMetrics(answer: OapAnswer): string {
  if (answer.code === OapCode.unimplemented)
    return 'this OAP takes no OpenTelemetry metrics (--oap-metrics): its module receiver-otel is off, or has no handler otlp-metrics'
  return explain(answer)
}

function troubleOf({ code }: OapAnswer): Trouble {
  const lasting: readonly number[] = [
    OapCode.denied,
    OapCode.unauthenticated,
    OapCode.unimplemented,
    OapCode.unusable,
  ]
  return lasting.includes(code) ? 'lasting' : 'brief'
}

/** What a gRPC code means here, in words. */
export function explain({ code, details, isStalled }: OapAnswer): string {
  if (isStalled) return 'OAP took nothing for 30 s'
  switch (code) {
    case OapCode.unusable:
      return details
    case OapCode.denied:
    case OapCode.unauthenticated:
      return `OAP does not accept the token (--oap-token-file)${details === '' ? '' : `: ${details}`}`
    case OapCode.unimplemented:
      return 'this OAP has no receiver for access logs: it is older than 10.0, or its module receiver-ebpf is off'
    case OapCode.cancelled:
      return `OAP cut the stream, which it does with a message that is too large; this is a bug: ${details}`
    case OapCode.invalid:
      return `OAP calls the stream invalid; this is a bug: ${details}`
    default:
      return details === '' ? `gRPC code ${code}` : details
  }
}
