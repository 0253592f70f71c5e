import { type LossPlace, lossPlaces } from '@skybraid/shared'
import type { NodeStatus } from '../topology/answer.ts'
import type { BootLog } from './boot-log.ts'
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

/** A node's current boot as the aggregator sees it; undefined before its first batch. */
export function nodeStatus(node: NodeLog, nowMs: number): NodeStatus | undefined {
  const boot = node.current
  if (boot === undefined) return undefined
  return {
    node: node.name,
    bootId: boot.bootId,
    lastSeen: new Date(node.lastSeenMs).toISOString(),
    clockOffsetMs: node.clock.ms,
    reporting: nowMs - node.lastSeenMs <= silentAfterMs,
    uncleanRestart: node.uncleanRestart,
    batches: boot.batches,
    records: boot.records,
    duplicates: boot.duplicates,
    identity: { ring: ringIdentity(boot), records: recordsIdentity(boot) },
    capabilities: capabilitiesOf(boot.capabilities),
  }
}

/** produced = consumed + full + what was still in the ring when the batch was sealed. */
function ringIdentity(boot: BootLog): NodeStatus['identity']['ring'] {
  const { ringProduced: produced, ringConsumed: consumed, lost } = boot.counters
  const full = lost.get(lossPlaces.ring_full) ?? 0
  return { produced, consumed, full, holds: produced >= consumed + full }
}

/**
 * encoded = received + merged + sampledOut + inFlight + lost in the spool + lost on the way. The collector's figures
 * are those of its newest batch, so inFlight is what it had sealed later or not at all by then. Other places lose
 * what never became a record; they are listed and are not part of the sum.
 */
function recordsIdentity(boot: BootLog): NodeStatus['identity']['records'] {
  const { encoded, merged, sampledOut, lost } = boot.counters
  const gap = boot.missingRecords
  const spool = lost.get(lossPlaces.spool_full) ?? 0
  const inFlight = encoded - boot.records - gap - merged - sampledOut - spool
  return {
    encoded,
    received: boot.records,
    merged,
    sampledOut,
    inFlight,
    lost: lostByPlace(boot, gap),
    holds: inFlight >= 0 && boot.records + gap === boot.publishedRecords,
  }
}

function lostByPlace(boot: BootLog, gap: number): Record<string, number> {
  const lost: Record<string, number> = {}
  for (const [place, records] of boot.counters.lost) {
    const name = placeNames.get(place)
    if (name !== undefined && records > 0) lost[name] = records
  }
  if (gap > 0) lost.sequence_gap = gap
  return lost
}

function capabilitiesOf(bits: number): string[] {
  return capabilityNames.filter((_, bit) => Math.floor(bits / 2 ** bit) % 2 === 1)
}
