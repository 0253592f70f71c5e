import {
  type BusMessage,
  encodeHeader,
  type L7Count,
  type L7Verdict,
  type LossCount,
  lossPlaces,
  schemaVersion,
} from '@skybraid/shared'
import type { SpoolEntry } from '../spool/spool.ts'

/** What never changes while a collector runs. */
export interface Identity {
  readonly cluster: string
  readonly node: string
  /** 16 hexadecimal digits. */
  readonly bootId: string
  readonly flushIntervalMs: number
  readonly capabilities: number
  /** Exponent of the rate at which new connections are recorded. */
  readonly sampling?: number
}

/** Cumulative counters of this boot that every batch carries, as of the moment it is sealed. */
export interface SealCounters {
  readonly recordsEncoded: number
  readonly recordsMerged: number
  readonly recordsSampledOut: number
  readonly ringProduced: number
  readonly ringConsumed: number
  readonly l7Counts?: L7Count[]
  readonly l7Verdicts?: L7Verdict[]
  readonly lost: Readonly<Record<'ring_full' | 'storage_refused' | 'flow_table_full' | 'spool_full', number>>
}

export interface SealedBatch {
  /** Order of sealing over all partitions. */
  readonly order: number
  readonly recordCount: number
  readonly message: BusMessage
  /** Of a former boot of this node: its records are not this boot's. */
  readonly isFormer?: boolean
}

export interface Sealer {
  /**
   * Turns an entry into a message: gives it the next sequence number of its partition, states how many records came
   * before it, and puts the header in front of the body. The bytes never change afterwards.
   */
  seal(entry: SpoolEntry): SealedBatch
  /** The batch that was sealed last never left: its number is free again. */
  takeBack(batch: SealedBatch): void
}

export function createSealer(identity: Identity, counters: () => SealCounters, nowMs: () => number): Sealer {
  const partitions = new Map<number, { sequence: number; records: number }>()
  const nodeToken = identity.node.replaceAll('.', '_')
  let order = 0
  function seal(entry: SpoolEntry): SealedBatch {
    const partition = partitions.get(entry.partition) ?? { sequence: 0, records: 0 }
    partitions.set(entry.partition, partition)
    const { lost, ...counts } = counters()
    const header = encodeHeader({
      ...identity,
      ...counts,
      schemaVersion,
      partition: entry.partition,
      sequence: ++partition.sequence,
      firstRecord: partition.records,
      recordCount: entry.recordCount,
      baseUnixMs: entry.baseUnixMs,
      minuteComplete: entry.minuteComplete,
      cleanStop: entry.cleanStop ?? false,
      losses: lossCounts(lost),
      sentUnixMs: nowMs(),
    })
    partition.records += entry.recordCount
    const data = new Uint8Array(header.length + entry.body.length)
    data.set(header)
    data.set(entry.body, header.length)
    const { node, bootId } = identity
    const { recordCount } = entry
    const head = { node, bootId, sequence: partition.sequence, recordCount }
    const message = { node: nodeToken, partition: entry.partition, data, head }
    return { order: order++, recordCount, message }
  }
  return {
    seal,
    takeBack({ recordCount, message }) {
      const partition = partitions.get(message.partition)
      if (partition === undefined || partition.sequence !== message.head?.sequence) return
      partition.sequence--
      partition.records -= recordCount
      order--
    },
  }
}

function lossCounts(lost: SealCounters['lost']): LossCount[] {
  const counts: LossCount[] = []
  for (const [place, records] of Object.entries(lost)) {
    if (records > 0) counts.push({ place: lossPlaces[place as keyof typeof lost], records })
  }
  return counts
}
