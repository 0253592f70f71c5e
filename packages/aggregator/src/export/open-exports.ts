import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { SkybraidError } from '@skybraid/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { Core } from '../core.ts'
import type { ExportBooks, ExportConfig } from './export-books.ts'
import { checkOapFiles } from './oap/oap-connection.ts'
import { startOapExporter } from './oap/oap-exporter.ts'
import type { OapStatus } from './oap/oap-status.ts'
import { oapConfigProblem } from './oap/options.ts'
import { otlpConfigProblem } from './otlp-push/options.ts'
import { startOtlpExporter } from './otlp-push/otlp-exporter.ts'
import type { OtlpStatus } from './otlp-push/otlp-status.ts'
import { type ExportSource, startTaking, type Taking } from './take-exports.ts'

export interface ExportSurroundings {
  readonly log: FastifyBaseLogger
  readonly nowMs: () => number
  readonly version: string
  readonly writeLine?: (line: string) => void
  /** False while ends may still be called otherwise than they will be in a moment. */
  readonly hasNames?: () => boolean
}

/** Everything that is exported, until `close`. */
export interface Exports extends Taking {
  /** Undefined where it is not fed. */
  readonly oapStatus: (() => OapStatus) | undefined
  readonly otlpStatus: (() => OtlpStatus) | undefined
}

/** Everything of a process that books all partitions by itself, where nothing outlives it. */
export function ownSource(books: ExportBooks, topology: Core['topology'], nowMs: () => number): ExportSource {
  return {
    mark: () => topology.markDeltas(),
    async take() {
      topology.takeDeltas()
      return { minutes: books.drained(0).drain(nowMs()), settled: () => undefined }
    },
    flush: () => Promise.resolve(),
  }
}

/** Starts to export if the options say so. Throws SB_CONFIG with one plain sentence where they can't be used. */
export function openExports(
  config: ExportConfig,
  books: ExportBooks | undefined,
  source: (books: ExportBooks) => ExportSource,
  { log, nowMs, version, writeLine, hasNames }: ExportSurroundings,
): Exports | undefined {
  const problem = oapConfigProblem(config) ?? otlpConfigProblem(config)
  if (problem !== undefined) throw new SkybraidError('SB_CONFIG', problem)
  if (books === undefined) return undefined
  // unreadable files are told at the start, not at the first interval
  checkOapFiles(config)
  const common = { config, log, nowMs, random: Math.random }
  const otlp =
    books.series &&
    startOtlpExporter({
      ...common,
      sender: hostname(),
      version,
      series: books.series,
      leftOut: books.otlpLeftOut,
      overstated: books.otlpOverstated,
      owed: books.otlpOwed,
    })
  const oap =
    config.oap.length > 0 || config.oapDryRun
      ? startOapExporter({
          ...common,
          node: hostname(),
          figures: books,
          write: writeLine ?? (line => void process.stdout.write(line)),
        })
      : undefined
  const all = source(books)
  const sinks = [oap, otlp].filter(sink => sink !== undefined)
  const taking = startTaking(
    hasNames === undefined ? all : heldUntil(hasNames, all, nowMs),
    sinks,
    log,
    nowMs,
  )
  return { ...taking, oapStatus: oap?.status, otlpStatus: otlp?.status }
}

/** What was told under a wrong name cannot be taken back: at the start it is better told a moment later. */
const longestHoldMs = 60_000
/** A minute that closes waits for names no longer than this: what is not taken before, nobody could take afterwards. */
const longestRoundHoldMs = 10_000

function heldUntil(hasNames: () => boolean, source: ExportSource, nowMs: () => number): ExportSource {
  const until = nowMs() + longestHoldMs
  let isFree = false
  const free = () => {
    isFree ||= hasNames() || nowMs() >= until
    return isFree
  }
  return {
    mark: () => (free() ? source.mark() : undefined),
    async take(only) {
      if (only !== undefined)
        for (const endMs = nowMs() + longestRoundHoldMs; !free() && nowMs() < endMs; ) await sleep(50)
      else if (!free()) return { minutes: [], settled: () => undefined }
      return source.take(only)
    },
    flush: source.flush,
  }
}
