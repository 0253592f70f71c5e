import { JetStreamApiError } from '@nats-io/jetstream'
import type { KV } from '@nats-io/kv'
import { exportBucket, type NatsLink, type StreamSettings } from '@skybraid/shared/nats'
import { openBucket } from './open-bucket.ts'

/** How far a partition was exported; kept on the bus, so that nobody exports it twice. */
export interface ExportNote {
  /** Position in the stream of batches up to which everything was taken. */
  readonly takenAt: number
  /** Position at the mark that this take used, see `DeltaBook`. */
  readonly markedAt: number
  /** The partition's clock at the take: minutes may have closed since the message before it. */
  readonly clockMs: number
  /** What OpenTelemetry was told too much by then, which nobody makes up for once this process is gone. */
  readonly owedRequests: number
  readonly owedConnections: number
}

/** A partition as its former owner left it. */
export interface FormerNote {
  readonly note: ExportNote | undefined
  /** Takes of which nobody knows whether they arrived, and the requests that OpenTelemetry was told in them. */
  readonly unsettled: number
  readonly unsettledRequests: number
}

export interface ExportNotes {
  /**
   * Takes a partition over from whoever exported it before: their notes are refused from here on. Undefined if the bus
   * does not answer in time.
   */
  begin(partition: number): Promise<FormerNote | undefined>
  /**
   * Writes a take of so many requests down; it is settled once it is known what became of it. 'lost': somebody else
   * exports the partition now. 'unsure': not heard of in time.
   */
  note(partition: number, note: ExportNote, requests: number): Promise<NotedTake | 'lost' | 'unsure'>
  /** Waits until what was settled is written. */
  flush(): Promise<void>
  /** What went wrong last. */
  lastError(): string | undefined
}

export interface NotedTake {
  settled(): void
}

interface Stored extends ExportNote {
  readonly owner: string
  readonly taken: number
  readonly settled: number
  readonly takenRequests: number
  readonly settledRequests: number
}

interface Own {
  revision: number
  stored: Stored
  /** Sent without hearing whether it was written. */
  unsure: string[]
  isLost: boolean
  /** Writes happen one after the other. */
  writing: Promise<unknown>
}

const tryMs = 5_000
const wrongLastSequence = 10071

export function createExportNotes(
  link: NatsLink,
  cluster: string,
  settings: Pick<StreamSettings, 'streamReplicas' | 'streamStorage'>,
  owner: string,
): ExportNotes {
  const known = new Map<number, Own>()
  /** What somebody else noted last, until it is heard that a partition was taken over. */
  const formers = new Map<number, Stored>()
  let bucket: Promise<KV> | undefined
  let lastError: string | undefined

  function opened(): Promise<KV> {
    bucket ??= openBucket(link, exportBucket(cluster), settings)
    return bucket
  }

  /** Tries until it works or the time is over. */
  async function trying<T>(work: (kv: KV) => Promise<T>): Promise<T | undefined> {
    for (const endAt = performance.now() + tryMs; performance.now() < endAt; ) {
      try {
        return await work(await opened())
      } catch (error) {
        lastError = error instanceof Error ? error.message : String(error)
        // the bucket itself may be gone, with the server that kept it
        bucket = undefined
        await new Promise(go => setTimeout(go, 250))
      }
    }
    return undefined
  }

  /** Writes if nobody else did since; what was written unheard is recognized. */
  async function write(kv: KV, partition: number, own: Own, stored: Stored): Promise<'noted' | 'lost'> {
    const text = JSON.stringify(stored)
    try {
      own.revision = await kv.put(keyOf(partition), text, { previousSeq: own.revision })
    } catch (error) {
      own.unsure.push(text)
      if (!(error instanceof JetStreamApiError) || error.code !== wrongLastSequence) throw error
      const there = await kv.get(keyOf(partition))
      // the bucket was made anew, and nobody has noted anything of this partition in it
      if (there === null && own.revision > 0) {
        own.revision = 0
        return write(kv, partition, own, stored)
      }
      if (there === null || !own.unsure.includes(there.string())) return 'lost'
      own.revision = there.revision
      if (there.string() !== text) return write(kv, partition, own, stored)
    }
    own.stored = stored
    own.unsure = []
    return 'noted'
  }

  function inTurn<T>(own: Own, work: () => Promise<T>): Promise<T> {
    const done = own.writing.then(work)
    own.writing = done.catch(() => undefined)
    return done
  }

  /** What became of a take of so many requests is known. */
  function settle(partition: number, own: Own, requests: number): void {
    // of takes from before somebody else had the partition nobody keeps count any more
    if (own.isLost || known.get(partition) !== own) return
    void inTurn(own, async () => {
      const { taken, settled, takenRequests, settledRequests } = own.stored
      const stored = {
        ...own.stored,
        settled: Math.min(taken, settled + 1),
        settledRequests: Math.min(takenRequests, settledRequests + requests),
      }
      // the next write tells it too
      own.stored = stored
      own.isLost ||= (await trying(kv => write(kv, partition, own, stored))) === 'lost'
    })
  }

  return {
    async begin(partition) {
      const before = known.get(partition)
      await before?.writing
      return trying(async kv => {
        const there = await kv.get(keyOf(partition))
        const last = there === null ? undefined : storedOf(there.string())
        if (last && last.owner !== owner) formers.set(partition, last)
        const own = last && last.owner === owner && before ? before : unwritten(last, owner)
        Object.assign(own, { revision: there?.revision ?? 0, unsure: [], isLost: false })
        if ((await write(kv, partition, own, own.stored)) === 'lost')
          throw new Error('somebody else noted something at the same moment')
        known.set(partition, own)
        // of its own takes this process knows itself what became of them
        const former = formers.get(partition) ?? noneTaken
        formers.delete(partition)
        return {
          note: last && noteOf(last),
          unsettled: Math.max(0, former.taken - former.settled),
          unsettledRequests: Math.max(0, former.takenRequests - former.settledRequests),
        }
      })
    },
    async note(partition, note, requests) {
      const own = known.get(partition)
      if (own === undefined || own.isLost) return 'lost'
      return inTurn(own, async () => {
        const outcome = await trying(kv =>
          write(kv, partition, own, {
            ...own.stored,
            ...note,
            taken: own.stored.taken + 1,
            takenRequests: own.stored.takenRequests + requests,
          }),
        )
        own.isLost ||= outcome === 'lost'
        return outcome === 'noted'
          ? { settled: () => settle(partition, own, requests) }
          : (outcome ?? 'unsure')
      })
    },
    async flush() {
      await Promise.all([...known.values()].map(own => own.writing))
    },
    lastError: () => lastError,
  }
}

const nothingNoted: ExportNote = { takenAt: 0, markedAt: 0, clockMs: 0, owedRequests: 0, owedConnections: 0 }
const noneTaken = { taken: 0, settled: 0, takenRequests: 0, settledRequests: 0 }

function noteOf({ takenAt, markedAt, clockMs, owedRequests, owedConnections }: Stored): ExportNote {
  return { takenAt, markedAt, clockMs, owedRequests, owedConnections }
}

/** To go on from what somebody noted last. */
function unwritten(last: Stored | undefined, owner: string): Own {
  return {
    revision: 0,
    stored: { ...(last ? noteOf(last) : nothingNoted), owner, ...noneTaken },
    unsure: [],
    isLost: false,
    writing: Promise.resolve(),
  }
}

function keyOf(partition: number): string {
  return `partition.${partition}`
}

/** Undefined for what is none of ours. */
function storedOf(text: string): Stored | undefined {
  try {
    const { owner, ...told } = JSON.parse(text) as Stored
    const { takenAt, markedAt, clockMs, taken, settled, ...later } = told
    const required = { takenAt, markedAt, clockMs, taken, settled }
    const stored = { ...nothingNoted, ...noneTaken, ...required, ...later }
    const isSane = Object.values(stored).every(n => Number.isSafeInteger(n) && n >= 0)
    return isSane && typeof owner === 'string' ? { ...stored, owner } : undefined
  } catch {
    return undefined
  }
}
