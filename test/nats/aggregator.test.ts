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

async function setUp() {
  const server = await serverForTest()
  const link = await linkForTest(linkWith(['--nats', server.url]))
  await ensureStreams(link.jsm, 'local', streamSettings('--flow-max-age', '60m'))
  const collectors = inventCollectors(link, 'local', partitions)
  afterTest(() => collectors.stop())
  return { server, link, collectors, url: server.url }
}

async function owned(program: AggregatorProgram): Promise<number[]> {
  const { partitions: all } = await program.bus()
  return all.filter(({ phase }) => phase === 'owning').map(({ partition }) => partition)
}

describe('skybraid aggregator on the bus', { timeout: 1_800_000 }, () => {
  it('has the totals of one that was never interrupted, minute by minute, killed again and again', async () => {
    const { link, collectors, url } = await setUp()
    const firstMinute = Math.floor(Date.now() / minuteMs)
    let program = await startAggregatorProgram(url)
    for (const waitMs of [2_000, 13_000, 24_000, 7_000]) {
      await program.ready()
      await new Promise(resolve => setTimeout(resolve, waitMs))
      expect(await program.kill('SIGKILL')).toBe('SIGKILL')
      program = await startAggregatorProgram(url)
    }
    await program.ready()
    const lastMinute = Math.floor(Date.now() / minuteMs)
    await program.closed(lastMinute)
    await collectors.stop()
    const whole = await readUninterrupted(link, 'local')
    for (let minute = firstMinute; minute <= lastMinute; minute++) {
      const range = [minute * minuteMs, (minute + 1) * minuteMs] as const
      const [have, want] = [figures(await program.topology(...range)), figures(whole(...range))]
      expect(Object.keys(want).length).toBeGreaterThan(0)
      expect(have).toEqual(want)
    }
    expect(await owned(program)).toEqual([0, 1, 2, 3])
    const { ingest } = await program.get<{ ingest: IngestStatus }>('/status')
    expect(ingest.identity).toMatchObject({ duplicates: 0, lost: {}, holds: true })
    for (const each of (await program.bus()).partitions)
      expect(each).toMatchObject({ refusedMessages: 0, refusedSegments: 0, refusedBatches: 0 })
    expect(await program.kill('SIGTERM')).toBe(0)
  })

  it('has right totals in every replica while one is paused past its turn, and when there is one more', async () => {
    const { link, collectors, url } = await setUp()
    const firstMinute = Math.floor(Date.now() / minuteMs)
    const replica = (ordinal: number, replicas: number) =>
      startAggregatorProgram(
        url,
        ...['--replicas', String(replicas), '--replica-ordinal', String(ordinal), '--take-over', '20s'],
      )
    const first = await replica(0, 2)
    const second = await replica(1, 2)
    await until(
      'they share the partitions',
      async () => {
        const both = [await owned(first), await owned(second)]
        return JSON.stringify(both) === '[[0,2],[1,3]]'
      },
      { timeoutMs: 240_000 },
    )
    second.child.kill('SIGSTOP')
    await until('its partitions are taken over', async () => (await owned(first)).length === partitions, {
      timeoutMs: 300_000,
      everyMs: 250,
    })
    second.child.kill('SIGCONT')
    await until('the other one gives up', async () => (await owned(second)).length === 0, {
      timeoutMs: 240_000,
    })
    const third = await replica(2, 3)
    await until('the third has its own', async () => (await owned(third)).join() === '2', {
      timeoutMs: 240_000,
    })
    await until('the first one gives that up', async () => (await owned(first)).join() === '0,1,3', {
      timeoutMs: 240_000,
    })
    await collectors.stop()
    // other replicas have what changed in earlier minutes with the round of the minute in which it did
    const lastMinute = Math.floor(Date.now() / minuteMs)
    await Promise.all([first, second, third].map(each => each.closed(lastMinute)))
    const whole = await readUninterrupted(link, 'local')
    for (let minute = firstMinute; minute <= lastMinute; minute++) {
      const range = [minute * minuteMs, (minute + 1) * minuteMs] as const
      const want = figures(whole(...range))
      for (const each of [first, second, third]) expect(figures(await each.topology(...range))).toEqual(want)
    }
    const { completeness } = await second.topology(lastMinute * minuteMs, (lastMinute + 1) * minuteMs)
    expect(completeness.partitions).toEqual({ count: 4, missing: [], openElsewhere: [0, 1, 2, 3] })
    expect(await third.kill('SIGTERM')).toBe(0)
  })
})
