import { type BusMessage, epochOf, type PartitionLayout } from '@skybraid/shared'
import { decodeFlowPayload } from '@skybraid/shared/flow-body'
import {
  flowHead,
  flowPartitionFilter,
  flowStream,
  type NatsLink,
  parseFlowSubject,
} from '@skybraid/shared/nats'
import type { FastifyBaseLogger } from 'fastify'
import type { PartitionedCore } from '../core.ts'
import { epochPart, partitionsToRead } from '../partition/epoch-part.ts'
import type { PartitionCore, PartitionRound } from '../partition/partition-core.ts'
import { encodeClaim, encodeRound } from '../partition/round-bytes.ts'
import { decodeRollup } from '../partition/round-decode.ts'
import { createRoundLog } from '../partition/round-log.ts'
import { type RoundState, readAgainFromMs } from '../partition/round-state.ts'
import { decodeRoundState } from '../partition/round-state-decode.ts'
import type { OwnerPhase, PartitionBusStatus } from './bus-status.ts'
import type { PartitionClock, PartitionExports } from './partition-exports.ts'
import { createRollupAppender } from './rollup-appender.ts'
import type { StreamPlace } from './stream-place.ts'
import { readStream, type StreamMessage, type StreamReader } from './stream-reader.ts'

export interface PartitionOwnerOptions {
  readonly link: NatsLink
  readonly cluster: string
  readonly partition: number
  /** Who we are, in what we append. */
  readonly owner: string
  readonly core: PartitionedCore
  readonly log: FastifyBaseLogger
  /** How far before a round its partition is read again. */
  readonly readAgainMs: number
  /** An owner appends something at least three times in this time. */
  readonly silentMs: number
  readonly stop: AbortSignal
  /** How records are split now; it only grows. */
  readonly layout: () => PartitionLayout
  /** Partitions that are in no epoch, whose batches are counted here. */
  readonly strays: () => readonly number[]
  readonly exports?: PartitionExports
}

/** One partition in this process: followed in what others append, or booked here. */
export interface PartitionOwner {
  readonly phase: OwnerPhase
  /** When something was last appended, by the local clock that only grows. */
  readonly heardAt: number
  /** A message of this partition in the ROLLUP stream. */
  follow(message: StreamMessage): void
  /** The ROLLUP stream is another one now. */
  noteReplaced(): void
  /** What is to be read of the stream of batches is something else: there is a further epoch, or there are strays. */
  noteSubjects(): void
  /** Nothing is in the stream any more that would be booked here. */
  retire(): void
  /** Takes the partition. */
  claim(): Promise<void>
  tick(): void
  /** Stops reading, and appends what is ready. */
  close(): Promise<void>
  status(): PartitionBusStatus
}

function placeOf({ stream, appliedThrough, appliedMs }: RoundState): StreamPlace {
  return { ...(stream !== undefined && { stream }), sequence: appliedThrough, unixMs: appliedMs }
}

/** A batch is at most 48 KB; what is larger than this unpacked is none. */
const largestBatchBytes = 1 << 20
const minuteMs = 60_000

export function createPartitionOwner(options: PartitionOwnerOptions): PartitionOwner {
  const { link, cluster, partition, owner, core, log, exports } = options
  const rounds = createRoundLog(partition)
  const appender = createRollupAppender(link, cluster, partition, options.stop, isOurs)
  let phase: OwnerPhase = 'following'
  let own: PartitionCore | undefined
  let reader: StreamReader | undefined
  let heardAt = performance.now()
  let appended: Promise<void> = Promise.resolve()
  /** Rounds of `own` that are on their way into the stream, by their last minute. */
  const onTheWay = new Map<number, PartitionRound>()
  let waiting = 0
  let rejectedAppends = 0
  let refusedSegments = 0
  let refusedBatches = 0
  let cameMidway = 0
  let trims = 0
  let replacements = 0

  const clock: PartitionClock = {
    nowMs: () => own?.status().clockMs,
    advance: nowMs => own?.tick(nowMs),
  }

  function isOurs(bytes: Uint8Array): boolean {
    const message = decodeRollup(new Uint8Array(bytes))
    return typeof message !== 'string' && message.owner === owner
  }

  /** Somebody else has the partition, or it can't be taken: nothing of ours that is not in a round stays. */
  function lose(why: string): void {
    if (phase === 'following') return
    phase = 'following'
    log.warn({ partition, owner: rounds.owner, why }, 'a partition is booked by somebody else now')
    stopReading()
    exports?.lose(partition)
    if (own) cameMidway = own.status().cameMidway
    closeOwn()
  }

  function closeOwn(): void {
    if (own) core.close(own)
    own = undefined
    onTheWay.clear()
  }

  /** A round is in the stream: somebody said so, whoever was first. */
  function commit(closedThrough: number): void {
    const round = onTheWay.get(closedThrough)
    if (round) own?.commit(round)
    onTheWay.delete(closedThrough)
  }

  function stopReading(): void {
    reader?.stop().catch((error: unknown) => log.error({ err: error, partition }, 'reading did not end well'))
    reader = undefined
  }

  /** Appends one after the other; what comes behind a refusal is dropped with the partition. */
  function append(
    messages: readonly Uint8Array[],
    by: PartitionCore | undefined,
    done: () => void,
    before: () => Promise<void> | undefined = () => undefined,
  ): void {
    waiting++
    appended = appended
      .then(async () => {
        await before()
        for (const bytes of messages) {
          if (by !== own) return
          const outcome = await appender.append(bytes)
          heardAt = performance.now()
          if (outcome === 'appended') {
            exports?.owned(partition)
            continue
          }
          if (outcome === 'rejected') {
            rejectedAppends++
            if (by === own) lose('an append was refused')
          }
          return
        }
        if (by === own) done()
      })
      .catch((error: unknown) => log.error({ err: error, partition }, 'a round could not be appended'))
      .finally(() => {
        waiting--
      })
  }

  function appendRound(round: PartitionRound): void {
    const by = own
    onTheWay.set(round.closedThrough, round)
    // what closes is void when it is read again: what is exported of it must be known by then
    append(
      encodeRound(partition, owner, round),
      by,
      () => commit(round.closedThrough),
      () => exports?.beforeRound(partition),
    )
  }

  function takeBatch(message: StreamMessage): void {
    const batch = batchOf(message)
    if (batch === undefined) {
      refusedBatches++
      return
    }
    own ??= open(message.unixMs)
    exports?.before(partition, message.sequence)
    if (isStray(batch.partition)) own.refuse(batch, message)
    else own.accept(batch, message)
  }

  function isStray(of: number): boolean {
    return of !== partition && epochOf(options.layout(), of) === undefined
  }

  function batchOf({ subject, data, header }: StreamMessage): BusMessage | undefined {
    const from = parseFlowSubject(subject)
    const head = flowHead(header)
    if (from === undefined || head === undefined) return undefined
    const bytes = decodeFlowPayload(data, head.encoding, largestBatchBytes)
    return bytes && { node: from.node, partition: from.partition, data: bytes }
  }

  /** The first time: from the stream's first message on; in a later epoch, what opened before that comes midway. */
  function open(startMs: number): PartitionCore {
    // the first messages may still be about the minute before
    const closedThrough = Math.floor(startMs / minuteMs) - 2
    const midway = isFirstEpoch() ? {} : { againFromMs: startMs }
    return core.open(partition, { startMs, closedThrough, onRound: appendRound, ...midway, ...part() })
  }

  function isFirstEpoch(): boolean {
    return (epochOf(options.layout(), partition)?.fromMinute ?? 0) === 0
  }

  function part() {
    const epoch = epochPart(partition, options.layout)
    return epoch && { epoch }
  }

  /** Where a partition without a round begins: a later epoch knows by then what was open when it began. */
  function firstReadMs(): number | undefined {
    const { fromMinute } = epochOf(options.layout(), partition) ?? { fromMinute: 0 }
    return fromMinute === 0 ? undefined : fromMinute * minuteMs - options.readAgainMs
  }

  function startReading(): void {
    const { latest } = rounds
    const state = latest && decodeRoundState(latest.state)
    if (latest && !state) {
      log.error({ partition }, 'the state of the last round cannot be read: the partition is not booked here')
      phase = 'following'
      return
    }
    phase = 'catching_up'
    const againFromMs = state && readAgainFromMs(state, options.readAgainMs)
    if (state && againFromMs !== undefined)
      own = core.open(partition, { goesOnFrom: state, againFromMs, onRound: appendRound, ...part() })
    const startMs = againFromMs ?? firstReadMs()
    reader = readStream({
      link,
      stream: flowStream(cluster),
      filters: () =>
        [...partitionsToRead(partition, options.layout()), ...options.strays()].map(each =>
          flowPartitionFilter(cluster, each),
        ),
      start: {
        ...(startMs !== undefined && { unixMs: startMs }),
        ...(state && { known: placeOf(state) }),
      },
      onMessage: takeBatch,
      onIdle: caughtUp,
      onTrouble: reason => log.warn({ partition, reason }, 'batches cannot be read; trying on'),
      onTrimmed: (known, first) => {
        trims++
        own?.missesPast()
        log.warn(
          { partition, known, first },
          'batches are gone that were not read yet; what was in them shows as gaps of their nodes',
        )
      },
      onReplaced: (known, first) => {
        replacements++
        log.warn(
          { partition, known, first },
          'the stream of batches was made anew; what of the former one was not read shows as gaps of its nodes',
        )
        own?.missesPast()
        own?.endCatchUp()
        exports?.replaced(partition)
      },
    })
  }

  function caughtUp(): void {
    own?.endCatchUp()
    exports?.caughtUp(partition)
    if (phase !== 'catching_up') return
    phase = 'owning'
    log.info({ partition, sequence: reader?.sequence ?? 0 }, 'a partition is up to date')
  }

  function isBooking(): boolean {
    return phase === 'catching_up' || phase === 'owning'
  }

  function load(segments: readonly Uint8Array[]): void {
    for (const bytes of segments) {
      const loaded = core.topology.follow(bytes, partition)
      if (!loaded.ok && loaded.reason !== 'already_loaded') refusedSegments++
    }
  }

  return {
    get phase() {
      return phase
    },
    get heardAt() {
      return heardAt
    },
    follow({ data, sequence }) {
      heardAt = performance.now()
      appender.noteRead(sequence)
      // plain bytes of their own: what the client gives are views of what it read, aligned to nothing
      const news = rounds.take(new Uint8Array(data))
      if (news.kind === 'refused') {
        log.warn({ partition, sequence, reason: news.reason }, 'what was appended for a partition is refused')
        // what is appended here can be read here
        if (isBooking()) lose('somebody appended what cannot be read here')
        return
      }
      const isOwn = news.owner === owner
      if (!isOwn && isBooking()) lose('somebody else appended')
      if (news.kind !== 'round') return
      // what we appended ourselves is there already, unless it was dropped before it was known to be in the stream
      if (isOwn && own) commit(news.round.closedThrough)
      else load(news.round.segments)
    },
    noteReplaced: appender.noteReplaced,
    noteSubjects() {
      reader?.renew()
    },
    retire() {
      if (phase !== 'owning') return
      phase = 'following'
      stopReading()
      exports?.lose(partition)
      closeOwn()
      log.info({ partition }, 'a partition of an earlier epoch has nothing left to book')
    },
    async claim() {
      if (phase !== 'following') return
      phase = 'claiming'
      const outcome = await appender.append(encodeClaim(partition, owner))
      heardAt = performance.now()
      if (outcome === 'rejected') rejectedAppends++
      if (outcome !== 'appended' || phase !== 'claiming') {
        phase = 'following'
        return
      }
      await exports?.begin(partition, clock)
      if (phase !== 'claiming') return
      log.info({ partition }, 'a partition is booked here now')
      startReading()
    },
    tick() {
      const nowMs = reader?.nowMs()
      if (own && nowMs !== undefined) own.tick(nowMs)
      if (isBooking() && waiting === 0 && performance.now() - heardAt > options.silentMs / 3)
        append([encodeClaim(partition, owner)], own, () => undefined)
    },
    async close() {
      await reader?.stop()
      await appended
    },
    status: () => {
      const booked = own?.status()
      const pending = Math.max(0, reader?.pending ?? 0)
      return {
        partition,
        phase,
        ...(rounds.owner !== undefined && { owner: rounds.owner }),
        sequence: reader?.sequence ?? 0,
        lagMessages: pending,
        lagMs: pending > 0 && booked ? Math.max(0, Date.now() - booked.clockMs) : 0,
        closedThrough: rounds.latest?.closedThrough ?? -1,
        rounds: rounds.rounds,
        claims: rounds.claims,
        rejectedAppends,
        abandonedRounds: rounds.abandoned,
        refusedMessages: rounds.refused,
        refusedSegments,
        refusedBatches,
        cameMidway: booked?.cameMidway ?? cameMidway,
        trims,
        replacements,
      }
    },
  }
}
