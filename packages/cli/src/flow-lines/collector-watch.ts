import type { BatchHeader } from '@skybraid/shared'
import { lossName } from './loss-name.ts'
import {
  createSequenceWatch,
  noteSequence,
  type SequenceWatch,
  skipSequence,
  type UnreadBatch,
} from './sequence-watch.ts'
import { eventWhere, type TapEvent } from './tap-event.ts'

/** Follows all collectors whose batches come by, and tells what is missing or was lost. */
export interface CollectorWatch {
  /** Books a batch. One that is not new was seen before and must not be shown again. */
  note(header: BatchHeader): { readonly isNew: boolean; readonly events: readonly TapEvent[] }
  /** Books a batch that was let go unread. */
  skip(batch: UnreadBatch): void
}

interface Boot {
  readonly id: string
  /** Nothing of it was missed before the first batch that was seen. */
  readonly fromStart: boolean
  readonly partitions: Map<number, SequenceWatch>
  /** Partitions that said they end. */
  readonly stopped: Set<number>
  /** What the collector says it lost, by place. */
  readonly losses: Map<number, number>
}

/** Runs of one node that are kept apart; two collectors under one name would otherwise restart each other for ever. */
const mostBootsPerNode = 4

/** Follows at most `limit` pairs of boot and partition; over it the node that was heard of first is forgotten. */
export function createCollectorWatch(limit = 65_536): CollectorWatch {
  const nodes = new Map<string, Boot[]>()
  let followed = 0
  let saidTooMany = false

  function forgetOldest(header: BatchHeader): TapEvent[] {
    if (followed <= limit) return []
    for (const [node, boots] of nodes) {
      if (node === header.node) continue
      nodes.delete(node)
      for (const boot of boots) followed -= boot.partitions.size
      if (followed <= limit) break
    }
    if (saidTooMany) return []
    saidTooMany = true
    return [{ unixMs: header.sentUnixMs, node: '', bootId: '', kind: 'unfollowed', limit }]
  }

  function bootOf(header: BatchHeader, events: TapEvent[]): Boot {
    const boots = nodes.get(header.node) ?? []
    const known = boots.find(({ id }) => id === header.bootId)
    if (known !== undefined) return known
    const previous = boots.at(-1)
    if (previous !== undefined) events.push(restart(header, previous))
    const boot: Boot = {
      id: header.bootId,
      fromStart: previous !== undefined,
      partitions: new Map(),
      stopped: new Set(),
      losses: new Map(),
    }
    boots.push(boot)
    if (boots.length > mostBootsPerNode) followed -= boots.shift()!.partitions.size
    nodes.set(header.node, boots)
    return boot
  }

  return {
    note(header) {
      const events: TapEvent[] = []
      const boot = bootOf(header, events)
      const isFirst = boot.partitions.size === 0
      let watch = boot.partitions.get(header.partition)
      if (watch === undefined) {
        watch = createSequenceWatch(header, boot.fromStart)
        boot.partitions.set(header.partition, watch)
        followed += 1
        events.push(...forgetOldest(header))
      }
      const { isNew, event } = noteSequence(watch, header)
      if (!isNew) return { isNew, events }
      if (event !== undefined) events.push(event)
      events.push(...newLosses(boot, header, isFirst && !boot.fromStart))
      if (header.cleanStop) {
        boot.stopped.add(header.partition)
        if (boot.stopped.size === 1) events.push({ ...eventWhere(header), kind: 'stopped' })
      }
      return { isNew, events }
    },
    skip(batch) {
      const boot = nodes.get(batch.node)?.find(({ id }) => id === batch.bootId)
      const watch = boot?.partitions.get(batch.partition)
      if (watch !== undefined) skipSequence(watch, batch)
    },
  }
}

function restart(header: BatchHeader, previous: Boot): TapEvent {
  const afterCleanStop = previous.stopped.size === previous.partitions.size
  return { ...eventWhere(header), kind: 'restarted', previousBoot: previous.id, afterCleanStop }
}

/** Batches of several partitions overtake each other, so only growth counts. */
function newLosses(boot: Boot, header: BatchHeader, before: boolean): TapEvent[] {
  const events: TapEvent[] = []
  for (const { place, records: total } of header.losses) {
    const seen = boot.losses.get(place) ?? 0
    if (total <= seen) continue
    boot.losses.set(place, total)
    events.push({
      ...eventWhere(header),
      kind: 'lost',
      place: lossName(place),
      records: total - seen,
      total,
      before,
    })
  }
  return events
}
