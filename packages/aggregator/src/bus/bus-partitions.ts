import {
  flowPartitionFilter,
  flowStream,
  type NatsLink,
  rollupFilter,
  rollupStream,
  rollupSubject,
} from '@skybraid/shared/nats'
import type { FastifyBaseLogger } from 'fastify'
import type { PartitionedCore } from '../core.ts'
import type { PartitionBusStatus } from './bus-status.ts'
import type { PartitionExports } from './partition-exports.ts'
import { createPartitionOwner } from './partition-owner.ts'
import { readStream, type StreamMessage } from './stream-reader.ts'

export interface BusPartitionsOptions {
  readonly link: NatsLink
  readonly cluster: string
  readonly partitions: number
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
const closeMs = 3_000

export function followPartitions(options: BusPartitionsOptions): BusPartitions {
  const { link, cluster, partitions, replica, replicas, core, log } = options
  const stopping = new AbortController()
  const owners = Array.from({ length: partitions }, (_, partition) =>
    createPartitionOwner({ ...options, partition, stop: stopping.signal }),
  )
  const bySubject = new Map(owners.map((owner, p) => [rollupSubject(cluster, p), owner]))
  /** Partitions that this replica claims at its start, until it has had them once. */
  const wanted = new Set([...owners.keys()].filter(partition => partition % replicas === replica))
  let loaded = false
  let unknownSubjects = 0
  let watchedAt = performance.now()
  let isWatching = false

  function follow(message: StreamMessage): void {
    const owner = bySubject.get(message.subject)
    if (owner) owner.follow(message)
    else unknownSubjects++
    if (!loaded) core.tidy(message.unixMs)
  }

  function idle(): void {
    if (loaded) return
    loaded = true
    log.info({ segments: core.topology.stats().closedSegments, unknownSubjects }, 'closed minutes are loaded')
    claimWanted()
  }

  /** Again where somebody else appended at the same moment. */
  function claimWanted(): void {
    for (const partition of wanted) {
      const owner = owners[partition]!
      if (owner.phase === 'catching_up' || owner.phase === 'owning') wanted.delete(partition)
      else owner.claim().catch((error: unknown) => log.error({ err: error, partition }, 'a claim failed'))
    }
  }

  /** How many replicas come before this one at a partition. */
  function rankAt(partition: number): number {
    return (replica - (partition % replicas) + replicas) % replicas
  }

  async function takeOverSilent(): Promise<void> {
    for (const [partition, owner] of owners.entries()) {
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

  function watch(): void {
    if (!loaded || isWatching || !link.state().connected || performance.now() - watchedAt < watchMs) return
    watchedAt = performance.now()
    claimWanted()
    isWatching = true
    takeOverSilent()
      .catch((error: unknown) =>
        log.warn({ reason: String(error) }, 'silent partitions could not be looked at'),
      )
      .finally(() => {
        isWatching = false
      })
  }

  const reader = readStream({
    link,
    stream: rollupStream(cluster),
    filter: rollupFilter(cluster),
    start: { unixMs: Date.now() - options.retentionMs },
    onMessage: follow,
    onIdle: idle,
    onTrouble: reason => log.warn({ reason }, 'closed minutes cannot be read; trying on'),
    onReplaced: (known, first) => log.warn({ known, first }, 'the stream of closed minutes was made anew'),
  })
  const numbers = (is: (owner: (typeof owners)[number]) => boolean) =>
    owners.flatMap((owner, partition) => (is(owner) ? [partition] : []))

  return {
    get loaded() {
      return loaded
    },
    reasons() {
      if (!loaded) return ['closed minutes are being loaded']
      const behind = numbers(({ phase }) => phase === 'claiming' || phase === 'catching_up')
      return behind.length > 0 ? [`partitions ${behind.join(', ')} are catching up`] : []
    },
    tick() {
      for (const owner of owners) owner.tick()
      if (loaded) core.tidy(Date.now())
      watch()
    },
    async close() {
      const giveUp = setTimeout(() => stopping.abort(), closeMs)
      await reader.stop()
      await Promise.all(owners.map(owner => owner.close()))
      clearTimeout(giveUp)
      stopping.abort()
    },
    status: () => owners.map(owner => owner.status()),
    openElsewhere: () => numbers(({ phase }) => phase !== 'owning'),
    missing: () =>
      owners.flatMap((owner, p) => (owner.phase !== 'owning' && owner.status().closedThrough < 0 ? [p] : [])),
  }
}
