import { SkybraidError } from '@skybraid/shared'
import { flowStream, type NatsLink } from '@skybraid/shared/nats'
import { type TapMessage, tapMessage } from './tap-message.ts'

/** From which place of the stream on. */
export type HistoryStart = { readonly sequence: number } | { readonly unixMs: number }

export interface HistoryOptions {
  readonly link: NatsLink
  readonly cluster: string
  /** One only: creating a consumer of several would need another permission. */
  readonly subject: string
  readonly start: HistoryStart
  /** Ends after this place; undefined: when nothing more waits. */
  readonly lastSequence: number | undefined
  readonly signal: AbortSignal
}

/** Reads ahead at most so much: bounded by bytes, because batches differ so much in size. */
const aheadBytes = 4 * 2 ** 20
const inactiveMs = 30_000
const idleMs = 1_000

/** What the stream of batches keeps, in its order: an ordered consumer, which acknowledges nothing. */
export async function* readHistory(options: HistoryOptions): AsyncGenerator<TapMessage> {
  try {
    yield* deliveries(options)
  } catch (error) {
    throw keptProblem(error)
  }
}

/** What stands in the way of reading what the bus kept, in plain words. */
export function keptProblem(error: unknown): SkybraidError {
  const why = error instanceof Error ? error.message : String(error)
  return new SkybraidError('SB_BUS_REFUSED', `What the bus kept cannot be read: ${why}.`, error)
}

async function* deliveries(options: HistoryOptions): AsyncGenerator<TapMessage> {
  const { signal, lastSequence = Number.POSITIVE_INFINITY } = options
  const consumer = await consumerOf(options)
  const { num_pending: waiting } = await consumer.info(true)
  if (waiting === 0 || signal.aborted) return
  const messages = await consumer.consume({ max_bytes: aheadBytes })
  const stop = () => void messages.close()
  signal.addEventListener('abort', stop)
  let isIdle = false
  // what waited may have expired before it was delivered
  const timer = setInterval(async () => {
    if (isIdle && (await nothingWaits(consumer))) stop()
    isIdle = true
  }, idleMs)
  try {
    for await (const message of messages) {
      isIdle = false
      if (message.seq > lastSequence) return
      yield tapMessage(message)
      if (message.info.pending === 0 || message.seq === lastSequence) return
    }
  } finally {
    clearInterval(timer)
    signal.removeEventListener('abort', stop)
    await messages.close()
    // it goes by itself where we may not delete it
    await consumer.delete().catch(() => undefined)
  }
}

type HistoryConsumer = Awaited<ReturnType<NatsLink['js']['consumers']['get']>>

function consumerOf({ link, cluster, subject, start }: HistoryOptions): Promise<HistoryConsumer> {
  return link.js.consumers.get(flowStream(cluster), {
    filter_subjects: subject,
    inactive_threshold: inactiveMs,
    ...('sequence' in start
      ? { deliver_policy: 'by_start_sequence', opt_start_seq: start.sequence }
      : { deliver_policy: 'by_start_time', opt_start_time: new Date(start.unixMs).toISOString() }),
  })
}

/** False also if the server doesn't say: then it is asked again. */
async function nothingWaits(consumer: HistoryConsumer): Promise<boolean> {
  try {
    return (await consumer.info()).num_pending === 0
  } catch {
    return false
  }
}
