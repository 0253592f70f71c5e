import type { CoreOptions } from '../core.ts'
import { createEndNames, type EndNames } from './oap/interval/end-names.ts'
import { createEndpointPaths } from './oap/interval/endpoint-paths.ts'
import { createExportBook, type ExportBook, type MinuteTake } from './oap/interval/export-book.ts'
import { noPairs } from './oap/interval/packed-pairs.ts'
import { noPairCounts } from './oap/interval/pair-book.ts'
import type { ExportFigures } from './oap/oap-exporter.ts'
import type { OapConfig } from './oap/options.ts'
import { createOtlpBook, type OtlpBook, type OtlpLeftOut } from './otlp/otlp-book.ts'
import { createOtlpEnds, type OtlpEnds } from './otlp/otlp-end.ts'
import type { SeriesAmounts } from './otlp/series-amounts.ts'
import { addOverstated, noneOverstated, type Overstated } from './otlp/series-ledger.ts'
import { createSeriesTable, type SeriesTable } from './otlp/series-table.ts'
import type { OtlpConfig } from './otlp-push/options.ts'

export type ExportConfig = OapConfig & OtlpConfig

/** What of a partition waits to be taken. */
export interface Drained {
  /** What was added since the last time, one entry per minute, the older first. */
  drain(nowMs: number): readonly MinuteTake[]
  /** The same, where all of it was taken before, by whoever booked the partition then. */
  pass(nowMs: number): void
  /** What OpenTelemetry was told too much, and is to be made up for. */
  owed(): Overstated
}

/** The books of what is exported. Made before the core, which fills them. */
export interface ExportBooks extends ExportFigures {
  readonly onDelta: NonNullable<CoreOptions['onDelta']>
  /** Undefined where nothing is wanted that only closed minutes know. */
  readonly onFinal: CoreOptions['onFinal']
  readonly onSaid: NonNullable<CoreOptions['onSaid']>
  /** OAP's book of a partition. Where nobody asks for one, all partitions have that of number 0. */
  of(partition: number): ExportBook
  /** Everything of a partition. */
  drained(partition: number): Drained
  /** The same, of books that nothing was added to yet. */
  renew(partition: number): Drained
  /** Of OpenTelemetry; undefined where it is not fed. */
  readonly series: SeriesTable | undefined
  readonly otlpLeftOut: Readonly<OtlpLeftOut>
  /** What OpenTelemetry was told too much, without more to take it from. */
  readonly otlpOverstated: Overstated
  /** What may still be made up for. */
  otlpOwed(): Overstated
}

/** Undefined where nothing is exported. */
export function booksForExports(config: ExportConfig, isPartitioned: boolean): ExportBooks | undefined {
  const isForOap = config.oap.length > 0 || config.oapDryRun
  const isForOtlp = config.otlp !== ''
  if (!isForOap && !isForOtlp) return undefined
  const counts = noPairCounts()
  const leftOut = { unnamed: 0 }
  const overstated = noneOverstated()
  const series = isForOtlp ? createSeriesTable(config.otlpSeries) : undefined
  const books = new Map<number, ExportBook>()
  const otlpBooks = new Map<number, OtlpBook>()
  let names: EndNames | undefined
  let ends: OtlpEnds | undefined

  function entered<B>(into: Map<number, B>, partition: number, book: B): B {
    into.set(partition, book)
    return book
  }
  const paths = createEndpointPaths()
  const newBook = () =>
    createExportBook({ names: known(names), counts, paths, withFigures: config.oapMetrics })
  const newOtlpBook = () => createOtlpBook({ ends: known(ends), series: known(series), leftOut, overstated })
  const numberOf = (partition: number) => (isPartitioned ? partition : 0)
  const of = (partition: number) =>
    books.get(numberOf(partition)) ?? entered(books, numberOf(partition), newBook())
  const otlpOf = (partition: number) =>
    otlpBooks.get(numberOf(partition)) ?? entered(otlpBooks, numberOf(partition), newOtlpBook())

  const drained = (partition: number): Drained => {
    const [own, otlp] = [isForOap ? of(partition) : undefined, isForOtlp ? otlpOf(partition) : undefined]
    return {
      drain: nowMs => withOtlp(own?.drain(nowMs) ?? [], otlp?.drain(nowMs) ?? [], nowMs),
      pass(nowMs) {
        own?.drain(nowMs)
        otlp?.pass()
      },
      owed: () => otlp?.owed() ?? noneOverstated(),
    }
  }
  return {
    of,
    drained,
    renew(partition) {
      books.delete(numberOf(partition))
      otlpBooks.delete(numberOf(partition))
      return drained(partition)
    },
    series,
    otlpLeftOut: leftOut,
    otlpOverstated: overstated,
    otlpOwed() {
      const sum = noneOverstated()
      for (const book of otlpBooks.values()) addOverstated(sum, book.owed())
      return sum
    },
    leftOut: () => counts,
    foldedNames: () => names?.folded() ?? 0,
    onFinal:
      (isForOap && config.oapMetrics) || isForOtlp
        ? (edge, minute, row, partition) => {
            if (isForOap) of(partition).addFinal(edge, minute, row)
            if (isForOtlp) otlpOf(partition).addFinal(edge, minute, row)
          }
        : undefined,
    onSaid(edge, minute, said, partition) {
      if (isForOap) of(partition).addSaid(edge, minute, said)
      if (isForOtlp) otlpOf(partition).addSaid(edge, minute, said)
    },
    onDelta(index) {
      names = createEndNames({ index, cluster: config.oapCluster })
      ends = createOtlpEnds(index)
      return isForOap ? (edge, minute, delta, partition) => of(partition).add(edge, minute, delta) : undefined
    },
  }
}

function known<T>(made: T | undefined): T {
  if (made === undefined) throw new Error('the core was made without these books')
  return made
}

/** Minutes as they were, and what OpenTelemetry is told, which goes by no minute, with the latest of them. */
function withOtlp(
  minutes: readonly MinuteTake[],
  otlp: readonly SeriesAmounts[],
  nowMs: number,
): readonly MinuteTake[] {
  if (otlp.length === 0) return minutes
  const last = minutes.at(-1) ?? emptyTake(Math.floor(nowMs / 60_000))
  return [...minutes.slice(0, -1), { ...last, otlp }]
}

function emptyTake(unixMinute: number): MinuteTake {
  return { unixMinute, pairs: noPairs, requests: [], figures: [] }
}
