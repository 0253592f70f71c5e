import { describe, expect, it } from 'vitest'
import type { IngestStatus } from '../../packages/aggregator/src/topology/answer.ts'
import { ensureStreams } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { type AggregatorProgram, startAggregatorProgram } from './aggregator-program.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { inventCollectors } from './invented-collectors.ts'
import { streamSettings } from './stream-settings.ts'
import { figures, readUninterrupted } from './uninterrupted.ts'

const minuteMs = 60_000
const partitions = 4

/** Waits until a partition is read further than it was. */
async function readsOn(program: AggregatorProgram): Promise<void> {
  const positions = async () => (await program.bus()).partitions.map(({ sequence }) => sequence)
  const before = await positions()
  await until(
    'every partition is read on',
    async () => (await positions()).every((now, p) => now > before[p]!),
    { timeoutMs: 240_000, everyMs: 100, describe: async () => JSON.stringify(await program.bus()) },
  )
}

describe('a server that is killed while its stream is read', { timeout: 1_200_000 }, () => {
  it('costs no figure: read on and read from the beginning, the totals are the same', async () => {
    const server = await serverForTest()
    const link = await linkForTest(linkWith(['--nats', server.url], { spreadMs: 200 }))
    await ensureStreams(link.jsm, 'local', streamSettings('--flow-max-age', '60m'))
    const collectors = inventCollectors(link, 'local', partitions, { patienceMs: 2_000 })
    afterTest(() => collectors.stop())
    const firstMinute = Math.floor(Date.now() / minuteMs)
    let program = await startAggregatorProgram(server.url)
    await program.ready()
    for (let kill = 1; kill <= 3; kill++) {
      await readsOn(program)
      await server.kill()
      await server.restart()
    }
    await readsOn(program)
    // and wherever an aggregator is that has just started: loading, claiming or reading again
    await program.kill('SIGKILL')
    program = await startAggregatorProgram(server.url)
    await server.kill()
    await server.restart()
    await program.ready()
    await readsOn(program)
    const lastMinute = Math.floor(Date.now() / minuteMs)
    await program.closed(lastMinute)
    await collectors.stop()
    const whole = await readUninterrupted(link, 'local')
    for (let minute = firstMinute; minute <= lastMinute; minute++) {
      const range = [minute * minuteMs, (minute + 1) * minuteMs] as const
      const want = figures(whole(...range))
      expect(Object.keys(want).length).toBeGreaterThan(0)
      expect(figures(await program.topology(...range))).toEqual(want)
    }
    const { ingest } = await program.get<{ ingest: IngestStatus }>('/status')
    expect(ingest.identity).toMatchObject({ lost: {}, holds: true })
    for (const { identity } of ingest.nodes) expect(identity.records).toMatchObject({ lost: {}, holds: true })
    for (const each of (await program.bus()).partitions) expect(each).toMatchObject({ trims: 0 })
    expect(await program.kill('SIGTERM')).toBe(0)
  })
})
