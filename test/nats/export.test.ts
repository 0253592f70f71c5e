import { describe, expect, it } from 'vitest'
import { exportConfigSchema } from '../../packages/aggregator/src/config.ts'
import { booksForExports, type ExportConfig } from '../../packages/aggregator/src/export/export-books.ts'
import { FakeOap } from '../../packages/aggregator/src/export/oap/fake-oap.testing.ts'
import { encodeInterval, noCounts } from '../../packages/aggregator/src/export/oap/interval/access-log.ts'
import { messagesOf } from '../../packages/aggregator/src/export/oap/interval/framed-messages.ts'
import { decodeAccessLog, OapModel } from '../../packages/aggregator/src/export/oap/oap-model.testing.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { ensureStreams, type NatsLink } from '../../packages/shared/src/nats/index.ts'
import { type AggregatorProgram, startAggregatorProgram } from './aggregator-program.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { inventCollectors } from './invented-collectors.ts'
import { streamSettings } from './stream-settings.ts'
import { readUninterrupted } from './uninterrupted.ts'

const minuteMs = 60_000
const partitions = 4

interface Exported {
  readonly oap: {
    readonly queue: { readonly intervals: number; readonly droppedIntervals: number }
    readonly unknown: { readonly intervals: number }
    readonly refused: Record<string, number>
    readonly notes: { readonly unknownBefore: number; readonly without: readonly number[] }
  }
}

async function setUp() {
  const server = await serverForTest()
  const link = await linkForTest(linkWith(['--nats', server.url]))
  await ensureStreams(link.jsm, 'local', streamSettings('--flow-max-age', '60m'))
  const collectors = inventCollectors(link, 'local', partitions)
  afterTest(() => collectors.stop())
  const oap = await FakeOap.start()
  afterTest(() => oap.stop())
  const start = (...args: readonly string[]) =>
    startAggregatorProgram(server.url, '--oap', oap.address, ...args)
  return { link, collectors, oap, start }
}

/** Figures of services and instances; calls may be named by what was known at the time. */
function ownSeries({ series }: OapModel): Record<string, number> {
  const own = [...series].filter(([key]) => !/_relation_|_(write|read)_cpm @/.test(key))
  return Object.fromEntries(own.sort())
}

/** What one process that was never interrupted would have OAP show. */
async function truthOf(link: NatsLink): Promise<Record<string, number>> {
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
  expect(model.broken).toEqual([])
  return ownSeries(model)
}

async function exported(program: AggregatorProgram): Promise<Exported['oap']> {
  return (await program.get<Exported>('/status')).oap
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

describe('the export to OAP from the bus', { timeout: 1_200_000 }, () => {
  it('says everything once, though the aggregator is killed and told to end in the middle of minutes', async () => {
    const { link, collectors, oap, start } = await setUp()
    let program = await start()
    let unknown = 0
    for (const [waitMs, signal] of [
      [13_000, 'SIGKILL'],
      [4_000, 'SIGTERM'],
      [21_000, 'SIGKILL'],
    ] as const) {
      await program.ready()
      await pause(waitMs)
      const { notes } = await exported(program)
      expect(notes.without).toEqual([])
      unknown += notes.unknownBefore
      await program.kill(signal)
      program = await start()
    }
    await program.ready()
    const lastMinute = Math.floor(Date.now() / minuteMs)
    await collectors.stop()
    await program.closed(lastMinute)
    unknown += (await exported(program)).notes.unknownBefore
    expect(await program.kill('SIGTERM')).toBe(0)
    const truth = await truthOf(link)
    expect(Object.keys(truth).length).toBeGreaterThan(50)
    expect(oap.model.broken).toEqual([])
    const seen = ownSeries(oap.model)
    if (unknown === 0) expect(seen).toEqual(truth)
    else
      for (const [key, value] of Object.entries(seen)) expect(value, key).toBeLessThanOrEqual(truth[key] ?? 0)
  })
})
