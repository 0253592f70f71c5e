import { type BusMessage, type FlowColumns, lossPlaces } from '@skybraid/shared'
import type { BootOrdinals } from '../ingest/boot-ordinals.ts'
import { createIngest, type IngestNames } from '../ingest/ingest.ts'
import type { IngestFigures } from '../ingest/ingest-status.ts'
import type { Join } from '../join/join.ts'
import { LossBooking } from '../loss-booking.ts'
import type { BookRound } from '../topology/book-round.ts'
import type { MinuteRange } from '../topology/minute-range.ts'
import type { Topology } from '../topology/topology.ts'
import { type RoundState, readAgainFromMs } from './round-state.ts'

/** A round that is ready to be appended. */
export interface PartitionRound extends BookRound {
  readonly state: RoundState
}

export interface PartitionCoreOptions {
  readonly partition: number
  readonly topology: Topology
  /** Of all partitions; its book for this one is the topology's. */
  readonly join: Join
  readonly names: IngestNames
  readonly ordinals: BootOrdinals
  readonly columns: FlowColumns
  /** Unix milliseconds at which this partition's first minute begins, if it does not go on from a round. */
  readonly startMs?: number
  /** Closed minutes that there are already are those before this one. */
  readonly closedThrough?: number
  /** The last round that was appended: this partition goes on from there. */
  readonly goesOnFrom?: RoundState
  /** The stream's time from which on messages come again then. */
  readonly againFromMs?: number
  /** Where it is one of an epoch among others. */
  readonly epoch?: EpochPart
  /** Gets every round, once. Without it nothing is ever appended. */
  readonly onRound?: (round: PartitionRound) => void
}

/**
 * A partition of an epoch takes all records of its keys, whichever epoch's partition they came in, so that both ends of a
 * connection meet in it whoever switched when. It books the minutes of its epoch, and accounts for batches of its own.
 */
export interface EpochPart {
  readonly range: () => MinuteRange
  /** Leaves the records whose keys are this partition's. */
  readonly keepOurs: (columns: FlowColumns) => void
  /** Whether partitions of other epochs may hold such records. */
  readonly sharesKeys: () => boolean
  /** The one whose batches tell what collectors lost, as those of each partition do. */
  readonly followsCollectors: boolean
}

/** Where in the stream a message lies: its sequence, when the stream took it, and which stream it is, if that is known. */
export interface StreamPosition {
  readonly sequence: number
  readonly unixMs: number
  readonly stream?: string
}

/**
 * One partition: sequence numbers, join, minutes, losses. Its clock is the stream's: the same messages give the same
 * minutes whenever they are read.
 *
 * One that goes on from a round first takes messages again that the round knows. Until the position of the round, what
 * is booked to closed minutes is void, because it is in segments; what is booked to later minutes counts; losses and
 * sequence numbers are those that came with the round.
 */
export interface PartitionCore {
  readonly partition: number
  /** Takes the stream's next message. */
  accept(message: BusMessage, position: StreamPosition): void
  /** Counts the stream's next message, which is of a partition that nobody books. */
  refuse(message: BusMessage, position: StreamPosition): void
  /** Lets time pass while nothing waits to be read. */
  tick(nowMs: number): void
  /** Nothing is left in the stream up to the position that this partition went on from, or the stream is another one. */
  endCatchUp(): void
  /** What this partition went on from can't be read again: flows from before that are new here come in the middle. */
  missesPast(): void
  commit(round: PartitionRound): void
  /** Takes out what is not in a committed round. Not usable any more. */
  drop(): void
  figures(): IngestFigures
  status(): PartitionStatus
}

export interface PartitionStatus {
  /** Position of the message taken last. */
  readonly sequence: number
  readonly closedThrough: number
  readonly isCatchingUp: boolean
  /** Flows that came in the middle while catching up. */
  readonly cameMidway: number
  /** This partition's clock. */
  readonly clockMs: number
}

const minuteMs = 60_000
const stepMs = 200
/** After a longer silence of the stream minutes are skipped, not closed one by one. */
const longestSilenceMs = 30 * minuteMs

function firstStepAfter(ms: number): number {
  return (Math.floor(ms / stepMs) + 1) * stepMs
}

export function createPartitionCore(options: PartitionCoreOptions): PartitionCore {
  const { partition, topology, join, goesOnFrom, onRound } = options
  const openSince = new Map<number, number>()
  let catchUpFrom = goesOnFrom
  let sequence = goesOnFrom?.appliedThrough ?? 0
  let stream = goesOnFrom?.stream
  let clockMs = goesOnFrom ? Number.NEGATIVE_INFINITY : (options.startMs ?? Number.NEGATIVE_INFINITY)
  let steppedMs = clockMs
  let isPastMissing = false

  const closedThrough = goesOnFrom?.closedThrough ?? options.closedThrough
  const book = topology.openBook(partition, {
    ...(options.startMs === undefined ? {} : { startMs: options.startMs }),
    ...(goesOnFrom === undefined ? {} : { startMs: goesOnFrom.appliedMs - 15 * minuteMs }),
    ...(closedThrough === undefined ? {} : { closedThrough }),
    ...(options.epoch && { range: options.epoch.range }),
    ...(onRound && {
      stateAtCut: stateOfRound,
      onRound: (round: BookRound) => onRound(round as PartitionRound),
    }),
  })
  const losses = new LossBooking((place, minute, records) => book.lose(lossPlaces[place], minute, records))
  const ingest = createIngest({
    join,
    windows: book,
    names: options.names,
    ordinals: options.ordinals,
    columns: options.columns,
    losses,
    table: partition,
    followsCollectors: options.epoch?.followsCollectors ?? partition === 0,
    ...(options.epoch && { keepOurs: options.epoch.keepOurs, sharesKeys: options.epoch.sharesKeys }),
    ...(goesOnFrom && { state: goesOnFrom.ingest }),
  })
  if (goesOnFrom) {
    book.seal(goesOnFrom.closedThrough)
    join.catchUp(partition, options.againFromMs ?? readAgainFromMs(goesOnFrom))
  } else if (options.againFromMs !== undefined) join.catchUp(partition, options.againFromMs)

  function stateOfRound(through: number): RoundState {
    for (const minute of openSince.keys()) if (minute <= through) openSince.delete(minute)
    return {
      closedThrough: through,
      appliedThrough: sequence,
      ...(stream !== undefined && { stream }),
      appliedMs: clockMs,
      openSinceMs: Math.min(clockMs, ...openSince.values()),
      ingest: ingest.state(),
      losses: losses.state(),
      openLosses: book.openLosses(),
    }
  }

  function step(nowMs: number): void {
    steppedMs = nowMs
    join.tick(nowMs, partition)
    book.advance(nowMs)
  }

  /**
   * In steps that begin at full multiples of the clock, so that between the same two messages the same happens, whether
   * somebody was there while time passed or reads them again.
   */
  function advanceTo(nowMs: number): void {
    if (nowMs <= clockMs) return
    const last = Math.floor(nowMs / stepMs) * stepMs
    const isPause = !(last - steppedMs < longestSilenceMs)
    if (last > steppedMs) {
      for (let at = isPause ? last : firstStepAfter(steppedMs); at <= last; at += stepMs) {
        clockMs = at
        step(at)
      }
      topology.pack()
    }
    clockMs = nowMs
  }

  function endCatchUp(): void {
    if (!catchUpFrom) return
    const { appliedMs, openLosses, losses: booked } = catchUpFrom
    advanceTo(appliedMs)
    step(appliedMs)
    catchUpFrom = undefined
    join.catchUp(partition, isPastMissing ? appliedMs : Number.NEGATIVE_INFINITY)
    losses.restore(booked)
    book.seal(undefined)
    book.restoreLosses(openLosses)
  }

  return {
    partition,
    accept(message, position) {
      if (catchUpFrom && position.sequence > catchUpFrom.appliedThrough) endCatchUp()
      advanceTo(position.unixMs)
      const isOurs = options.epoch === undefined || message.partition === partition
      if (catchUpFrom && isOurs) ingest.acceptAgain(message, position.unixMs)
      else if (!isOurs) {
        ingest.acceptElsewhere(message, position.unixMs)
        if (!catchUpFrom) ({ sequence, stream } = position)
      } else {
        ingest.accept(message, position.unixMs)
        sequence = position.sequence
        stream = position.stream
      }
      const minute = ingest.lastMinute()
      if (minute > book.closedMinute() && !openSince.has(minute)) openSince.set(minute, position.unixMs)
    },
    refuse(message, position) {
      if (catchUpFrom && position.sequence > catchUpFrom.appliedThrough) endCatchUp()
      advanceTo(position.unixMs)
      if (catchUpFrom) return
      ingest.refuse(message, position.unixMs)
      ;({ sequence, stream } = position)
    },
    tick(nowMs) {
      if (!catchUpFrom) advanceTo(nowMs)
    },
    endCatchUp,
    missesPast() {
      isPastMissing = true
    },
    commit: book.commit,
    drop() {
      join.drop(partition)
      topology.closeBook(partition)
    },
    figures: ingest.figures,
    status: () => ({
      sequence,
      closedThrough: book.closedMinute(),
      isCatchingUp: catchUpFrom !== undefined,
      cameMidway: join.cameMidway(partition),
      clockMs,
    }),
  }
}
