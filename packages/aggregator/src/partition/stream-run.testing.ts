import { type BusMessage, createFlowColumns, lossPlaces } from '@skybraid/shared'
import { BootOrdinals } from '../ingest/boot-ordinals.ts'
import { createJoin } from '../join/join.ts'
import { createEntityIndex } from '../resolve/entity-index.ts'
import type { EdgeListeners } from '../topology/partition-deltas.ts'
import { createTopology } from '../topology/topology.ts'
import { createPartitionCore, type PartitionRound, type StreamPosition } from './partition-core.ts'
import { readAgainFromMs } from './round-state.ts'

/** One message as the stream keeps it. */
export interface Stored {
  readonly message: BusMessage
  readonly position: StreamPosition
}

export const partition = 3

/** One process that books a partition, with rounds that are committed when told. */
export function createProcess(
  startMs: number,
  committed: readonly PartitionRound[],
  backMs?: number,
  listeners: EdgeListeners = {},
) {
  const index = createEntityIndex()
  const ready: PartitionRound[] = []
  const topology = createTopology({ index, startMs, graceMs: 30_000, ...listeners })
  const join = createJoin({
    book: topology.book,
    entities: index,
    names: index,
    hashSeed: 5,
    capacity: 10_000,
  })
  const last = committed.at(-1)
  for (const round of committed)
    for (const bytes of round.bytes) {
      const loaded = topology.follow(bytes, partition)
      if (!loaded.ok) throw new Error(loaded.reason)
    }
  const core = createPartitionCore({
    partition,
    topology,
    join,
    names: index,
    ordinals: new BootOrdinals(),
    columns: createFlowColumns(),
    onRound: round => ready.push(round),
    ...(last ? { goesOnFrom: last.state } : { startMs, closedThrough: Math.floor(startMs / 60_000) - 2 }),
  })
  const fromMs = last ? readAgainFromMs(last.state, backMs) : Number.NEGATIVE_INFINITY
  return { core, topology, ready, fromMs }
}

/** Every number of every edge, and what was lost, minute by minute. */
export function minutesOf(
  { topology }: Pick<ReturnType<typeof createProcess>, 'topology'>,
  fromMinute: number,
  toMinute: number,
): Record<number, Record<string, number>> {
  const found: Record<number, Record<string, number>> = {}
  for (let minute = fromMinute; minute < toMinute; minute++) {
    const range = { fromMs: minute * 60_000, toMs: (minute + 1) * 60_000 }
    const { edges, completeness } = topology.topology(
      { ...range, groupBy: 'process', limit: 10_000 },
      range.toMs,
    )
    const sums: Record<string, number> = {}
    for (const { id, tcp, udp, http, dns, sql, redis } of edges)
      addNumbers(sums, id, { tcp, udp, http, dns, sql, redis })
    for (const place of Object.keys(lossPlaces))
      if (completeness.lost[place]) sums[`lost ${place}`] = completeness.lost[place]
    found[minute] = sums
  }
  return found
}

function addNumbers(sums: Record<string, number>, path: string, value: unknown): void {
  if (typeof value === 'number') {
    if (value !== 0 && !path.endsWith('openNow')) sums[path] = value
  } else if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) addNumbers(sums, `${path}.${key}`, inner)
}
