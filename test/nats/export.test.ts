import { describe, expect, it } from 'vitest'
import { FakeOap } from '../../packages/aggregator/src/export/oap/fake-oap.testing.ts'
import { ensureStreams } from '../../packages/shared/src/nats/index.ts'
import { startAggregatorProgram } from './aggregator-program.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { inventCollectors } from './invented-collectors.ts'
import { streamSettings } from './stream-settings.ts'
import { exported, exportOfWhole, ownSeries } from './whole-export.ts'

const minuteMs = 60_000
const partitions = 4

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
    const truth = await exportOfWhole(link)
    expect(Object.keys(truth).length).toBeGreaterThan(50)
    expect(oap.model.broken).toEqual([])
    const seen = ownSeries(oap.model.series)
    if (unknown === 0) expect(seen).toEqual(truth)
    else
      for (const [key, value] of Object.entries(seen)) expect(value, key).toBeLessThanOrEqual(truth[key] ?? 0)
  })
})
