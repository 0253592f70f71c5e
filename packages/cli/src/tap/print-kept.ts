import { flowFilter, flowStream, type NatsLink } from '@skybraid/shared/nats'
import { complain, type Surroundings } from '../surroundings.ts'
import { type HistoryOptions, keptProblem, readHistory } from './history.ts'
import { createLastBatches, type LastBatches, lastBatchesBytes } from './last-batches.ts'
import type { TapConfig } from './options.ts'
import type { Session } from './session.ts'
import { parseSince } from './since.ts'

export interface KeptOptions {
  readonly link: NatsLink
  readonly subjects: readonly string[]
  readonly config: TapConfig
  readonly session: Session
  readonly around: Surroundings
  readonly stop: AbortSignal
  /** Reads also what is added meanwhile, until nothing more waits. */
  readonly upToNow: boolean
}

const firstSpan = 256

/** Prints what the stream of batches kept, as `--since` and `--last` choose it. */
export async function printKept(options: KeptOptions): Promise<void> {
  const { link, subjects, config, session, around, stop, upToNow } = options
  const { first_seq: first, last_seq: last } = await streamState(link, config.cluster)
  const sinceMs = config.since === undefined ? undefined : parseSince(config.since, Date.now())
  const reading: HistoryOptions = {
    link,
    cluster: config.cluster,
    // several nodes are chosen here, not there
    subject: subjects.length === 1 ? subjects[0] : flowFilter(config.cluster),
    start: sinceMs === undefined ? { sequence: first } : { unixMs: sinceMs },
    lastSequence: upToNow ? undefined : last,
    signal: stop,
  }
  if (config.last === undefined) {
    for await (const message of readHistory(reading)) {
      await session.take(message)
      if (stop.aborted) return
    }
    return
  }
  const batches =
    sinceMs === undefined
      ? await lastInStream(reading, first, last, config.last, session)
      : await lastOf(reading, config.last, session)
  if (batches.isCut) {
    const found = Math.min(batches.fitting, config.last)
    const among = `among the newest ${lastBatchesBytes >> 20} MiB of batches`
    complain(around, 0, [`Only ${found} records that fit were found ${among}.`])
  }
  await printLast(batches, session, stop)
}

/** Prints the last records of what was looked through. */
export async function printLast(batches: LastBatches, session: Session, stop: AbortSignal): Promise<void> {
  for (const [index, message] of batches.messages.entries()) {
    if (stop.aborted) return
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
    const isEnough = batches.fitting >= wanted || batches.isCut
    if (sequence <= first || isEnough || reading.signal.aborted) return batches
  }
}

async function lastOf(reading: HistoryOptions, wanted: number, session: Session): Promise<LastBatches> {
  const batches = createLastBatches(wanted)
  for await (const message of readHistory(reading)) batches.add(message, session.fittingRecords(message))
  return batches
}

async function streamState({ jsm }: NatsLink, cluster: string) {
  try {
    return (await jsm.streams.info(flowStream(cluster))).state
  } catch (error) {
    const isMissing = error instanceof Error && error.message === 'stream not found'
    if (!isMissing) throw keptProblem(error)
    throw keptProblem(`no collector has published for the cluster ${cluster} yet; see --cluster`)
  }
}
