import { describe, expect, it } from 'vitest'
import { FakeOap } from '../../packages/aggregator/src/export/oap/fake-oap.testing.ts'
import { ensureStreams } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { CutLink } from '../oap/cut-link.ts'
import { type AggregatorProgram, startAggregatorProgram } from './aggregator-program.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { inventCollectors } from './invented-collectors.ts'
import { unsettledIn, watchTakes } from './noted-takes.ts'
import { streamSettings } from './stream-settings.ts'
import { comparable, expectExported, exported, exportOfTakes, lateCallsAsOne } from './whole-export.ts'

const minuteMs = 60_000
const partitions = 4

async function setUp() {
  const server = await serverForTest()
  const link = await linkForTest(linkWith(['--nats', server.url]))
  await ensureStreams(link.jsm, 'local', streamSettings('--flow-max-age', '60m'))
  const takes = await watchTakes(link, 'local')
  afterTest(() => takes.stop())
  const collectors = inventCollectors(link, 'local', partitions, { says: true })
  afterTest(() => collectors.stop())
  const oap = await FakeOap.start({ hasMetrics: true })
  afterTest(() => oap.stop())
  const way = await CutLink.to(oap.port)
  afterTest(() => way.close())
  const start = () => startAggregatorProgram(server.url, '--oap', way.address, '--oap-metrics')
  return { link, takes, collectors, oap, way, start }
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

/** It has sent an interval, and nothing is on its way. */
async function sentOne(program: AggregatorProgram): Promise<void> {
  const { sent } = await exported(program)
  await until(
    'an interval is sent',
    async () => {
      const now = await exported(program)
      return now.sent.intervals > sent.intervals && now.queue.intervals === 0
    },
    { timeoutMs: 120_000 },
  )
}

/** How many takes it found of which nobody knows; of what it sent itself it knows. */
async function foundUnknown(program: AggregatorProgram): Promise<number> {
  const { notes, unknown, metrics, refused, queue } = await exported(program)
  const missing = [unknown.intervals, metrics.unknown, queue.droppedIntervals]
  expect([notes.without, refused, ...missing]).toEqual([[], {}, 0, 0, 0])
  return notes.unknownBefore
}

describe('the export to OAP from the bus', { timeout: 1_200_000 }, () => {
  it('says everything once, though the aggregator is killed, and told to end, and OAP is away', async () => {
    const { link, takes, collectors, oap, way, start } = await setUp()
    let program = await start()
    let unknown = 0
    for (const [waitMs, signal] of [
      [13_000, 'SIGKILL'],
      [4_000, 'SIGTERM'],
      [21_000, 'SIGKILL'],
    ] as const) {
      await program.ready()
      await pause(waitMs)
      unknown += await foundUnknown(program)
      await program.kill(signal)
      program = await start()
    }
    await program.ready()
    // told to end while OAP is away: what waits was noted, and is not sent by whoever comes next
    await sentOne(program)
    way.cut()
    await until('intervals wait', async () => (await exported(program)).queue.intervals > 1, {
      timeoutMs: 120_000,
    })
    unknown += await foundUnknown(program)
    expect(await program.kill('SIGTERM')).toBe(0)
    way.mend()
    program = await start()
    await program.ready()
    expect((await exported(program)).notes.unknownBefore).toBeGreaterThan(1)
    await sentOne(program)

    await collectors.stop()
    await program.closed(Math.floor(Date.now() / minuteMs))
    await until('all is sent', async () => (await exported(program)).queue.intervals === 0, {
      timeoutMs: 120_000,
    })
    unknown += await foundUnknown(program)
    expect(await program.kill('SIGTERM')).toBe(0)
    const noted = await takes.read()
    expect(unknown).toBe(unsettledIn(noted))
    const whole = await exportOfTakes(link, noted)
    expect(oap.model.broken).toEqual([])
    const seen = comparable([...oap.model.series, ...oap.points])
    for (const kind of [
      'kubernetes_service_connect_cpm',
      'kubernetes_service_relation_client_http_status_5xx_cpm',
      'kubernetes_service_instance_relation_server_read_package_size',
      'kubernetes_service_endpoint_http_call_cpm',
      'skybraid_requests',
      'skybraid_request_us_sum',
    ])
      expect(
        Object.keys(whole.certain).filter(key => key.startsWith(`${kind} `)).length,
        kind,
      ).toBeGreaterThan(5)
    expectExported(lateCallsAsOne(seen), {
      all: lateCallsAsOne(whole.all),
      certain: lateCallsAsOne(whole.certain),
    })
    // what waited when it ended is lost
    expect(seen).not.toEqual(whole.all)
  })
})
