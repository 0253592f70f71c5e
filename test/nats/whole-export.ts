import { expect } from 'vitest'
import { exportConfigSchema } from '../../packages/aggregator/src/config.ts'
import { booksForExports, type ExportConfig } from '../../packages/aggregator/src/export/export-books.ts'
import { encodeInterval, noCounts } from '../../packages/aggregator/src/export/oap/interval/access-log.ts'
import type { MinuteTake } from '../../packages/aggregator/src/export/oap/interval/export-book.ts'
import { messagesOf } from '../../packages/aggregator/src/export/oap/interval/framed-messages.ts'
import { figuresInWords } from '../../packages/aggregator/src/export/oap/interval/oap-metrics.ts'
import { addPoint, type MetricPoint } from '../../packages/aggregator/src/export/oap/metric-points.testing.ts'
import { decodeAccessLog, OapModel } from '../../packages/aggregator/src/export/oap/oap-model.testing.ts'
import type { PartitionCore } from '../../packages/aggregator/src/partition/partition-core.ts'
import type { Topology } from '../../packages/aggregator/src/topology/topology.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import type { NatsLink } from '../../packages/shared/src/nats/index.ts'
import type { AggregatorProgram } from './aggregator-program.ts'
import { lateClient } from './invented-collectors.ts'
import type { NotedTake } from './noted-takes.ts'
import { readUninterrupted } from './uninterrupted.ts'

/** What an aggregator says of its export. */
export interface Exported {
  readonly sent: { readonly intervals: number }
  readonly queue: { readonly intervals: number; readonly droppedIntervals: number }
  readonly unknown: { readonly intervals: number }
  readonly metrics: { readonly unknown: number }
  readonly refused: Record<string, number>
  readonly notes: { readonly unknownBefore: number; readonly without: readonly number[] }
}

export async function exported(program: AggregatorProgram): Promise<Exported> {
  return (await program.get<{ oap: Exported }>('/status')).oap
}

/** What OAP would show, by series, and points of OpenTelemetry by name, attributes and minute. */
export type ExportedFigures = Record<string, number>

export interface WholeExport {
  readonly all: ExportedFigures
  /** Without what was noted and never confirmed: of that nobody knows. */
  readonly certain: ExportedFigures
}

/** Figures that are not 0; how many logs carry sums depends on how partitions are shared out. */
export function comparable(figures: Iterable<readonly [string, number]>): ExportedFigures {
  const own = [...figures].filter(([key, value]) => value !== 0 && !/_(write|read)_cpm @/.test(key))
  return Object.fromEntries(own.sort())
}

/**
 * Calls of the client whose other ends are heard of late are told as one: which of them was told under the name that
 * was known first, the order decides in which they were seen, and that is another one after a restart. Of instances
 * they are left out, because the name that is known first has none.
 */
export function lateCallsAsOne(figures: ExportedFigures): ExportedFigures {
  const folded: Record<string, number> = {}
  for (const [key, value] of Object.entries(figures)) {
    const isLate = key.includes(` @ ${lateClient}`)
    if (isLate && key.includes('_instance_relation_')) continue
    const name = isLate ? key.replace(/ > .* @ /, ' > * @ ') : key
    folded[name] = (folded[name] ?? 0) + value
  }
  return folded
}

/** Of a service or an instance. */
export const isOwn = (key: string) => key.startsWith('kubernetes_') && !key.includes('_relation_')

/**
 * What one process that was never interrupted would have OAP show of the whole stream of batches, taking where it was
 * noted that something was taken.
 */
export async function exportOfTakes(
  link: NatsLink,
  takes: ReadonlyMap<number, readonly NotedTake[]>,
): Promise<WholeExport> {
  const loaded = loadConfig(exportConfigSchema, { args: ['--oap-dry-run', '--oap-metrics'], env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const books = booksForExports(loaded.config as ExportConfig, true)!
  const [all, certain] = [collectExport(), collectExport()]
  const places = new Map<number, { next: number; markedAt: number }>()

  function take(own: PartitionCore, topology: Topology, noted: NotedTake): void {
    own.tick(noted.clockMs)
    topology.takeDeltas(own.partition)
    const minutes = books.of(own.partition).drain(Date.now())
    for (const each of noted.isSettled ? [all, certain] : [all]) each.add(minutes)
  }

  await readUninterrupted(link, 'local', {
    onDelta: books.onDelta,
    ...(books.onFinal && { onFinal: books.onFinal }),
    onSaid: books.onSaid,
    before(own, topology, sequence) {
      const { partition } = own
      const place = places.get(partition) ?? { next: 0, markedAt: 0 }
      places.set(partition, place)
      for (
        let noted = takes.get(partition)?.[place.next];
        noted;
        noted = takes.get(partition)?.[place.next]
      ) {
        // a take before a round uses the mark of the take before it again: what is marked then is not more
        if (place.markedAt !== noted.markedAt && sequence > noted.markedAt) {
          topology.markDeltas(partition)
          place.markedAt = noted.markedAt
        }
        if (sequence <= noted.takenAt) return
        take(own, topology, noted)
        place.next++
      }
    },
  })
  return { all: all.figures(), certain: certain.figures() }
}

function collectExport() {
  const model = new OapModel()
  const points = new Map<string, number>()
  const counts = noCounts()
  return {
    add(minutes: readonly MinuteTake[]): void {
      const nowMs = Date.now()
      for (const { requests, ...minute } of minutes) {
        const read = model.stream()
        const interval = { ...minute, http: requests }
        const messages = encodeInterval(interval, { node: 'node', cluster: '', nowMs }, counts)
        for (const message of messagesOf(messages)) read(decodeAccessLog(message))
        for (const point of figuresInWords(interval, nowMs, counts)) addPoint(points, point as MetricPoint)
      }
    },
    figures(): ExportedFigures {
      expect([model.broken, counts.refused]).toEqual([[], {}])
      return comparable([...model.series, ...points])
    },
  }
}

/**
 * What OAP shows is what was confirmed, and at most all that was noted: exactly, where nothing is unknown. Of the client
 * whose other ends are heard of late, a restart decides from which take that is subtracted which was told too early: so
 * where one of them is unknown, there is no least.
 */
export function expectExported(seen: ExportedFigures, { all, certain }: WholeExport): void {
  const wrong: Record<string, unknown> = {}
  for (const key of new Set([...Object.keys(all), ...Object.keys(seen)])) {
    const [confirmed, shown, most] = [certain[key] ?? 0, seen[key] ?? 0, all[key] ?? 0]
    const least = key.includes(` @ ${lateClient}`) && confirmed !== most ? 0 : confirmed
    if (shown < least || shown > most) wrong[key] = [least, shown, most]
  }
  expect(wrong, `least, shown, most: ${JSON.stringify(wrong).slice(0, 2_000)}`).toEqual({})
}
