import { openBucket } from '../../packages/aggregator/src/bus/open-bucket.ts'
import { exportBucket, type NatsLink } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { streamSettings } from './stream-settings.ts'

/** What an aggregator noted before it sent something of a partition. */
export interface NotedTake {
  /** Positions in the stream of batches: of the take, and of the mark that it used. */
  readonly takenAt: number
  readonly markedAt: number
  /** The partition's clock at the take. */
  readonly clockMs: number
  /** It was noted what became of it. */
  isSettled: boolean
}

export interface NotedTakes {
  /** Takes of every partition so far, in order. */
  read(): Promise<Map<number, readonly NotedTake[]>>
  stop(): void
}

interface Stored extends Omit<NotedTake, 'isSettled'> {
  readonly taken: number
  readonly settled: number
}

/** Reads along everything that aggregators note. Makes the bucket, so it comes before any of them. */
export async function watchTakes(link: NatsLink, cluster: string): Promise<NotedTakes> {
  const name = exportBucket(cluster)
  const kv = await openBucket(link, name, streamSettings())
  // more notes than the last one are kept, so that none is gone before it is read
  await link.jsm.streams.update(`KV_${name}`, { max_msgs_per_subject: 64 })
  const takes = new Map<number, NotedTake[]>()
  /** Where the takes of whoever owns a partition now begin. */
  const firsts = new Map<number, number>()
  const watch = await kv.watch()
  let revision = 0

  function add(partition: number, { taken, settled, ...place }: Stored): void {
    const all = takes.get(partition) ?? []
    takes.set(partition, all)
    if (taken === 0) firsts.set(partition, all.length)
    const first = firsts.get(partition)!
    if (first + taken > all.length + 1) throw new Error(`a note of partition ${partition} was not seen`)
    // one of which it was not heard in time whether it was written is taken again, with what came since
    if (taken > 0) all[first + taken - 1] = { ...place, isSettled: false }
    for (let i = first; i < first + settled; i++) all[i]!.isSettled = true
  }

  const reading = (async () => {
    for await (const entry of watch) {
      add(Number(entry.key.replace('partition.', '')), entry.json<Stored>())
      revision = entry.revision
    }
  })()
  reading.catch(() => undefined) // told by read
  return {
    async read() {
      const { streamInfo } = await kv.status()
      await until('all notes are read', () => revision >= streamInfo.state.last_seq, { timeoutMs: 30_000 })
      return takes
    },
    stop: () => watch.stop(),
  }
}

/** Takes of which nobody noted what became of them. */
export function unsettledIn(takes: ReadonlyMap<number, readonly NotedTake[]>): number {
  return [...takes.values()].flat().filter(({ isSettled }) => !isSettled).length
}
