import { setImmediate } from 'node:timers/promises'
import { SkybraidError } from '@skybraid/shared'
import { flowFilter, flowStream, type NatsLink, nodeToken } from '@skybraid/shared/nats'
import { complain, type Surroundings } from '../surroundings.ts'
import { type HistoryOptions, readHistory } from './history.ts'
import { createLastBatches, type LastBatches, lastBatchesBytes } from './last-batches.ts'
import { subscribeLive } from './live.ts'
import { createMessageQueue, type MessageQueue } from './message-queue.ts'
import type { TapConfig } from './options.ts'
import { reachBus } from './reach-bus.ts'
import type { Session } from './session.ts'
import { parseSince } from './since.ts'

const firstSpan = 256
const longestRunMs = 20

/** What the bus kept, if that is asked for, and then what comes until `stop`. */
export async function tapBus(
  config: TapConfig,
  session: Session,
  around: Surroundings,
  stop: AbortSignal,
): Promise<void> {
  const link = await reachBus(config, around, stop)
  try {
    const wantsHistory = config.since !== undefined || config.last !== undefined
    const follows = config.follow || !wantsHistory
    const subjects = subjectsOf(config)
    let isLive = !wantsHistory
    // what goes before the history has been read is in the history
    const queue = createMessageQueue(config.maxPending, message => isLive && session.dropped(message))
    stop.addEventListener('abort', queue.close)
    const problem = follows ? subscribeLive(link, subjects, queue) : () => undefined
    if (wantsHistory) await printHistory(link, subjects, follows, config, session, around, stop)
    isLive = true
    if (follows) await printLive(queue, session, stop)
    const refused = problem()
    if (refused !== undefined) throw refused
  } finally {
    await link.close()
  }
}

function subjectsOf({ cluster, node }: TapConfig): string[] {
  if (node.length === 0) return [flowFilter(cluster)]
  return [...new Set(node.map(name => flowFilter(cluster).replace(/>$/, `*.${nodeToken(name)}`)))]
}

async function printLive(queue: MessageQueue, session: Session, stop: AbortSignal): Promise<void> {
  let ranSince = performance.now()
  for (;;) {
    const message = await queue.next()
    if (message === undefined || stop.aborted) return
    await session.take(message)
    // the socket is read only in between
    if (performance.now() - ranSince < longestRunMs) continue
    await setImmediate()
    ranSince = performance.now()
  }
}

async function printHistory(
  link: NatsLink,
  subjects: readonly string[],
  follows: boolean,
  config: TapConfig,
  session: Session,
  around: Surroundings,
  signal: AbortSignal,
): Promise<void> {
  const { first_seq: first, last_seq: last } = await streamState(link, config.cluster)
  const common = { link, cluster: config.cluster, subjects, lastSequence: follows ? undefined : last, signal }
  const sinceMs = config.since === undefined ? undefined : parseSince(config.since, Date.now())
  const start = sinceMs === undefined ? { sequence: first } : { unixMs: sinceMs }
  if (config.last === undefined) {
    for await (const message of readHistory({ ...common, start })) {
      await session.take(message)
      if (signal.aborted) return
    }
    return
  }
  const reading = { ...common, start }
  const batches =
    sinceMs === undefined
      ? await lastInStream(reading, first, last, config.last, session)
      : await lastOf(reading, config.last, session)
  if (batches.isCut) {
    const found = Math.min(batches.fitting, config.last)
    complain(around, 0, [
      `Only ${found} records that fit were found among the newest ${lastBatchesBytes >> 20} MiB of batches.`,
    ])
  }
  for (const [index, message] of batches.messages.entries()) {
    if (signal.aborted) return
    await session.take(message, index === 0 ? batches.excess : 0)
  }
}

/** Looks further and further back, so that a few records are found without reading everything. */
async function lastInStream(
  reading: HistoryOptions,
  first: number,
  last: number,
  wanted: number,
  session: Session,
): Promise<LastBatches> {
  for (let span = firstSpan; ; span *= 8) {
    const sequence = Math.max(first, last - span + 1)
    const batches = await lastOf({ ...reading, start: { sequence } }, wanted, session)
    if (sequence <= first || batches.fitting >= wanted || batches.isCut || reading.signal.aborted)
      return batches
  }
}

async function lastOf(reading: HistoryOptions, wanted: number, session: Session): Promise<LastBatches> {
  const batches = createLastBatches(wanted)
  for await (const message of readHistory(reading)) batches.add(message, session.fittingRecords(message))
  return batches
}

async function streamState(link: NatsLink, cluster: string) {
  try {
    return (await link.jsm.streams.info(flowStream(cluster))).state
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const hint =
      why === 'stream not found'
        ? `no collector has published for the cluster ${cluster} yet; see --cluster`
        : why
    throw new SkybraidError('SB_BUS_REFUSED', `What the bus kept cannot be read: ${hint}.`, error)
  }
}
