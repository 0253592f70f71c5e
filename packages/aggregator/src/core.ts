import { randomInt } from 'node:crypto'
import type { BusMessage } from '@skybraid/shared'
import type { ApiReader } from './api/api-deps.ts'
import { createIngest, type Ingest } from './ingest/ingest.ts'
import { createJoin } from './join/join.ts'
import { LossBooking } from './loss-booking.ts'
import { createEntityIndex } from './resolve/entity-index.ts'
import type { IngestStatus } from './topology/answer.ts'
import type { Segment } from './topology/segment.ts'
import { createTopology, type Topology } from './topology/topology.ts'

export interface CoreOptions {
  readonly startMs: number
  readonly joinCapacity: number
  readonly maxEdges: number
  readonly retentionMs: number
  /** Sentences that every answer carries. */
  readonly notes?: readonly string[]
  /** Gets every segment as it closes. */
  readonly onSegment?: (bytes: Uint8Array, segment: Segment) => void
}

/** Names, join, topology and ingest, wired together. It has no timers and no files: time and messages come in. */
export interface Core {
  readonly reader: ApiReader
  readonly topology: Topology
  accept(message: BusMessage, nowMs: number): void
  /** Lets time pass. Call several times a second. */
  tick(nowMs: number): void
}

export function createCore(options: CoreOptions): Core {
  const keptMinutes = Math.ceil(options.retentionMs / 60_000)
  const index = createEntityIndex()
  const topology = createTopology({
    index,
    startMs: options.startMs,
    maxEdges: options.maxEdges,
    minutesKept: Math.min(120, keptMinutes),
    mergedMinutesKept: keptMinutes,
    notes: options.notes ?? [],
    flows: (query, nowMs) => join.flows(query, nowMs),
    ingestStatus: nowMs => statusOf(ingest, topology, nowMs),
    ...(options.onSegment === undefined ? {} : { onSegment: options.onSegment }),
  })
  const join = createJoin({
    book: topology,
    entities: index,
    names: index,
    capacity: options.joinCapacity,
    hashSeed: randomInt(2 ** 32),
  })
  const ingest = createIngest({ join, windows: topology, names: index })
  const losses = new LossBooking(topology.lose)
  return {
    reader: topology,
    topology,
    accept: ingest.accept,
    tick(nowMs) {
      join.tick(nowMs)
      losses.update(ingest.status(nowMs), nowMs)
      topology.advance(nowMs)
    },
  }
}

function statusOf(ingest: Ingest, topology: Topology, nowMs: number): IngestStatus {
  const { edges, openMinutes, closedSegments } = topology.stats()
  return { ...ingest.status(nowMs), edges, openMinutes, closedSegments }
}
