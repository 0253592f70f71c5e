import { type Epoch, epochAt, type PartitionLayout, partitionsOf } from '@skybraid/shared'

/** How this collector's records are split, minute by minute: it tells the capture in time, and says what is over. */
export interface PartitionSplit {
  /** Tells the capture what holds in this minute, its first one, and what is to come. */
  begin(minute: number): void
  /** Takes over a layout with later epochs than the known one. What is late holds from the next minute on. */
  take(layout: PartitionLayout, minute: number): void
  /** Partitions that are in use. */
  running(minute: number): number[]
  /** Partitions in which nothing follows, now that a minute is complete; each is told once. */
  over(completeMinute: number): number[]
}

export function createPartitionSplit(start: PartitionLayout, tell: (epoch: Epoch) => void): PartitionSplit {
  let layout = start
  let current = start[0]

  return {
    begin(minute) {
      current = { ...epochAt(layout, minute), fromMinute: 0 }
      layout = [current, ...layout.filter(({ fromMinute }) => fromMinute > minute)]
      for (const epoch of layout) tell(epoch)
    },
    take(found, minute) {
      const [first, ...others] = layout.filter(({ fromMinute }) => fromMinute <= minute)
      const known = others.at(-1) ?? first!
      const later = found.filter(({ epoch }) => epoch > known.epoch)
      const late = later.findLast(({ fromMinute }) => fromMinute <= minute + 1)
      const next = [
        ...(late ? [{ ...late, fromMinute: minute + 1 }] : []),
        ...later.filter(({ fromMinute }) => fromMinute > minute + 1),
      ]
      layout = [first!, ...others, ...next]
      for (const epoch of next) tell(epoch)
    },
    running(minute) {
      const now = epochAt(layout, minute)
      return (now.epoch === current.epoch ? [now] : [current, now]).flatMap(partitionsOf)
    },
    over(completeMinute) {
      const ended = current
      const next = epochAt(layout, completeMinute + 1)
      if (next.epoch === ended.epoch) return []
      current = next
      return partitionsOf(ended)
    },
  }
}
