import type { FlowColumns } from '@skybraid/shared'
import type { EntitySource } from '../resolve/entity-source.ts'
import type { FlowQuery, FlowView } from '../topology/answer.ts'
import type { EdgeBook } from '../topology/edge-book.ts'
import { listFlows } from './flow-list.ts'
import { FlowRing } from './flow-ring.ts'
import type { CurrentBoot, FlowNames } from './flow-view.ts'
import type { ApplyOutcome, JoinCounts } from './join-outcome.ts'
import { JoinTable } from './join-table.ts'
import type { OpenNativeUsual } from './native-usual.ts'
import type { BatchOrigin } from './record-batch.ts'
import { SamplingRates } from './sampling-rate.ts'

export interface JoinOptions {
  /** One book for all partitions, or the one of each. */
  readonly book: EdgeBook | ((partition: number) => EdgeBook)
  readonly entities: EntitySource
  readonly names: FlowNames
  /** Connections and remembered ends, over all partitions; 272 bytes each. */
  readonly capacity?: number
  readonly maxPartitions?: number
  /** Ended flows kept for `flows`, over all partitions. */
  readonly endedFlows?: number
  /** Random in production, fixed in tests. */
  readonly hashSeed: number
  /** Takes every record the general way: what the tests compare the quicker way with. */
  readonly oneByOne?: boolean
  /** The library that books usual records, where there is one. */
  readonly openNative?: OpenNativeUsual | undefined
}

/** Two records, one connection: see ARCHITECTURE, Join. */
export interface Join {
  /** Adds a batch that was not seen before; the answer accounts for every record and is reused by the next call. */
  apply(columns: FlowColumns, partition: number, origin: BatchOrigin, nowMs: number): ApplyOutcome
  /** Lets time pass, for all partitions or for one. At least once a second. */
  tick(nowMs: number, partition?: number): void
  /**
   * From here on a partition's records since `fromMs` come again: of flows that opened before that, some came already,
   * so that nothing before their first record is missing. Until the next call, which has -Infinity unless what came
   * before can't come again.
   */
  catchUp(partition: number, fromMs: number): void
  /** Flows of a partition that came in the middle while it caught up. */
  cameMidway(partition: number): number
  /** Forgets a partition's connections. */
  drop(partition: number): void
  /** The rate at which a node's collector records new connections: one in 2^exponent. */
  noteRate(node: number, exponent: number): void
  /** A collector started (again): what earlier boots of it reported is unconfirmed until it says so again. */
  restarted(node: number, name: string, boot: number): void
  flows(
    query: FlowQuery,
    nowMs: number,
  ): { readonly flows: readonly FlowView[]; readonly nextCursor?: string }
  counts(): JoinCounts & { readonly capacity: number }
  /** Memory of connections: slots, index, ledgers and addresses. */
  bytes(): number
}

const defaults = { capacity: 1 << 20, maxPartitions: 256, endedFlows: 10_000 }

export function createJoin(options: JoinOptions): Join {
  const { capacity, maxPartitions, endedFlows } = { ...defaults, ...options }
  const tables = new Map<number, JoinTable>()
  const nodes = new Map<number, CurrentBoot>()
  const refused: ApplyOutcome = { applied: 0, late: 0, tableFull: 0, cardinalityCap: 0, malformed: 0 }
  // All partitions draw on one allowance, so that a skewed split doesn't waste it.
  const allowance = { left: capacity }
  const ring = new FlowRing(endedFlows)
  const rates = new SamplingRates()

  function table(partition: number): JoinTable | undefined {
    const known = tables.get(partition)
    if (known !== undefined) return known
    if (tables.size >= maxPartitions) return undefined
    const { entities, hashSeed, oneByOne, openNative } = options
    const book = typeof options.book === 'function' ? options.book(partition) : options.book
    const hash = { hashSeed: hashSeed + partition, oneByOne: oneByOne === true }
    const created = new JoinTable({ book, entities, allowance, ring, rates, openNative, ...hash })
    tables.set(partition, created)
    return created
  }

  return {
    apply(columns, partition, origin, nowMs) {
      const target = table(partition)
      if (target !== undefined) return target.apply(columns, origin, nowMs)
      refused.tableFull = columns.count
      return refused
    },
    tick(nowMs, partition) {
      if (partition !== undefined) tables.get(partition)?.tick(nowMs)
      else for (const each of tables.values()) each.tick(nowMs)
    },
    catchUp(partition, fromMs) {
      const target = table(partition)
      if (target !== undefined) target.againFromMs = fromMs
    },
    cameMidway: partition => tables.get(partition)?.cameMidway ?? 0,
    drop(partition) {
      allowance.left += tables.get(partition)?.store.slots.live ?? 0
      tables.delete(partition)
    },
    noteRate: (node, exponent) => rates.note(node, exponent),
    restarted(node, name, boot) {
      nodes.set(node, { name, boot })
    },
    flows: (query, nowMs) =>
      listFlows({ tables: [...tables.values()], ring, nodes, names: options.names }, query, nowMs),
    bytes() {
      let sum = 0
      for (const each of tables.values()) sum += each.store.bytes()
      return sum
    },
    counts() {
      const sum = {
        connections: 0,
        capacity,
        joined: 0,
        clientOnly: 0,
        serverOnly: 0,
        tombstones: 0,
        evicted: 0,
        said: { unbooked: 0, other: 0, unmovable: 0 },
      }
      for (const each of tables.values()) {
        const counts = each.counts()
        sum.connections += counts.connections
        sum.joined += counts.joined
        sum.clientOnly += counts.clientOnly
        sum.serverOnly += counts.serverOnly
        sum.tombstones += counts.tombstones
        sum.evicted += counts.evicted
        sum.said.unbooked += counts.said.unbooked
        sum.said.other += counts.said.other
        sum.said.unmovable += counts.said.unmovable
      }
      return sum
    },
  }
}
