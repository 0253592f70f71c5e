import type { FastifyBaseLogger } from 'fastify'
import type { MinuteTake } from './oap/interval/export-book.ts'

/** What exports see of the core. */
export interface ExportSource {
  /** What is there now of edges with an end that nobody reported may be given by the next `take`. */
  mark(): void
  /** What there is since the last time, of all partitions or one of them. */
  take(only?: number): Promise<Taken>
  /** Waits until what was settled is noted. */
  flush(): Promise<void>
}

export interface Taken {
  readonly minutes: readonly MinuteTake[]
  /** To be called once it is known what became of all of it. */
  settled(): void
}

/** Whoever is told what was taken. */
export interface ExportSink {
  /** `settled` is to be called once it is known what became of all of it. */
  accept(minutes: readonly MinuteTake[], settled: () => void): void
  /** Sends what there is, if somebody takes it within some seconds. Idempotent. */
  close(): Promise<void>
}

export interface Taking {
  /** Takes what one partition has right now, beside the intervals. */
  takeNow(partition: number): Promise<void>
  /** Takes once more, and closes the sinks. Idempotent. */
  close(): Promise<void>
}

export const intervalMs = 10_000
/** How long the other half of a connection is waited for. */
const otherHalfMs = 2_000

/** Takes every ten seconds, and tells every sink. */
export function startTaking(
  source: ExportSource,
  sinks: readonly ExportSink[],
  log: FastifyBaseLogger,
  nowMs: () => number,
): Taking {
  const onError = (error: unknown) => log.error({ err: error }, 'an interval could not be taken for export')
  const stopTimer = everyInterval(
    nowMs,
    () => source.mark(),
    () => void take(),
    onError,
  )
  let taking: Promise<void> = Promise.resolve()

  function take(only?: number): Promise<void> {
    taking = taking.then(async () => handOn(await source.take(only))).catch(onError)
    return taking
  }

  function handOn({ minutes, settled }: Taken): void {
    if (minutes.length === 0) return
    let unsettled = sinks.length
    for (const sink of sinks)
      sink.accept(minutes, () => {
        if (--unsettled === 0) settled()
      })
  }

  async function finish(): Promise<void> {
    await take()
    await Promise.all(sinks.map(sink => sink.close()))
    await source.flush()
  }

  let closing: Promise<void> | undefined
  return {
    takeNow: take,
    close() {
      if (closing === undefined) {
        stopTimer()
        closing = finish()
      }
      return closing
    },
  }
}

/** Calls `mark` at every full interval of the clock, and `take` as much later as the other halves need. */
function everyInterval(
  nowMs: () => number,
  mark: () => void,
  take: () => void,
  onError: (error: unknown) => void,
): () => void {
  let timer: ReturnType<typeof setTimeout>
  const guarded = (work: () => void, next: () => void) => () => {
    try {
      work()
    } catch (error) {
      onError(error)
    }
    next()
  }
  const waitForMark = () => {
    timer = setTimeout(guarded(mark, waitForTake), intervalMs - (nowMs() % intervalMs))
  }
  const waitForTake = () => {
    timer = setTimeout(guarded(take, waitForMark), otherHalfMs)
  }
  waitForMark()
  return () => clearTimeout(timer)
}
