import { type Epoch, epochOf, type PartitionLayout, sharingKeys, untilMinute } from '@skybraid/shared'
import { keepPartition } from '../join/partition-hash.ts'
import type { EpochPart } from './partition-core.ts'

/** What a partition is in its epoch, as long as that is the layout. */
export function epochPart(partition: number, layout: () => PartitionLayout): EpochPart | undefined {
  const own = epochOf(layout(), partition)
  if (own === undefined) return undefined
  return {
    range: () => ({ fromMinute: own.fromMinute, untilMinute: untilMinute(layout(), own) }),
    keepOurs: columns => keepPartition(columns, own.partitions, partition - own.first),
    sharesKeys: () => layout().length > 1,
    followsCollectors: partition === own.first,
  }
}

/** Every partition whose batches may hold records of this one's keys, itself among them. */
export function partitionsToRead(partition: number, layout: PartitionLayout): number[] {
  const own = epochOf(layout, partition)
  if (own === undefined) return [partition]
  return layout.flatMap((other: Epoch) => sharingKeys(partition, own, other))
}
