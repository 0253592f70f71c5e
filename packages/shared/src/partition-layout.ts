/**
 * Into how many partitions records are split, and since when. An epoch's partitions have numbers of their own, so a batch
 * says by its partition alone which epoch split it.
 */
export interface Epoch {
  readonly epoch: number
  readonly partitions: number
  /** Number of its first partition; the others follow. */
  readonly first: number
  /** Unix minute from which on records are split so. */
  readonly fromMinute: number
}

/** Oldest first; each begins later than the one before. */
export type PartitionLayout = readonly [Epoch, ...Epoch[]]

export const mostPartitions = 64
const partitionNumbers = 65_536
/** The oldest one stays, because a collector that was told nothing splits so. */
const mostEpochs = 8

/** What holds until somebody changes it. */
export function firstLayout(partitions: number, epoch = 1): PartitionLayout {
  return [{ epoch, partitions, first: 0, fromMinute: 0 }]
}

/** The layout with a further epoch. */
export function withEpoch(
  layout: PartitionLayout,
  epoch: number,
  partitions: number,
  fromMinute: number,
): PartitionLayout {
  const last = layout.at(-1)!
  const behind = last.first + last.partitions
  // numbers that were used long ago come round again, but for those of the oldest epoch
  const first = behind + partitions <= partitionNumbers ? behind : layout[0].first + layout[0].partitions
  const [oldest, ...rest] = layout
  return [oldest, ...rest.slice(2 - mostEpochs), { epoch, partitions, first, fromMinute }]
}

export function epochAt(layout: PartitionLayout, minute: number): Epoch {
  return layout.findLast(({ fromMinute }) => fromMinute <= minute) ?? layout[0]
}

/** The newest epoch that a partition belongs to; undefined for one of none. */
export function epochOf(layout: PartitionLayout, partition: number): Epoch | undefined {
  return layout.findLast(({ first, partitions }) => partition >= first && partition < first + partitions)
}

/** The first minute that is not an epoch's any more. */
export function untilMinute(layout: PartitionLayout, { fromMinute }: Epoch): number {
  return layout.find(each => each.fromMinute > fromMinute)?.fromMinute ?? Number.POSITIVE_INFINITY
}

export function partitionsOf({ first, partitions }: Epoch): number[] {
  return Array.from({ length: partitions }, (_, p) => first + p)
}

/** Partitions of an epoch that may hold records whose keys belong to a partition of another. */
export function sharingKeys(partition: number, of: Epoch, other: Epoch): number[] {
  const common = greatestCommonDivisor(of.partitions, other.partitions)
  return partitionsOf(other).filter(p => (p - other.first - (partition - of.first)) % common === 0)
}

/** What a collector or an aggregator reads on the bus; undefined if it is not a layout. */
export function parseLayout(text: string): PartitionLayout | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(value) || value.length === 0 || value.length > mostEpochs) return undefined
  const epochs = value.map(epochFrom)
  const isOrdered = epochs.every((each, i) => each && (i === 0 || follows(epochs[i - 1], each)))
  return isOrdered ? (epochs as unknown as PartitionLayout) : undefined
}

function epochFrom(value: unknown): Epoch | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { epoch, partitions, first, fromMinute } = value as Record<string, unknown>
  for (const each of [epoch, partitions, first, fromMinute])
    if (!Number.isSafeInteger(each) || (each as number) < 0) return undefined
  const found = { epoch, partitions, first, fromMinute } as Epoch
  const isPossible =
    found.partitions >= 1 &&
    found.partitions <= mostPartitions &&
    found.first + found.partitions <= partitionNumbers
  return isPossible ? found : undefined
}

function follows(before: Epoch | undefined, { epoch, fromMinute }: Epoch): boolean {
  return before !== undefined && epoch > before.epoch && fromMinute > before.fromMinute
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
