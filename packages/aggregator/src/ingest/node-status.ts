import { L7Cause, type LossPlace, lossPlaces } from '@skybraid/shared'
import type { NodeStatus } from '../topology/answer.ts'
import { l7ProtocolName } from '../topology/said-rows.ts'
import type { BootCounters, BootLog } from './boot-log.ts'
import type { NodeLog } from './node-log.ts'

const silentAfterMs = 90_000

/** Names of the bits of FlowBatch.capabilities, lowest first. */
export const capabilityNames = [
  'tcp_lifecycle',
  'resets',
  'half_open',
  'socket_errors',
  'open_counters',
  'packet_hooks',
  'task_files',
] as const

const placeNames = new Map<number, LossPlace>(
  (Object.keys(lossPlaces) as LossPlace[]).map(name => [lossPlaces[name], name]),
)

/** What is known of one boot, added over partitions that were read apart. */
type BootFigures = Pick<
  BootLog,
  'bootId' | 'batches' | 'records' | 'duplicates' | 'capabilities' | 'counters'
> & {
  readonly missingRecords: number
  readonly publishedRecords: number
}

/**
 * A node's current boot as the aggregator sees it, from the logs of the partitions that are read here; undefined before
 * its first batch.
 */
export function nodeStatus(
  logs: readonly NodeLog[],
  nowMs: number,
  readsAll: boolean,
): NodeStatus | undefined {
  const boots = logs.flatMap(log => log.current ?? [])
  if (boots.length === 0) return undefined
  const newest = boots.reduce((a, b) => (b.firstSentMs > a.firstSentMs ? b : a))
  const boot = addedFigures(boots.filter(each => each.bootId === newest.bootId))
  const lastSeenMs = Math.max(...logs.map(log => log.lastSeenMs))
  const heardLast = logs.reduce((a, b) => (b.lastSeenMs > a.lastSeenMs ? b : a))
  return {
    node: logs[0]!.name,
    bootId: boot.bootId,
    lastSeen: new Date(lastSeenMs).toISOString(),
    clockOffsetMs: heardLast.clock.ms,
    reporting: nowMs - lastSeenMs <= silentAfterMs,
    uncleanRestart: logs.some(log => log.current?.bootId === boot.bootId && log.uncleanRestart),
    batches: boot.batches,
    records: boot.records,
    duplicates: boot.duplicates,
    identity: { ring: ringIdentity(boot), records: recordsIdentity(boot, readsAll) },
    capabilities: capabilitiesOf(boot.capabilities),
    applications: applicationsOf(boot),
  }
}

/** Each partition's batches carry the counters of all; the largest are the newest. */
function addedFigures(boots: readonly BootLog[]): BootFigures {
  if (boots.length === 1) return boots[0]!
  const sum = (of: (boot: BootLog) => number) => boots.reduce((total, boot) => total + of(boot), 0)
  const most = (of: (counters: BootCounters) => number) => Math.max(...boots.map(boot => of(boot.counters)))
  const lost = new Map<number, number>()
  for (const { counters } of boots)
    for (const [place, records] of counters.lost) lost.set(place, Math.max(lost.get(place) ?? 0, records))
  return {
    bootId: boots[0]!.bootId,
    batches: sum(boot => boot.batches),
    records: sum(boot => boot.records),
    duplicates: sum(boot => boot.duplicates),
    missingRecords: sum(boot => boot.missingRecords),
    publishedRecords: sum(boot => boot.publishedRecords),
    capabilities: boots[0]!.capabilities,
    counters: {
      encoded: most(c => c.encoded),
      merged: most(c => c.merged),
      sampledOut: most(c => c.sampledOut),
      ringProduced: most(c => c.ringProduced),
      ringConsumed: most(c => c.ringConsumed),
      lost,
      unread: largestOf(boots.map(({ counters }) => counters.unread)),
      verdicts: largestOf(boots.map(({ counters }) => counters.verdicts)),
    },
  }
}

function largestOf(all: readonly ReadonlyMap<number, number>[]): Map<number, number> {
  const largest = new Map<number, number>()
  for (const counts of all)
    for (const [kind, count] of counts) largest.set(kind, Math.max(largest.get(kind) ?? 0, count))
  return largest
}

/** produced = consumed + full + what was still in the ring when the batch was sealed. */
function ringIdentity(boot: BootFigures): NodeStatus['identity']['ring'] {
  const { ringProduced: produced, ringConsumed: consumed, lost } = boot.counters
  const full = lost.get(lossPlaces.ring_full) ?? 0
  return { produced, consumed, full, holds: produced >= consumed + full }
}

/**
 * encoded = received + merged + sampledOut + inFlight + lost in the spool + lost on the way. The collector's figures
 * are those of its newest batch, so inFlight is what it had sealed later or not at all by then. Other places lose
 * what never became a record; they are listed and are not part of the sum. Its
 * figures are those of all partitions: where some are read elsewhere, only what came here can be checked.
 */
function recordsIdentity(boot: BootFigures, readsAll: boolean): NodeStatus['identity']['records'] {
  const { encoded, merged, sampledOut, lost } = boot.counters
  const gap = boot.missingRecords
  const spool = lost.get(lossPlaces.spool_full) ?? 0
  const inFlight = encoded - boot.records - gap - merged - sampledOut - spool
  return {
    encoded,
    received: boot.records,
    merged,
    sampledOut,
    ...(readsAll && { inFlight }),
    lost: { ...lostAtCollector(boot), ...(gap > 0 && { sequence_gap: gap }) },
    holds: (!readsAll || inFlight >= 0) && boot.records + gap === boot.publishedRecords,
  }
}

const causeNames = new Map<number, string>(Object.entries(L7Cause).map(([name, cause]) => [cause, name]))

/** What a collector says of application protocols. */
function applicationsOf({ counters: { verdicts, unread } }: BootFigures): NodeStatus['applications'] {
  const named = (counts: ReadonlyMap<number, number>, nameOf: (kind: number) => string) =>
    Object.fromEntries([...counts].sort(([a], [b]) => a - b).map(([kind, count]) => [nameOf(kind), count]))
  return {
    connections: named(verdicts, l7ProtocolName),
    unread: named(unread, cause => causeNames.get(cause) ?? `cause${cause}`),
  }
}

/** What a collector says it lost, by place. */
export function lostAtCollector({ counters }: Pick<BootLog, 'counters'>): Record<string, number> {
  const lost: Record<string, number> = {}
  for (const [place, records] of counters.lost) {
    const name = placeNames.get(place)
    if (name !== undefined && records > 0) lost[name] = records
  }
  return lost
}

function capabilitiesOf(bits: number): string[] {
  return capabilityNames.filter((_, bit) => Math.floor(bits / 2 ** bit) % 2 === 1)
}
