import type { Drained } from '../export/export-books.ts'
import type { MinuteTake } from '../export/oap/interval/export-book.ts'
import { mergeTakes } from '../export/oap/interval/merge-takes.ts'
import type { Overstated } from '../export/otlp/series-ledger.ts'
import { operationShape } from '../export/otlp/series-shape.ts'
import type { ExportSource, Taken } from '../export/take-exports.ts'
import type { Topology } from '../topology/topology.ts'
import type { ExportNote, ExportNotes, NotedTake } from './export-notes.ts'

/** Exports of the partitions that are booked here: each from where it was exported to, by whomever. */
export interface PartitionExports {
  readonly source: ExportSource
  /** A partition is about to be read. What it exported before is not exported again. */
  begin(partition: number, clock: PartitionClock): Promise<void>
  /** The message with this position is taken next. */
  before(partition: number, sequence: number): void
  /** What is read from here on is another stream, of which nothing was exported. */
  replaced(partition: number): void
  /** Nothing more is in the stream right now. */
  caughtUp(partition: number): void
  /** Resolves once everything up to here is noted, so that a round may make it part of closed minutes. */
  beforeRound(partition: number): Promise<void>
  /** The bus took what only the partition's owner may append: where notes are missing, they are tried for again. */
  owned(partition: number): void
  /** Somebody else has it. */
  lose(partition: number): void
  status(): ExportsStatus
}

/** The clock of a partition, once it has one. */
export interface PartitionClock {
  nowMs(): number | undefined
  /** Lets time pass up to here, as it had when something was taken the last time. */
  advance(nowMs: number): void
}

export interface ExportsStatus {
  /** Takes of former owners that were never settled, and the requests that OpenTelemetry was told in them. */
  readonly unknownBefore: number
  readonly unknownRequestsBefore: number
  /** Partitions that are not exported from here though they are booked here, because no note can be had. */
  readonly without: readonly number[]
  /** How often something was thrown away for want of a note. */
  readonly unnoted: number
  readonly lastError: string | undefined
}

export interface PartitionExportsDeps {
  readonly topology: Pick<Topology, 'markDeltas' | 'takeDeltas'>
  readonly notes: ExportNotes
  readonly bookOf: (partition: number) => Drained
  /** Gets what former owners told OpenTelemetry too much and can't make up for any more. */
  readonly overstated: Overstated
  readonly nowMs: () => number
  /** Has the exporter take what one partition has. */
  readonly takeNow: (partition: number) => Promise<void>
}

interface Part {
  readonly book: Drained
  readonly clock: PartitionClock
  /** What was exported before, until it is passed. */
  replay: (ExportNote & { isMarked: boolean }) | undefined
  position: number
  markedAt: number
  /** Taken, and not noted yet. */
  carried: MinuteTake[]
  /** Without, what there is of it is thrown away. */
  hasNotes: boolean
  isBeginning: boolean
}

/** Of one partition. */
interface OneTake {
  readonly minutes: readonly MinuteTake[]
  readonly noted: NotedTake
}

const attemptsPerRound = 3
/** What waits for a note is kept as long as what waits for a receiver. */
const longestCarriedMinutes = 15

/** Requests that OpenTelemetry is told. */
function requestsIn(minutes: readonly MinuteTake[]): number {
  let requests = 0
  for (const { otlp = [] } of minutes)
    for (const { series, sums } of otlp) if (series.shape === operationShape) requests += sums[0]
  return requests
}

export function createPartitionExports(deps: PartitionExportsDeps): PartitionExports {
  const { topology, notes, nowMs } = deps
  const parts = new Map<number, Part>()
  const without = new Set<number>()
  let unknownBefore = 0
  let unknownRequestsBefore = 0
  let unnoted = 0

  /** Rows are now as they were when they were taken the last time: what they hold by now is out already. */
  function passReplay(partition: number, part: Part, sequence: number): void {
    const { replay } = part
    if (replay === undefined) return
    if (!replay.isMarked && sequence > replay.markedAt) {
      topology.markDeltas(partition)
      replay.isMarked = true
    }
    if (sequence <= replay.takenAt) return
    part.clock.advance(replay.clockMs)
    topology.takeDeltas(partition)
    part.book.pass(nowMs())
    part.replay = undefined
  }

  function live(only: number | undefined): [number, Part][] {
    return [...parts].filter(
      ([p, { hasNotes, replay }]) => hasNotes && replay === undefined && (only === undefined || p === only),
    )
  }

  /** What there is of a partition whose takes cannot be noted must not pile up. */
  function throwAway(partition: number, part: Part): void {
    topology.takeDeltas(partition)
    if (part.book.drain(nowMs()).length + part.carried.length > 0) unnoted++
    part.carried = []
  }

  async function takeOne(partition: number, part: Part): Promise<OneTake | undefined> {
    topology.takeDeltas(partition)
    const drained = part.book.drain(nowMs())
    if (drained.length === 0 && part.carried.length === 0) return undefined
    const all = mergeTakes([part.carried, drained])
    const minutes = all.slice(-longestCarriedMinutes)
    if (minutes.length < all.length) unnoted++
    part.carried = minutes
    const { position: takenAt, markedAt } = part
    const clockMs = Math.max(0, part.clock.nowMs() ?? 0)
    const { requests: owedRequests, connections: owedConnections } = part.book.owed()
    const note = { takenAt, markedAt, clockMs, owedRequests, owedConnections }
    const noted = await notes.note(partition, note, requestsIn(minutes))
    if (noted === 'unsure') return undefined
    if (noted === 'lost') {
      part.hasNotes = false
      without.add(partition)
      return undefined
    }
    part.carried = []
    return { minutes, noted }
  }

  async function take(only: number | undefined): Promise<Taken> {
    for (const [partition, part] of parts) if (!part.hasNotes && !part.isBeginning) throwAway(partition, part)
    const taken = await Promise.all(live(only).map(([partition, part]) => takeOne(partition, part)))
    const all = taken.filter(one => one !== undefined)
    return {
      minutes: mergeTakes(all.map(({ minutes }) => minutes)),
      settled() {
        for (const { noted } of all) noted.settled()
      },
    }
  }

  /** Goes on from where it was exported to, by whomever. */
  async function begin(partition: number, part: Part): Promise<void> {
    part.isBeginning = true
    const begun = await notes.begin(partition)
    part.isBeginning = false
    if (parts.get(partition) !== part) return
    if (begun === undefined) {
      without.add(partition)
      return
    }
    unknownBefore += begun.unsettled
    unknownRequestsBefore += begun.unsettledRequests
    const { takenAt = 0, markedAt = 0 } = begun.note ?? {}
    // what was read already cannot be told from what was taken before
    if (part.position > 0 && part.position >= takenAt) throwAway(partition, part)
    else {
      deps.overstated.requests += begun.note?.owedRequests ?? 0
      deps.overstated.connections += begun.note?.owedConnections ?? 0
      part.replay = begun.note && { ...begun.note, isMarked: false }
      part.position = takenAt
      part.markedAt = markedAt
    }
    part.hasNotes = true
    without.delete(partition)
  }

  return {
    source: {
      mark() {
        for (const [partition, part] of live(undefined)) {
          topology.markDeltas(partition)
          part.markedAt = part.position
        }
      },
      take,
      flush: notes.flush,
    },
    async begin(partition, clock) {
      const part: Part = {
        book: deps.bookOf(partition),
        clock,
        replay: undefined,
        position: 0,
        markedAt: 0,
        carried: [],
        hasNotes: false,
        isBeginning: false,
      }
      parts.set(partition, part)
      await begin(partition, part)
    },
    owned(partition) {
      const part = parts.get(partition)
      if (part !== undefined && !part.hasNotes && !part.isBeginning) void begin(partition, part)
    },
    before(partition, sequence) {
      const part = parts.get(partition)
      if (part === undefined) return
      passReplay(partition, part, sequence)
      part.position = sequence
    },
    caughtUp(partition) {
      const part = parts.get(partition)
      if (part) passReplay(partition, part, Number.POSITIVE_INFINITY)
    },
    replaced(partition) {
      const part = parts.get(partition)
      if (part === undefined) return
      passReplay(partition, part, Number.POSITIVE_INFINITY)
      part.position = 0
      part.markedAt = 0
    },
    async beforeRound(partition) {
      for (let attempt = 0; attempt < attemptsPerRound; attempt++) {
        const part = parts.get(partition)
        if (part === undefined || !part.hasNotes || part.replay !== undefined) return
        await deps.takeNow(partition)
        if (part.carried.length === 0) return
      }
    },
    lose(partition) {
      parts.delete(partition)
      without.delete(partition)
    },
    status: () => ({
      unknownBefore,
      unknownRequestsBefore,
      without: [...without],
      unnoted,
      lastError: notes.lastError(),
    }),
  }
}
