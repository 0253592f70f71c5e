import { exportConfigSchema } from '../../packages/aggregator/src/config.ts'
import { booksForExports, type ExportConfig } from '../../packages/aggregator/src/export/export-books.ts'
import { encodeInterval, noCounts } from '../../packages/aggregator/src/export/oap/interval/access-log.ts'
import { messagesOf } from '../../packages/aggregator/src/export/oap/interval/framed-messages.ts'
import { decodeAccessLog, OapModel } from '../../packages/aggregator/src/export/oap/oap-model.testing.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import type { NatsLink } from '../../packages/shared/src/nats/index.ts'
import type { AggregatorProgram } from './aggregator-program.ts'
import { readUninterrupted } from './uninterrupted.ts'

/** What an aggregator says of its export. */
export interface Exported {
  readonly sent: { readonly intervals: number }
  readonly queue: { readonly intervals: number; readonly droppedIntervals: number }
  readonly unknown: { readonly intervals: number }
  readonly refused: Record<string, number>
  readonly notes: { readonly unknownBefore: number; readonly without: readonly number[] }
}

export async function exported(program: AggregatorProgram): Promise<Exported> {
  return (await program.get<{ oap: Exported }>('/status')).oap
}

/** Figures of services and instances that are not 0; calls may be named by what was known at the time. */
export function ownSeries(series: Iterable<readonly [string, number]>): Record<string, number> {
  const own = [...series].filter(([key, value]) => value !== 0 && !/_relation_|_(write|read)_cpm @/.test(key))
  return Object.fromEntries(own.sort())
}

/** What one process that was never interrupted would have OAP show of the whole stream of batches. */
export async function exportOfWhole(link: NatsLink): Promise<Record<string, number>> {
  const loaded = loadConfig(exportConfigSchema, { args: ['--oap-dry-run'], env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const books = booksForExports(loaded.config as ExportConfig, false)!
  await readUninterrupted(link, 'local', { onDelta: books.onDelta })
  const model = new OapModel()
  for (const { unixMinute, pairs } of books.of(0).drain(Date.now())) {
    const take = model.stream()
    const options = { node: 'node', cluster: '', nowMs: Date.now() }
    const interval = { unixMinute, pairs, http: [] }
    for (const message of messagesOf(encodeInterval(interval, options, noCounts())))
      take(decodeAccessLog(message))
  }
  if (model.broken.length > 0) throw new Error(model.broken.join('\n'))
  return ownSeries(model.series)
}
