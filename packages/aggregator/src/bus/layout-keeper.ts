import type { KV } from '@nats-io/kv'
import { firstLayout, type PartitionLayout, parseLayout, withEpoch } from '@skybraid/shared'
import {
  layoutBucket,
  layoutKey,
  type NatsLink,
  readLayout,
  type StreamSettings,
} from '@skybraid/shared/nats'
import type { FastifyBaseLogger } from 'fastify'
import { openBucket } from './open-bucket.ts'
import { isSilence } from './until-answered.ts'

export interface LayoutSettings extends Pick<StreamSettings, 'streamReplicas' | 'streamStorage'> {
  readonly cluster: string
  readonly partitions: number
  readonly partitionsEpoch: number
}

/** Nobody may have booked anything of the minute yet, whatever its clock says, and everybody has to hear of it. */
const leadMinutes = 3
const minuteMs = 60_000

/**
 * The layout of partitions on the bus, with what is configured here if that is a later epoch than any there: written
 * only over the very one that was read, so that of several replicas one adds it.
 */
export async function settleLayout(
  link: NatsLink,
  settings: LayoutSettings,
  nowMs: number,
  log: FastifyBaseLogger,
): Promise<PartitionLayout> {
  const { partitions, partitionsEpoch: epoch } = settings
  const configured = firstLayout(partitions, epoch)
  let kv: KV
  try {
    kv = await openBucket(link, layoutBucket(settings.cluster), settings)
  } catch (error) {
    // there may be a later one than that configured
    if (isSilence(error)) throw error
    log.warn(
      { reason: String(error) },
      'the layout of partitions cannot be kept on the bus; it is the configured one',
    )
    return configured
  }
  for (let attempt = 0; ; attempt++) {
    const there = await kv.get(layoutKey)
    const found = there === null ? undefined : parseLayout(there.string())
    if (found && found.at(-1)!.epoch >= epoch) return asFound(found, settings, log)
    const fromMinute = Math.floor(nowMs / minuteMs) + leadMinutes
    const next = found ? withEpoch(found, epoch, partitions, laterThan(found, fromMinute)) : configured
    try {
      await kv.put(layoutKey, JSON.stringify(next), { previousSeq: there?.revision ?? 0 })
      log.info({ layout: next }, 'the layout of partitions is written to the bus')
      return next
    } catch (error) {
      // another replica did the same
      if (attempt === 5) throw error
    }
  }
}

function laterThan(layout: PartitionLayout, minute: number): number {
  return Math.max(minute, layout.at(-1)!.fromMinute + 1)
}

function asFound(layout: PartitionLayout, settings: LayoutSettings, log: FastifyBaseLogger): PartitionLayout {
  const { epoch, partitions } = layout.at(-1)!
  if (epoch === settings.partitionsEpoch && partitions !== settings.partitions)
    log.warn(
      { epoch, partitions, configured: settings.partitions },
      'this epoch has another number of partitions on the bus; it stays: a change needs a higher --partitions-epoch',
    )
  return layout
}

/** What is there now, for who knows an earlier one. */
export async function laterLayout(
  link: NatsLink,
  cluster: string,
  known: PartitionLayout,
): Promise<PartitionLayout | undefined> {
  const found = await readLayout(link, cluster)
  return found && found.at(-1)!.epoch > known.at(-1)!.epoch ? found : undefined
}
