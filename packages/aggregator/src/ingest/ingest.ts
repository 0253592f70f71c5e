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
import type { IngestStatus } from '../topology/answer.ts'
import type { BootLog } from './boot-log.ts'
import { BootOrdinals } from './boot-ordinals.ts'
import type { IngestState, NodeState } from './ingest-state.ts'
import { type IngestFigures, ingestStatus } from './ingest-status.ts'
import { NodeLog, tokenOf } from './node-log.ts'
import { lostAtCollector } from './node-status.ts'

/** The part of the join that the ingest drives. */
export interface IngestJoin {
  apply(columns: FlowColumns, partition: number, origin: BatchOrigin, nowMs: number): ApplyOutcome
  /** The rate at which a node's collector records new connections: one in 2^exponent. */
  noteRate(node: number, exponent: number): void
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

/** Who turns running totals of losses into amounts per minute. */
export interface IngestLosses {
  /** The totals of somebody's losses by place, whenever they changed. */
  follow(whose: string, lost: Readonly<Record<string, number>>, nowMs: number): void
  /** Totals that somebody else turns into amounts. */
  note(whose: string, lost: Readonly<Record<string, number>>): void
  forget(whose: string): void
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
  /** Shared by the ingests of a process. */
  readonly ordinals?: BootOrdinals
  /** Scratch for decoded batches, shared by the ingests of a process. */
  readonly columns?: FlowColumns
  readonly losses?: IngestLosses
  /** Follow what collectors lost themselves: the same in batches of every partition, so one ingest of them does. */
  readonly followsCollectors?: boolean
  /** Under which number the join keeps the records; that of their batch unless told. */
  readonly table?: number
  /** Leaves in a batch of another epoch the records whose keys are this partition's. */
  readonly keepOurs?: (columns: FlowColumns) => void
  /** Whether a connection's records may come in partitions of several epochs. */
  readonly sharesKeys?: () => boolean
  /** Goes on from what another process knew. */
  readonly state?: IngestState
}

export interface Ingest {
  /** Takes one message. Never throws on what a message says; everything is applied or counted. */
  accept(message: BusMessage, nowMs: number): void
  /** Counts a message that is of no partition, as `malformed`. */
  refuse(message: BusMessage, nowMs: number): void
  /**
   * Takes a message that the given state knows already, to bring the join up to it: nothing is counted. Not after
   * `accept`.
   */
  acceptAgain(message: BusMessage, nowMs: number): void
  /**
   * Takes a message of another epoch's partition, for what its records are to this one's: it is accounted for where that
   * partition is booked.
   */
  acceptElsewhere(message: BusMessage, nowMs: number): void
  /** The minute of the batch that was taken last, -1 if it was refused. */
  lastMinute(): number
  figures(): IngestFigures
  state(): IngestState
  /** Who reports, and whether the figures add up. */
  status(nowMs: number): Pick<IngestStatus, 'nodes' | 'identity' | 'join'>
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
  const { losses, followsCollectors = true, state } = options
  const columns = options.columns ?? createFlowColumns()
  const ordinals = options.ordinals ?? new BootOrdinals()
  const nodes = new Map<string, NodeLog>()
  /** By the name in subjects. */
  const nameOf = new Map<string, string>()
  const origin: BatchOrigin = { node: 0, boot: 0, contiguous: true }
  const lost: Partial<Record<LossPlace, number>> = { ...state?.lost }
  let received = state?.received ?? 0
  let applied = state?.applied ?? 0
  let duplicates = state?.duplicates ?? 0
  let hasLost = false
  let lastMinute = -1
  let isCatchingUp = false

  for (const each of state?.nodes ?? []) {
    const index = nodes.size < maxNodes ? names.node(each.name) : -1
    if (index >= 0) restore(each, index)
  }

  function restore(from: NodeState, index: number): NodeLog {
    const node = NodeLog.restored(from, index, ordinals, limits)
    addNode(node)
    if (node.current) join.restarted(index, from.name, node.current.ordinal)
    return node
  }

  function lose(place: LossPlace, records: number): void {
    if (records <= 0) return
    lost[place] = (lost[place] ?? 0) + records
    hasLost = true
  }

  /** Tells what is lost now, here and of this boot, if that changed. */
  function followLosses(node: NodeLog | undefined, boot: BootLog | undefined, before: number, nowMs: number) {
    if (hasLost) losses?.follow('here', lost, nowMs)
    hasLost = false
    if (!losses || !node || !boot || boot.lossChanges === before) return
    const gap = boot.missingRecords
    const own = followsCollectors ? lostAtCollector(boot) : {}
    losses.follow(lossKey(node, boot), { ...own, sequence_gap: gap }, nowMs)
  }

  /** How many records a batch held is not known; they show as a gap of their node. Here the batch counts as one. */
  function refuseUnread(): void {
    received++
    lose('malformed', 1)
  }

  /** Refuses a batch that was decoded; one without records counts as one, so that it shows. */
  function refuse(place: LossPlace, header: BatchHeader): void {
    const records = Math.max(1, header.recordCount)
    received += records
    lose(place, records)
  }

  function nodeOf(header: BatchHeader, nowMs: number): NodeLog | undefined {
    const known = nodes.get(header.node)
    if (known !== undefined) return stillNumbered(known)
    if (nodes.size >= maxNodes) forgetSilentNode(nowMs)
    const index = nodes.size < maxNodes ? names.node(header.node) : -1
    if (index < 0) return undefined
    const node = new NodeLog(header.node, index, ordinals, limits)
    addNode(node)
    return node
  }

  /** A node that was silent for long has another number by now; undefined if there is none left. */
  function stillNumbered(node: NodeLog): NodeLog | undefined {
    const index = names.node(node.name)
    if (index === node.index) return node
    return index < 0 ? undefined : restore(node.state(), index)
  }

  function addNode(node: NodeLog): void {
    nodes.set(node.name, node)
    nameOf.set(tokenOf(node.name), node.name)
  }

  function forgetSilentNode(nowMs: number): void {
    for (const [name, node] of nodes) {
      if (nowMs - node.lastSeenMs < forgetNodeMs) continue
      for (const boot of node.boots) losses?.forget(lossKey(node, boot))
      nodes.delete(name)
      nameOf.delete(tokenOf(name))
      return
    }
  }

  /** Two names may be written alike in subjects; the one that came first, and still does, is who may publish there. */
  function isOfAnother(message: BusMessage, { node }: BatchHeader, nowMs: number): boolean {
    if (nodes.has(node)) return false
    const holder = nodes.get(nameOf.get(message.node) ?? '')
    return holder !== undefined && nowMs - holder.lastSeenMs < forgetNodeMs
  }

  function isPlausible(message: BusMessage, header: BatchHeader, nowMs: number): boolean {
    const sameNode = header.node === message.node || tokenOf(header.node) === message.node
    if (!sameNode || header.partition !== message.partition) return false
    if (isOfAnother(message, header, nowMs)) return false
    if (header.sentUnixMs > nowMs + aheadMs || header.sentUnixMs < nowMs - behindMs) return false
    return header.baseUnixMs <= nowMs + aheadMs && header.baseUnixMs >= nowMs - behindMs
  }

  function joinRecords(node: NodeLog, boot: BootLog, nowMs: number): ApplyOutcome {
    const { header } = columns
    origin.node = node.index
    origin.boot = boot.ordinal
    origin.contiguous =
      boot.isContiguous(header.partition) &&
      (options.sharesKeys?.() !== true || boot.isSettled(header.partition, nowMs))
    return join.apply(columns, options.table ?? header.partition, origin, nowMs)
  }

  function applyRecords(node: NodeLog, boot: BootLog, nowMs: number): void {
    const outcome = joinRecords(node, boot, nowMs)
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
    followNode(node, boot, nowMs)
    if (boot === node.current) windows.heard(node.name, boot.bootId, columns.header.partition, nowMs)
  }

  function followNode(node: NodeLog, boot: BootLog, nowMs: number): void {
    const { header } = columns
    node.lastSeenMs = Math.max(node.lastSeenMs, nowMs)
    if (boot !== node.current) return
    node.clock.note(header.sentUnixMs, nowMs)
    join.noteRate(node.index, header.sampling)
  }

  function completeMinute(node: NodeLog, boot: BootLog, nowMs: number): void {
    if (boot !== node.current) return
    const minute = boot.completedMinute(columns.header, nowMs)
    if (minute >= 0) windows.minuteComplete(node.name, boot.bootId, columns.header.partition, minute)
  }

  function bootOf(node: NodeLog): BootLog | undefined {
    const { header } = columns
    const before = node.boots
    const boot = node.bootOf(header)
    if (node.boots !== before)
      for (const old of before) if (!node.boots.includes(old)) losses?.forget(lossKey(node, old))
    return boot
  }

  /** Takes a batch that was decoded. */
  function take(message: BusMessage, nowMs: number): void {
    const { header } = columns
    const node = isPlausible(message, header, nowMs) ? nodeOf(header, nowMs) : 'implausible'
    if (node === 'implausible') refuse('malformed', header)
    else if (node === undefined) refuse('cardinality_cap', header)
    else {
      const before = node.current
      const boot = bootOf(node)
      if (boot === undefined) refuse('late', header)
      else takeFrom(node, boot, boot !== before && boot === node.current, nowMs)
    }
  }

  function takeFrom(node: NodeLog, boot: BootLog, isNew: boolean, nowMs: number): void {
    const { header } = columns
    const changesBefore = boot.lossChanges
    const arrival = boot.note(header, nowMs)
    if (arrival === undefined) refuse('cardinality_cap', header)
    else if (arrival === 'inconsistent') refuse('malformed', header)
    else {
      lastMinute = Math.floor(header.baseUnixMs / 60_000)
      if (isNew) join.restarted(node.index, node.name, boot.ordinal)
      follow(node, boot, nowMs)
      received += header.recordCount
      if (arrival === 'new') applyNew(node, boot, nowMs)
      else if (arrival === 'duplicate') duplicates += header.recordCount
      else loseLate(node, boot)
    }
    followLosses(node, boot, changesBefore, nowMs)
  }

  /** What was a gap until now is late: it stays booked where it was, and counts at this place from here on. */
  function loseLate(node: NodeLog, boot: BootLog): void {
    lose('late', columns.header.recordCount)
    hasLost = false
    losses?.note('here', lost)
    noteLosses(node, boot)
  }

  function noteLosses(node: NodeLog, boot: BootLog): void {
    const own = followsCollectors ? lostAtCollector(boot) : {}
    losses?.note(lossKey(node, boot), { ...own, sequence_gap: boot.missingRecords })
  }

  function applyNew(node: NodeLog, boot: BootLog, nowMs: number): void {
    learnNames(node)
    if (columns.header.recordCount > 0) applyRecords(node, boot, nowMs)
    completeMinute(node, boot, nowMs)
  }

  return {
    accept(message, nowMs) {
      if (isCatchingUp) for (const node of nodes.values()) for (const boot of node.boots) boot.endAgain()
      isCatchingUp = false
      lastMinute = -1
      if (decodeFlowBatch(message.data, columns).ok) take(message, nowMs)
      else refuseUnread()
      followLosses(undefined, undefined, 0, nowMs)
    },

    refuse(message, nowMs) {
      lastMinute = -1
      if (decodeFlowBatch(message.data, columns).ok) refuse('malformed', columns.header)
      else refuseUnread()
      followLosses(undefined, undefined, 0, nowMs)
    },

    acceptAgain(message, nowMs) {
      isCatchingUp = true
      lastMinute = -1
      const { header } = columns
      if (!decodeFlowBatch(message.data, columns).ok || !isPlausible(message, header, nowMs)) return
      const node = nodeOf(header, nowMs)
      if (node === undefined) return
      lastMinute = Math.floor(header.baseUnixMs / 60_000)
      const boot = node.bootOf(header)
      if (boot === undefined) return
      const arrival = boot.noteAgain(header, nowMs)
      follow(node, boot, nowMs)
      if (arrival !== 'new') return
      learnNames(node)
      if (header.recordCount > 0) joinRecords(node, boot, nowMs)
      if (header.minuteComplete && boot === node.current)
        windows.minuteComplete(node.name, boot.bootId, header.partition, lastMinute)
    },

    acceptElsewhere(message, nowMs) {
      lastMinute = -1
      const { header } = columns
      if (!decodeFlowBatch(message.data, columns).ok || !isPlausible(message, header, nowMs)) return
      const node = nodeOf(header, nowMs)
      if (node === undefined) return
      lastMinute = Math.floor(header.baseUnixMs / 60_000)
      const before = node.current
      const boot = bootOf(node)
      if (boot === undefined) return
      const arrival = boot.noteElsewhere(header, nowMs)
      if (boot === node.current && boot !== before) join.restarted(node.index, node.name, boot.ordinal)
      followNode(node, boot, nowMs)
      if (arrival !== 'new') return
      noteLosses(node, boot)
      learnNames(node)
      options.keepOurs?.(columns)
      if (columns.count > 0) joinRecords(node, boot, nowMs)
    },

    lastMinute: () => lastMinute,
    figures: () => ({ nodes: nodes.values(), received, applied, duplicates, lost: { ...lost } }),
    state: () => ({
      received,
      applied,
      duplicates,
      lost: { ...lost },
      nodes: [...nodes.values()].map(node => node.state()),
    }),
    status: nowMs => ({
      ...ingestStatus([{ nodes: nodes.values(), received, applied, duplicates, lost }], nowMs),
      join: join.counts(),
    }),
  }
}

function lossKey(node: NodeLog, boot: BootLog): string {
  return JSON.stringify([node.name, boot.bootId])
}
