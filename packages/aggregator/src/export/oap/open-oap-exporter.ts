import { hostname } from 'node:os'
import { SkybraidError } from '@skybraid/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { Core, CoreOptions } from '../../core.ts'
import { createEndNames, type EndNames } from './interval/end-names.ts'
import { createExportBook, type ExportBook } from './interval/export-book.ts'
import { noPairCounts } from './interval/pair-book.ts'
import { createOapConnection } from './oap-connection.ts'
import { type ExportFigures, type ExportSource, type OapExporter, startOapExporter } from './oap-exporter.ts'
import { type OapConfig, oapConfigProblem } from './options.ts'

export interface OapSurroundings {
  readonly log: FastifyBaseLogger
  readonly nowMs: () => number
  readonly writeLine?: (line: string) => void
  /** False while ends may still be called otherwise than they will be in a moment. */
  readonly hasNames?: () => boolean
}

/** The books of what is exported. Made before the core, which fills them. */
export interface OapBooks extends ExportFigures {
  readonly onDelta: NonNullable<CoreOptions['onDelta']>
  /** Undefined where nothing is wanted that the access log has no place for. */
  readonly onFinal: CoreOptions['onFinal']
  readonly onSaid: NonNullable<CoreOptions['onSaid']>
  /** The book of a partition. Where nobody asks for one, all partitions have that of number 0. */
  of(partition: number): ExportBook
  /** A book that nothing was added to yet. */
  renew(partition: number): ExportBook
}

/** Nothing where nobody asks for it. */
export function booksForOap(config: OapConfig, isPartitioned: boolean): OapBooks | undefined {
  if (!isWanted(config)) return undefined
  const counts = noPairCounts()
  const books = new Map<number, ExportBook>()
  let names: EndNames | undefined
  const renew = (partition: number) => {
    if (names === undefined) throw new Error('the core was made without these books')
    const book = createExportBook({ names, counts, withFigures: config.oapMetrics })
    books.set(partition, book)
    return book
  }
  const of = (partition: number) => {
    const number = isPartitioned ? partition : 0
    return books.get(number) ?? renew(number)
  }
  return {
    of,
    renew,
    leftOut: () => counts,
    foldedNames: () => names?.folded() ?? 0,
    onFinal: config.oapMetrics
      ? (edge, minute, row, partition) => of(partition).addFinal(edge, minute, row)
      : undefined,
    onSaid: (edge, minute, said, partition) => of(partition).addSaid(edge, minute, said),
    onDelta(index) {
      names = createEndNames({ index, cluster: config.oapCluster })
      return (edge, minute, delta, partition) => of(partition).add(edge, minute, delta)
    },
  }
}

/** Everything of a process that books all partitions by itself, where nothing outlives it. */
export function ownSource(books: OapBooks, topology: Core['topology'], nowMs: () => number): ExportSource {
  return {
    mark: () => topology.markDeltas(),
    async take() {
      topology.takeDeltas()
      return { minutes: books.of(0).drain(nowMs()), settled: () => undefined }
    },
    flush: () => Promise.resolve(),
  }
}

/** Starts to feed OAP if the options say so. Throws SB_CONFIG with one plain sentence where they can't be used. */
export function openOapExporter(
  config: OapConfig,
  books: OapBooks | undefined,
  source: (books: OapBooks) => ExportSource,
  { log, nowMs, writeLine, hasNames }: OapSurroundings,
): OapExporter | undefined {
  const problem = oapConfigProblem(config)
  if (problem !== undefined) throw new SkybraidError('SB_CONFIG', problem)
  if (books === undefined) return undefined
  // unreadable files are told at the start, not at the first interval
  for (const address of config.oap) createOapConnection(address, config).close()
  return startOapExporter({
    config,
    node: hostname(),
    source: hasNames === undefined ? source(books) : heldUntil(hasNames, source(books), nowMs),
    figures: books,
    log,
    nowMs,
    random: Math.random,
    write: writeLine ?? (line => void process.stdout.write(line)),
  })
}

/** What OAP was told under a wrong name cannot be taken back: at the start it is better told a moment later. */
const longestHoldMs = 60_000

function heldUntil(hasNames: () => boolean, source: ExportSource, nowMs: () => number): ExportSource {
  const until = nowMs() + longestHoldMs
  let isFree = false
  const free = () => {
    isFree ||= hasNames() || nowMs() >= until
    return isFree
  }
  return {
    mark: () => (free() ? source.mark() : undefined),
    take: async only => (free() ? source.take(only) : { minutes: [], settled: () => undefined }),
    flush: source.flush,
  }
}

function isWanted({ oap, oapDryRun }: OapConfig): boolean {
  return oap.length > 0 || oapDryRun
}
