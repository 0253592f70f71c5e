import {
  type BatchHeader,
  type BusMessage,
  batchLimits,
  createFlowColumns,
  type DnsName,
  decodeFlowBatch,
  type FlowColumns,
  type LossPlace,
} from '@skybraid/shared'
import type { ApplyOutcome } from '../join/join-outcome.ts'
import type { BatchOrigin } from '../join/record-batch.ts'
import type { IngestStatus, NodeStatus } from '../topology/answer.ts'
import type { BootLog } from './boot-log.ts'
import { NodeLog } from './node-log.ts'
import { nodeStatus } from './node-status.ts'

/** The part of the join that the ingest drives. */
export interface IngestJoin {
  apply(columns: FlowColumns, partition: number, origin: BatchOrigin, nowMs: number): ApplyOutcome
  /** A collector started anew: what it reported before is unconfirmed until it says so again. */
  restarted(node: number, name: string, boot: number): void
  counts(): IngestStatus['join']
}

/** Who closes minutes; as topology's watermark has it. */
export interface IngestWindows {
  heard(node: string, boot: string, partition: number, nowMs: number): void
  minuteComplete(node: string, boot: string, partition: number, unixMinute: number): void
}

/** Who knows nodes by number and takes the names that DNS gave; the entity index. */
export interface IngestNames {
  node(name: string): number
  learnName(node: number, address: DnsName['address'], name: string, seenMs: number): void
}

export interface IngestOptions {
  readonly join: IngestJoin
  readonly windows: IngestWindows
  readonly names: IngestNames
  readonly maxNodes?: number
  /** Per node and boot. */
  readonly maxPartitions?: number
  /** Gaps followed per node, boot and partition. */
  readonly maxGaps?: number
  /** A gap older than this stays one: what fills it is late. */
  readonly settleMs?: number
}

export interface Ingest {
  /** Takes one message. Never throws on what a message says; everything is applied or counted. */
  accept(message: BusMessage, nowMs: number): void
  /** Who reports, and whether the figures add up. */
  status(nowMs: number): Pick<IngestStatus, 'nodes' | 'identity' | 'join'>
  /** Records lost since the start, by place, over all nodes: at the collectors, on the way and here. */
  lost(): Record<string, number>
}

/** A node's clock may be ahead by this much, and a batch this old may still be worth a look. */
const aheadMs = 10 * 60_000
const behindMs = 24 * 60 * 60_000
const forgetNodeMs = 60 * 60_000

/** Decodes batches, drops what was seen before, accounts for what never came, and hands the rest to the join. */
export function createIngest(options: IngestOptions): Ingest {
  const { join, windows, names, maxNodes = 4096 } = options
  const limits = {
    recordsPerBatch: batchLimits.records,
    maxGaps: options.maxGaps ?? 256,
    settleMs: options.settleMs ?? 15 * 60_000,
    maxPartitions: options.maxPartitions ?? 64,
  }
  const columns = createFlowColumns()
  const nodes = new Map<string, NodeLog>()
  const origin: BatchOrigin = { node: 0, boot: 0, contiguous: true }
  const lost: Partial<Record<LossPlace, number>> = {}
  // of nodes forgotten since
  const lostBefore: Record<string, number> = {}
  let received = 0
  let applied = 0
  let duplicates = 0

  function lose(place: LossPlace, records: number): void {
    if (records > 0) lost[place] = (lost[place] ?? 0) + records
  }

  /** Refuses a batch that was decoded; one without records counts as one, so that it shows. */
  function refuse(place: LossPlace, header: BatchHeader): void {
    const records = Math.max(1, header.recordCount)
    received += records
    lose(place, records)
  }

  function nodeOf(header: BatchHeader, nowMs: number): NodeLog | undefined {
    const known = nodes.get(header.node)
    if (known !== undefined) return known
    if (nodes.size >= maxNodes) forgetSilentNode(nowMs)
    const index = nodes.size < maxNodes ? names.node(header.node) : -1
    if (index < 0) return undefined
    const node = new NodeLog(header.node, index, limits)
    nodes.set(header.node, node)
    return node
  }

  function forgetSilentNode(nowMs: number): void {
    for (const [name, node] of nodes) {
      if (nowMs - node.lastSeenMs < forgetNodeMs) continue
      addLost(lostBefore, node, nowMs)
      nodes.delete(name)
      return
    }
  }

  function isPlausible(message: BusMessage, header: BatchHeader, nowMs: number): boolean {
    const sameNode = header.node === message.node || header.node.replaceAll('.', '_') === message.node
    if (!sameNode || header.partition !== message.partition) return false
    if (header.sentUnixMs > nowMs + aheadMs || header.sentUnixMs < nowMs - behindMs) return false
    return header.baseUnixMs <= nowMs + aheadMs && header.baseUnixMs >= nowMs - behindMs
  }

  function applyRecords(node: NodeLog, boot: BootLog, nowMs: number): void {
    const { header } = columns
    origin.node = node.index
    origin.boot = boot.ordinal
    origin.contiguous = boot.isContiguous(header.partition)
    const outcome = join.apply(columns, header.partition, origin, nowMs)
    applied += outcome.applied
    lose('late', outcome.late)
    lose('join_table_full', outcome.tableFull)
    lose('cardinality_cap', outcome.cardinalityCap)
    lose('malformed', outcome.malformed)
  }

  function learnNames(node: NodeLog): void {
    for (const name of columns.header.names) {
      names.learnName(node.index, name.address, name.name, name.seenUnixMs)
    }
  }

  function follow(node: NodeLog, boot: BootLog, nowMs: number): void {
    const { header } = columns
    node.lastSeenMs = Math.max(node.lastSeenMs, nowMs)
    if (boot !== node.current) return
    node.clock.note(header.sentUnixMs, nowMs)
    windows.heard(node.name, boot.bootId, header.partition, nowMs)
  }

  function completeMinute(node: NodeLog, boot: BootLog, nowMs: number): void {
    if (boot !== node.current) return
    const minute = boot.completedMinute(columns.header, nowMs)
    if (minute >= 0) windows.minuteComplete(node.name, boot.bootId, columns.header.partition, minute)
  }

  return {
    accept(message, nowMs) {
      const { header } = columns
      if (!decodeFlowBatch(message.data, columns).ok) {
        // How many records it held is not known; they show as a gap of their node. Here the batch counts as one.
        received++
        lose('malformed', 1)
        return
      }
      if (!isPlausible(message, header, nowMs)) return refuse('malformed', header)
      const node = nodeOf(header, nowMs)
      if (node === undefined) return refuse('cardinality_cap', header)
      const before = node.current
      const boot = node.bootOf(header)
      const arrival = boot.note(header, nowMs)
      if (arrival === undefined) return refuse('cardinality_cap', header)
      if (arrival === 'inconsistent') return refuse('malformed', header)
      if (boot === node.current && boot !== before) join.restarted(node.index, node.name, boot.ordinal)
      follow(node, boot, nowMs)
      received += header.recordCount
      if (arrival === 'duplicate') {
        duplicates += header.recordCount
        return
      }
      if (arrival === 'late') return lose('late', header.recordCount)
      learnNames(node)
      if (header.recordCount > 0) applyRecords(node, boot, nowMs)
      completeMinute(node, boot, nowMs)
    },

    status(nowMs) {
      const list: NodeStatus[] = []
      for (const node of nodes.values()) {
        const status = nodeStatus(node, nowMs)
        if (status !== undefined) list.push(status)
      }
      let sum = applied + duplicates
      for (const records of Object.values(lost)) sum += records
      return {
        nodes: list,
        identity: { received, applied, duplicates, lost: { ...lost }, holds: received === sum },
        join: join.counts(),
      }
    },

    lost() {
      const all: Record<string, number> = { ...lostBefore }
      for (const [place, records] of Object.entries(lost)) all[place] = (all[place] ?? 0) + records
      for (const node of nodes.values()) addLost(all, node, 0)
      return all
    },
  }
}

function addLost(sums: Record<string, number>, node: NodeLog, nowMs: number): void {
  const places = nodeStatus(node, nowMs)?.identity.records.lost ?? {}
  for (const [place, records] of Object.entries(places)) sums[place] = (sums[place] ?? 0) + records
}
