import { randomInt } from 'node:crypto'
import { type BusMessage, createFlowColumns, type FlowColumns } from '@skybraid/shared'
import type { ApiReader } from './api/api-deps.ts'
import { BootOrdinals } from './ingest/boot-ordinals.ts'
import { addedTotals, type IngestFigures, type IngestTotals, ingestStatus } from './ingest/ingest-status.ts'
import { createJoin, type Join } from './join/join.ts'
import type { OpenNativeUsual } from './join/native-usual.ts'
import {
  createPartitionCore,
  type PartitionCore,
  type PartitionCoreOptions,
} from './partition/partition-core.ts'
import type { OutsideRanges } from './resolve/address-range.ts'
import { createEntityIndex, type EntityIndex } from './resolve/entity-index.ts'
import type { NameSource } from './resolve/name-source.ts'
import type { IngestStatus, MissingPartitions } from './topology/answer.ts'
import type { OnEdgeDelta, OnEdgeFinal, OnEdgeSaid } from './topology/partition-deltas.ts'
import type { Segment } from './topology/segment.ts'
import { createTopology, type Topology } from './topology/topology.ts'

export interface CoreOptions {
  readonly startMs: number
  readonly joinCapacity: number
  readonly maxEdges: number
  readonly retentionMs: number
  /** Sentences that every answer carries. */
  readonly notes?: readonly string[]
  /** What of a bus with partitions is not here. */
  readonly partitions?: () => MissingPartitions
  /** Every batch of a collector that ever reported is accounted for here. Default: yes. */
  readonly readsAll?: () => boolean
  /** The library that books usual records, where there is one. */
  readonly openNative?: OpenNativeUsual | undefined
  /** Gets every segment as it closes. */
  readonly onSegment?: (bytes: Uint8Array, segment: Segment) => void
  /** What can name entities better than the kernel alone. */
  readonly source?: NameSource
  /** Names of outside ranges. */
  readonly outside?: OutsideRanges
  /** Makes what gets the growth of edges, for exports. */
  readonly onDelta?: (index: EntityIndex) => OnEdgeDelta | undefined
  /** Gets the rows of minutes that are closed. */
  readonly onFinal?: OnEdgeFinal | undefined
  /** Gets what was said on edges. */
  readonly onSaid?: OnEdgeSaid
}

/** Names, join, topology and ingest, wired together. It has no timers and no files: time and messages come in. */
export interface Core {
  readonly reader: ApiReader
  readonly topology: Topology
  accept(message: BusMessage, nowMs: number): void
  /** Lets time pass. Call several times a second. */
  tick(nowMs: number): void
}

/** How one partition begins, see `createPartitionCore`. */
export type PartitionStart = Pick<
  PartitionCoreOptions,
  'startMs' | 'closedThrough' | 'goesOnFrom' | 'againFromMs' | 'onRound' | 'epoch'
>

/** What the partitions of a process share, and their answers as one. */
export interface PartitionedCore {
  readonly reader: ApiReader
  readonly topology: Topology
  open(partition: number, start: PartitionStart): PartitionCore
  /** Drops a partition; its figures stay in the sums. */
  close(core: PartitionCore): void
  /** Merges, forgets and packs; partitions have clocks of their own. */
  tidy(nowMs: number): void
}

export function createPartitionedCore(options: CoreOptions): PartitionedCore {
  const keptMinutes = Math.ceil(options.retentionMs / 60_000)
  const index = createEntityIndex({
    ...(options.source && { source: options.source }),
    ...(options.outside && { outside: options.outside }),
  })
  const partitions = new Map<number, PartitionCore>()
  const closed: IngestTotals[] = []
  const onDelta = options.onDelta?.(index)
  const topology = createTopology({
    index,
    ...(onDelta && { onDelta }),
    ...(options.onFinal && { onFinal: options.onFinal }),
    ...(options.onSaid && { onSaid: options.onSaid }),
    startMs: options.startMs,
    maxEdges: options.maxEdges,
    minutesKept: Math.min(120, keptMinutes),
    mergedMinutesKept: keptMinutes,
    notes: options.notes ?? [],
    flows: (query, nowMs) => join.flows(query, nowMs),
    ingestStatus: nowMs => statusOf(figures(), join, topology, nowMs, readsAll()),
    ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
    ...(options.onSegment === undefined ? {} : { onSegment: options.onSegment }),
  })
  const join = createJoin({
    book: topology.book,
    entities: index,
    names: index,
    capacity: options.joinCapacity,
    hashSeed: randomInt(2 ** 32),
    openNative: options.openNative,
  })
  const ordinals = new BootOrdinals()
  const columns: FlowColumns = createFlowColumns()

  function readsAll(): boolean {
    return options.readsAll?.() ?? true
  }

  function figures(): IngestFigures[] {
    return [
      ...[...partitions.values()].map(each => each.figures()),
      ...closed.map(t => ({ ...t, nodes: [] })),
    ]
  }

  return {
    reader: topology,
    topology,
    open(partition, start) {
      const core = createPartitionCore({
        ...start,
        partition,
        topology,
        join,
        names: index,
        ordinals,
        columns,
      })
      partitions.set(partition, core)
      return core
    },
    close(core) {
      const { received, applied, duplicates, lost } = core.figures()
      closed.splice(0, closed.length, addedTotals([...closed, { received, applied, duplicates, lost }]))
      partitions.delete(core.partition)
      core.drop()
    },
    tidy: topology.tidy,
  }
}

/** Every partition that something comes for, as it comes, by one clock; there is no stream to read again. */
export function createCore(options: CoreOptions): Core {
  const shared = createPartitionedCore(options)
  const partitions = new Map<number, PartitionCore>()
  const open = (partition: number) => {
    const core = shared.open(partition, { startMs: options.startMs })
    partitions.set(partition, core)
    return core
  }
  open(0)
  let sequence = 0
  return {
    reader: shared.reader,
    topology: shared.topology,
    accept(message, nowMs) {
      // what names a partition that can't be is refused, and counted, by the first one
      const isPossible = message.partition >= 0 && message.partition < maxPartitions
      const partition = isPossible ? message.partition : 0
      const core = partitions.get(partition) ?? open(partition)
      core.accept(message, { sequence: ++sequence, unixMs: nowMs })
    },
    tick(nowMs) {
      for (const core of partitions.values()) core.tick(nowMs)
      shared.tidy(nowMs)
    },
  }
}

/** As many as the join has tables for. */
const maxPartitions = 64

function statusOf(
  all: readonly IngestFigures[],
  join: Join,
  topology: Topology,
  nowMs: number,
  readsAll: boolean,
): IngestStatus {
  const { edges, openMinutes, closedSegments } = topology.stats()
  return { ...ingestStatus(all, nowMs, readsAll), join: join.counts(), edges, openMinutes, closedSegments }
}
