import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openBucket } from '../../packages/aggregator/src/bus/open-bucket.ts'
import { exportConfigSchema } from '../../packages/aggregator/src/config.ts'
import { booksForExports, type ExportConfig } from '../../packages/aggregator/src/export/export-books.ts'
import { encodeSeries } from '../../packages/aggregator/src/export/otlp/otlp-requests.ts'
import { createOtlpConnection } from '../../packages/aggregator/src/export/otlp-push/otlp-connection.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { ensureStreams, exportBucket, type NatsLink } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { findPython } from '../otlp/find-python.ts'
import { type Receiver, startReceiver } from '../otlp/receiver.ts'
import { type AggregatorProgram, startAggregatorProgram } from './aggregator-program.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { inventCollectors, lateClient } from './invented-collectors.ts'
import { streamSettings } from './stream-settings.ts'
import { readUninterrupted } from './uninterrupted.ts'

const python = findPython()
const skipped = typeof python === 'string' ? `, skipped: ${python}` : ''
const partitions = 4

async function receiver(): Promise<Receiver> {
  const started = await startReceiver((python as { path: string }).path)
  afterTest(() => started.stop())
  return started
}

const late = new RegExp(`"${lateClient.split('.')[0]}"`)

/** All requests that were received, added up: who saw what of whom. Connections come when their minute is closed. */
function sumsOf(of: Receiver): Record<string, number> {
  const sums = new Map<string, number>()
  for (const { metric, resource, attributes, value } of of.points()) {
    if (metric.startsWith('skybraid.tcp.')) continue
    const { 'skybraid.aggregator': _sender, ...end } = resource
    const key = JSON.stringify([metric, Object.entries(end).sort(), Object.entries(attributes).sort()])
    sums.set(key, (sums.get(key) ?? 0) + value)
  }
  return Object.fromEntries([...sums].sort())
}

function requestsIn(sums: Record<string, number>): number {
  return Object.entries(sums)
    .filter(([key]) => key.startsWith('["skybraid.operations"'))
    .reduce((all, [, value]) => all + value, 0)
}

/** What one process that was never interrupted would have told of the whole stream of batches. */
async function truthOf(link: NatsLink): Promise<Record<string, number>> {
  const told = await receiver()
  const loaded = loadConfig(exportConfigSchema, { args: ['--otlp', told.url], env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const config = loaded.config as ExportConfig
  const books = booksForExports(config, false)!
  await readUninterrupted(link, 'local', {
    onDelta: books.onDelta,
    ...(books.onFinal && { onFinal: books.onFinal }),
    onSaid: books.onSaid,
    before(own, topology, sequence) {
      if (sequence !== Number.POSITIVE_INFINITY) return
      for (let afterMs = 0; afterMs <= 180_000; afterMs += 5_000) own.tick(Date.now() + afterMs)
      topology.takeDeltas(own.partition)
    },
  })
  const amounts = books
    .drained(0)
    .drain(Date.now())
    .flatMap(({ otlp = [] }) => otlp)
  const connection = createOtlpConnection(config)
  for (const { body } of encodeSeries(amounts, { startMs: 1, endMs: 2, sender: '', version: '' }))
    expect(await connection.send(body)).toMatchObject({ outcome: 'taken' })
  await until('the truth is read', () => told.told.length > 0, { timeoutMs: 20_000 })
  return sumsOf(told)
}

interface Otlp {
  readonly points: { readonly refused: number; readonly unknown: number; readonly dropped: number }
  readonly leftOut: { readonly overstated: { readonly requests: number } }
  readonly notes: { readonly unknownRequestsBefore: number; readonly without: readonly number[] }
}

/** Requests that were told too much, and those of which nobody knows, as aggregators count them one after the other. */
function createCounts() {
  const counts = { overstated: 0, unknown: 0 }
  return {
    counts,
    async add(program: AggregatorProgram): Promise<void> {
      const { points, leftOut, notes } = (await program.get<{ otlp: Otlp }>('/status')).otlp
      expect([notes.without, points]).toMatchObject([[], { refused: 0, unknown: 0, dropped: 0 }])
      counts.overstated += leftOut.overstated.requests
      counts.unknown += notes.unknownRequestsBefore
    },
  }
}

/** What the last aggregator left behind, for whoever would come next. */
async function leftBehind(link: NatsLink): Promise<{ overstated: number; unknown: number }> {
  const kv = await openBucket(link, exportBucket('local'), streamSettings())
  const left = { overstated: 0, unknown: 0 }
  for (let partition = 0; partition < partitions; partition++) {
    const note = (await kv.get(`partition.${partition}`))!.json<Record<string, number>>()
    left.overstated += note.owedRequests!
    left.unknown += note.takenRequests! - note.settledRequests!
  }
  return left
}

describe.skipIf(typeof python === 'string')(
  `the export to OpenTelemetry from the bus${skipped}`,
  { timeout: 1_200_000 },
  () => {
    it('tells every request once or counts it, though the aggregator is killed, and ends, in the middle of minutes', async () => {
      const server = await serverForTest()
      const link = await linkForTest(linkWith(['--nats', server.url]))
      await ensureStreams(link.jsm, 'local', streamSettings('--flow-max-age', '60m'))
      const collectors = inventCollectors(link, 'local', partitions, { everyMs: 250, says: true })
      afterTest(() => collectors.stop())
      const told = await receiver()
      const start = () => startAggregatorProgram(server.url, '--otlp', told.url)
      let program = await start()
      const { counts, add } = createCounts()
      for (const [waitMs, signal] of [
        [13_000, 'SIGKILL'],
        [4_000, 'SIGTERM'],
        [15_000, 'SIGKILL'],
      ] as const) {
        await program.ready()
        await pause(waitMs)
        await add(program)
        await program.kill(signal)
        program = await start()
      }
      await program.ready()
      const lastMinute = Math.floor(Date.now() / 60_000)
      await collectors.stop()
      await program.closed(lastMinute)
      await add(program)
      // on its way out it tells what is left
      expect(await program.kill('SIGTERM')).toBe(0)
      const left = await leftBehind(link)
      const truth = await truthOf(link)
      const seen = sumsOf(told)
      expect(Object.keys(truth).filter(key => key.includes('request.duration')).length).toBeGreaterThan(5)
      const more = requestsIn(seen) - requestsIn(truth) - counts.overstated - left.overstated
      const unknown = counts.unknown + left.unknown
      expect(-more, JSON.stringify({ counts, left })).toBeLessThanOrEqual(unknown)
      expect(more, JSON.stringify({ counts, left })).toBeLessThanOrEqual(0)
      const inTime = (sums: Record<string, number>) =>
        Object.fromEntries(Object.entries(sums).filter(([key]) => !late.test(key)))
      if (unknown === 0) expect(inTime(seen)).toEqual(inTime(truth))
      else
        for (const [key, value] of Object.entries(inTime(seen)))
          expect(value, key).toBeLessThanOrEqual(truth[key] ?? 0)
    })
  },
)
