import { describe, expect, it } from 'vitest'
import type { IngestStatus } from '../../packages/aggregator/src/topology/answer.ts'
import { ensureStreams } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { startAggregatorProgram } from './aggregator-program.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { inventCollectors } from './invented-collectors.ts'
import { streamSettings } from './stream-settings.ts'

describe('batches of partitions that are in no epoch', { timeout: 300_000 }, () => {
  it('are counted as malformed, and said', async () => {
    const server = await serverForTest()
    const link = await linkForTest(linkWith(['--nats', server.url]))
    await ensureStreams(link.jsm, 'local', streamSettings())
    const collectors = inventCollectors(link, 'local', 6, { everyMs: 3_600_000 })
    afterTest(() => collectors.stop())
    const published = () =>
      ['north', 'south', 'west'].reduce((sum, node) => sum + collectors.publishedBy(node), 0)
    await collectors.flush()
    const program = await startAggregatorProgram(server.url)
    const identity = async () => (await program.get<{ ingest: IngestStatus }>('/status')).ingest.identity
    const isAllRead = () =>
      until('everything is accounted for', async () => (await identity()).received >= published(), {
        timeoutMs: 120_000,
        describe: async () => JSON.stringify([await identity(), published()]),
      })
    await program.ready()
    await isAllRead()
    const first = await identity()
    expect(first.applied).toBeGreaterThan(0)
    expect(first.lost.malformed).toBeGreaterThan(0)
    expect(first).toMatchObject({ received: first.applied + first.lost.malformed!, holds: true })
    await collectors.flush()
    await isAllRead()
    expect((await identity()).lost.malformed).toBeGreaterThan(first.lost.malformed!)
    expect((await program.bus()).strays).toEqual([4, 5])
    expect(program.err() + program.out()).toContain('partitions that nobody books')
    expect(await program.kill('SIGTERM')).toBe(0)
  })
})
