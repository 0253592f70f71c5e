import { epochAt, epochOf, type PartitionLayout, partitionsOf, untilMinute } from '@skybraid/shared'
import {
  flowFilter,
  flowPartitionFilter,
  flowStream,
  type NatsLink,
  parseFlowSubject,
  parseRollupSubject,
  rollupFilter,
  rollupStream,
} from '@skybraid/shared/nats'
import type { FastifyBaseLogger } from 'fastify'
import type { PartitionedCore } from '../core.ts'
import type { PartitionBusStatus } from './bus-status.ts'
import { laterLayout } from './layout-keeper.ts'
import type { PartitionExports } from './partition-exports.ts'
import { createPartitionOwner, type PartitionOwner } from './partition-owner.ts'
import { readStream, type StreamMessage } from './stream-reader.ts'

export interface BusPartitionsOptions {
  readonly link: NatsLink
  readonly cluster: string
  /** How records are split, as the bus says it. */
  readonly layout: PartitionLayout
  readonly replica: number
  readonly replicas: number
  readonly owner: string
  readonly core: PartitionedCore
  readonly log: FastifyBaseLogger
  readonly retentionMs: number
  readonly readAgainMs: number
  /** A partition for which nothing was appended for so long, while batches come, is taken over. */
  readonly silentMs: number
  /** What is exported of partitions that are booked here. */
  readonly exports?: PartitionExports
}

/** All partitions of a cluster: closed minutes of each from the ROLLUP stream, and those that are booked here. */
export interface BusPartitions {
  /** What the ROLLUP stream kept is loaded. */
  readonly loaded: boolean
  /** In words, why answers are not complete yet. */
  reasons(): string[]
  /** Partitions of the epoch that it is. */
  count(): number
  /** How records are split, oldest epoch first. */
  layout(): PartitionLayout
  /** Partitions of batches in the stream that are in no epoch, the lowest ones. */
  strays(): readonly number[]
  tick(): void
  close(): Promise<void>
  status(): PartitionBusStatus[]
  /** Partitions whose running minute is not here. */
  openElsewhere(): number[]
  /** Partitions of which nothing is here. */
  missing(): number[]
}

/** Between the turns of replicas at a partition that fell silent. */
const turnMs = 15_000
const watchMs = 5_000
const layoutMs = 10_000
/** Listing all subjects of a large cluster costs the server something. */
const subjectsMs = 60_000
/** Strays that are read and counted. */
const mostStrays = 64
/** So long after an epoch's end something of it may be in the stream, as a rule. */
const lateMinutes = 20
const minuteMs = 60_000
/** Of clusters of former days, of which ROLLUP still has minutes. */
const mostOwners = 1_024
const closeMs = 3_000

export function followPartitions(options: BusPartitionsOptions): BusPartitions {
  const { link, cluster, replica, replicas, core, log } = options
  const stopping = new AbortController()
  let layout = options.layout
  const owners = new Map<number, PartitionOwner>()
  /** Partitions that this replica claims at its start, or when their epoch becomes known, until it has had them once. */
  const wanted = new Set<number>()
  let loaded = false
  let unknownSubjects = 0
  let watchedAt = performance.now()
  let layoutAt = performance.now()
  let layoutReason: string | undefined
  let isWatching = false
  let strays: readonly number[] = []
  let subjectsAt = Number.NEGATIVE_INFINITY
  let isStarting = false

  function ownerOf(partition: number): PartitionOwner {
    const known = owners.get(partition)
    if (known) return known
    const made = createPartitionOwner({
      ...options,
      partition,
      layout: () => layout,
      strays: () => (partition === layout.at(-1)?.first ? strays : []),
      stop: stopping.signal,
    })
    owners.set(partition, made)
    return made
  }

  const nowMinute = () => Math.floor(Date.now() / minuteMs)

  /** Its minutes are not over: of earlier epochs only what is still in the stream is of interest. */
  function isLive(partition: number): boolean {
    const epoch = epochOf(layout, partition)
    return epoch !== undefined && untilMinute(layout, epoch) > nowMinute()
  }

  function want(partitions: readonly number[]): void {
    for (const partition of partitions) {
      ownerOf(partition)
      const until = untilMinute(layout, epochOf(layout, partition)!)
      if (partition % replicas === replica && until > nowMinute() - lateMinutes) wanted.add(partition)
    }
  }

  function follow(message: StreamMessage): void {
    const partition = parseRollupSubject(cluster, message.subject)
    const isBounded = owners.size < mostOwners || owners.has(partition ?? -1)
    if (partition !== undefined && isBounded) ownerOf(partition).follow(message)
    else unknownSubjects++
    if (!loaded) core.tidy(message.unixMs)
  }

  function idle(): void {
    if (loaded || isStarting) return
    isStarting = true
    // what of them is in the stream already is counted too if it is known before reading begins
    lookForStrays()
      .catch((error: unknown) => log.warn({ reason: String(error) }, 'subjects could not be looked at'))
      .finally(() => {
        loaded = true
        const segments = core.topology.stats().closedSegments
        log.info({ segments, unknownSubjects }, 'closed minutes are loaded')
        if (!stopping.signal.aborted) claimWanted()
      })
  }

  async function partitionsWithBatches(): Promise<Set<number>> {
    const info = await link.jsm.streams.info(flowStream(cluster), { subjects_filter: flowFilter(cluster) })
    const subjects = Object.keys(info.state.subjects ?? {})
    return new Set(subjects.flatMap(each => parseFlowSubject(each)?.partition ?? []))
  }

  /** Batches of a partition that is in no epoch come from a collector that is configured otherwise. */
  async function lookForStrays(): Promise<void> {
    if (performance.now() - subjectsAt < subjectsMs) return
    subjectsAt = performance.now()
    const used = await partitionsWithBatches()
    const found = [...used].filter(each => epochOf(layout, each) === undefined).sort((a, b) => a - b)
    const known = new Set(strays)
    if (found.slice(0, mostStrays).every(each => known.has(each))) return
    // those that are silent for a while stay, up to the limit: what comes of them later is counted, too
    strays = [...new Set([...found, ...strays])].slice(0, mostStrays)
    log.warn(
      { strays, layout },
      'batches come in partitions that nobody books, and are counted as malformed: collectors have another --partitions',
    )
    for (const owner of owners.values()) owner.noteSubjects()
  }

  /** Again where somebody else appended at the same moment. */
  function claimWanted(): void {
    for (const partition of wanted) {
      const owner = ownerOf(partition)
      if (owner.phase === 'catching_up' || owner.phase === 'owning') wanted.delete(partition)
      else owner.claim().catch((error: unknown) => log.error({ err: error, partition }, 'a claim failed'))
    }
  }

  function takeLayout(found: PartitionLayout): void {
    log.info({ layout: found }, 'records are split otherwise from a minute on')
    const known = new Set(layout.flatMap(partitionsOf))
    layout = found
    want(found.flatMap(partitionsOf).filter(partition => !known.has(partition)))
    for (const owner of owners.values()) owner.noteSubjects()
  }

  async function lookForLayout(): Promise<void> {
    if (performance.now() - layoutAt < layoutMs) return
    layoutAt = performance.now()
    try {
      const found = await laterLayout(link, cluster, layout)
      if (found) takeLayout(found)
      layoutReason = undefined
    } catch (error) {
      const reason = String(error)
      if (reason !== layoutReason)
        log.warn({ reason }, 'the bus does not say how records are split; it stays')
      layoutReason = reason
    }
  }

  /** How many replicas come before this one at a partition. */
  function rankAt(partition: number): number {
    return (replica - (partition % replicas) + replicas) % replicas
  }

  async function takeOverSilent(): Promise<void> {
    for (const [partition, owner] of owners) {
      if (epochOf(layout, partition) === undefined) continue
      const silentMs = performance.now() - owner.heardAt
      if (owner.phase !== 'following' || silentMs < options.silentMs + rankAt(partition) * turnMs) continue
      if (!(await hasBatches(partition))) continue
      log.warn({ partition, silentMs: Math.round(silentMs) }, 'a partition fell silent; taking it over')
      await owner.claim()
    }
  }

  async function hasBatches(partition: number): Promise<boolean> {
    const filter = flowPartitionFilter(cluster, partition)
    const info = await link.jsm.streams.info(flowStream(cluster), { subjects_filter: filter })
    return Object.keys(info.state.subjects ?? {}).length > 0
  }

  /** Partitions of earlier epochs go when the stream has nothing of them any more, and come back if it does. */
  async function retireOld(): Promise<void> {
    const old = [...owners.keys()].filter(partition => !isLive(partition))
    if (old.length === 0) return
    const used = await partitionsWithBatches()
    for (const partition of old) {
      if (used.has(partition)) continue
      ownerOf(partition).retire()
      core.topology.forgetPartition(partition)
    }
  }

  function watch(): void {
    if (!loaded || isWatching || !link.state().connected || performance.now() - watchedAt < watchMs) return
    watchedAt = performance.now()
    claimWanted()
    isWatching = true
    lookForLayout()
      .then(lookForStrays)
      .then(takeOverSilent)
      .then(retireOld)
      .catch((error: unknown) =>
        log.warn({ reason: String(error) }, 'silent partitions could not be looked at'),
      )
      .finally(() => {
        isWatching = false
      })
  }

  want(layout.flatMap(partitionsOf))
  const reader = readStream({
    link,
    stream: rollupStream(cluster),
    filters: () => [rollupFilter(cluster)],
    start: { unixMs: Date.now() - options.retentionMs },
    onMessage: follow,
    onIdle: idle,
    onTrouble: reason => log.warn({ reason }, 'closed minutes cannot be read; trying on'),
    onReplaced: (known, first) => {
      log.warn({ known, first }, 'the stream of closed minutes was made anew')
      for (const owner of owners.values()) owner.noteReplaced()
    },
  })
  const booked = () => partitionsOf(epochAt(layout, nowMinute()))
  const numbers = (of: Iterable<number>, is: (owner: PartitionOwner) => boolean) =>
    [...of].filter(partition => is(ownerOf(partition)))

  return {
    get loaded() {
      return loaded
    },
    reasons() {
      if (!loaded) return ['closed minutes are being loaded']
      const behind = numbers(owners.keys(), ({ phase }) => phase === 'claiming' || phase === 'catching_up')
      return behind.length > 0 ? [`partitions ${behind.join(', ')} are catching up`] : []
    },
    tick() {
      for (const owner of owners.values()) owner.tick()
      if (loaded) core.tidy(Date.now())
      watch()
    },
    async close() {
      const giveUp = setTimeout(() => stopping.abort(), closeMs)
      await reader.stop()
      await Promise.all([...owners.values()].map(owner => owner.close()))
      clearTimeout(giveUp)
      stopping.abort()
    },
    count: () => booked().length,
    layout: () => layout,
    strays: () => strays,
    status: () =>
      [...owners.values()]
        .map(owner => owner.status())
        .filter(({ partition, phase }) => phase !== 'following' || epochOf(layout, partition) !== undefined)
        .sort((a, b) => a.partition - b.partition),
    openElsewhere: () => numbers(booked(), ({ phase }) => phase !== 'owning'),
    missing: () => numbers(booked(), owner => owner.phase !== 'owning' && owner.status().closedThrough < 0),
  }
}
