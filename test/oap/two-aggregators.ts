import { expect } from 'vitest'
import { openBucket } from '../../packages/aggregator/src/bus/open-bucket.ts'
import { ensureStreams, exportBucket } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { type AggregatorProgram, startAggregatorProgram } from '../nats/aggregator-program.ts'
import { linkWith } from '../nats/bus-link.ts'
import { afterTest, linkForTest, serverForTest } from '../nats/cleanup.ts'
import { inventCollectors } from '../nats/invented-collectors.ts'
import { unsettledIn, watchTakes } from '../nats/noted-takes.ts'
import { streamSettings } from '../nats/stream-settings.ts'
import { comparable, expectExported, exported, exportOfTakes, isOwn } from '../nats/whole-export.ts'
import { CutLink } from './cut-link.ts'
import { eventually } from './eventually.ts'
import type { Oap } from './oap.ts'
import { OapReader, oapEntity } from './oap-reader.ts'

const minuteMs = 60_000
const partitions = 4
/** Their logs are more than OAP's window of a connection, which is 1 MiB. */
const burst = 30_000
/** Only bounds a hang. */
const patience = { timeoutMs: 240_000 }
/**
 * A burst, 1.2 MB, takes longer than it is until the next interval, and two in one interval, which may be under way at
 * once, less than until a stream is given up.
 */
const slowBytesPerSecond = 90_000

/**
 * Two aggregators share the partitions of a bus and feed one real OAP. The link of one is full for a while, during which
 * it goes on reading and answering; the other is killed in the middle of a minute. In the end OAP has of every service and
 * instance what one process that was never interrupted makes of the stream.
 */
export async function expectWholeOfTwo(oap: Oap): Promise<void> {
  const server = await serverForTest()
  const bus = await linkForTest(linkWith(['--nats', server.url]))
  await ensureStreams(bus.jsm, 'local', streamSettings('--flow-max-age', '60m'))
  const takes = await watchTakes(bus, 'local')
  afterTest(() => takes.stop())
  const collectors = inventCollectors(bus, 'local', partitions)
  afterTest(() => collectors.stop())
  const link = await CutLink.to(oap.ports.grpc)
  afterTest(() => link.close())
  const firstMinute = Math.floor(Date.now() / minuteMs)
  const start = (ordinal: number, address: string) =>
    startAggregatorProgram(
      server.url,
      ...['--replicas', '2', '--replica-ordinal', String(ordinal), '--take-over', '20s'],
      ...['--oap', address],
    )
  const [slow, killed] = await Promise.all([start(0, link.address), start(1, oap.address)])
  await until(
    'they share the partitions',
    async () => {
      const owned = await Promise.all([slow, killed].map(partitionsOf))
      return JSON.stringify(owned) === '[[0,2],[1,3]]'
    },
    patience,
  )

  // right after an interval, so that the whole burst is in the next
  let { sent } = await exported(slow)
  const isSent = async () => (await exported(slow)).sent.intervals > sent.intervals
  await until('an interval is sent', isSent, patience)
  link.limit(slowBytesPerSecond)
  await collectors.burst(0, burst)
  let bursts = 1
  await until(
    'intervals wait for OAP',
    async () => {
      const now = await exported(slow)
      if (now.queue.intervals > 0) return true
      // it came in parts
      if (now.sent.intervals > sent.intervals + 1 && bursts++ < 4) await collectors.burst(0, burst)
      sent = now.sent
      return false
    },
    patience,
  )
  const openedBefore = await opened(slow, firstMinute)
  const goesOn = async () => (await opened(slow, firstMinute)) > openedBefore + 50
  await until('it reads and answers on', goesOn, patience)
  link.limit(Number.POSITIVE_INFINITY)

  const notes = await openBucket(bus, exportBucket('local'), streamSettings())
  const notesOfKilled = () => Promise.all([1, 3].map(partition => noteOf(notes, partition)))
  const before = await notesOfKilled()
  // killed while nothing is in flight, so that nothing is unknown and sums must be equal
  const areSettled = async () =>
    (await notesOfKilled()).every(
      ({ taken, settled }, i) => taken === settled && settled > before[i]!.settled,
    )
  await until('it is noted what became of an interval of the other', areSettled, patience)
  const all = [await exported(killed)]
  await killed.kill('SIGKILL')
  const restarted = await start(1, oap.address)
  await restarted.ready()
  const replicas = [slow, restarted]
  await collectors.stop()
  const lastMinute = Math.floor(Date.now() / minuteMs)
  await Promise.all(replicas.map(each => each.closed(lastMinute)))
  const isAllSent = async () =>
    (await Promise.all(replicas.map(exported))).every(({ queue }) => queue.intervals === 0)
  await until('everything is sent', isAllSent, patience)
  all.push(...(await Promise.all(replicas.map(exported))))
  for (const { queue, refused, notes, unknown } of all)
    expect([queue.droppedIntervals, refused, notes.without, unknown.intervals]).toEqual([0, {}, [], 0])
  for (const each of replicas) expect(await each.kill('SIGTERM')).toBe(0)
  const noted = await takes.read()
  expect(all.reduce((n, { notes }) => n + notes.unknownBefore, 0)).toBe(unsettledIn(noted))
  // an interval and a round of each partition of the one that was killed, if they began just then
  expect(unsettledIn(noted)).toBeLessThanOrEqual(4)
  const whole = await exportOfTakes(bus, noted)
  const truth = { all: ownSeries(whole.all), certain: ownSeries(whole.certain) }
  expect(Object.keys(truth.all).length).toBeGreaterThan(50)
  const entities = [...new Set(Object.keys(truth.all).map(key => key.split(' @ ')[1]!))].map(oapEntity)
  const reader = new OapReader(oap)
  await eventually(async () => {
    const seen: [string, number][] = []
    for (const entity of entities) seen.push(...(await reader.series(entity, firstMinute, lastMinute)))
    expectExported(comparable(seen), truth)
  })
}

/** Figures of services and instances. */
function ownSeries(figures: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).filter(([key]) => isOwn(key)))
}

async function noteOf(
  notes: Awaited<ReturnType<typeof openBucket>>,
  partition: number,
): Promise<{ readonly taken: number; readonly settled: number }> {
  return (await notes.get(`partition.${partition}`))!.json()
}

async function partitionsOf(program: AggregatorProgram): Promise<number[]> {
  const { partitions: all } = await program.bus()
  return all.filter(({ phase }) => phase === 'owning').map(({ partition }) => partition)
}

/** Connections that it shows. */
async function opened(program: AggregatorProgram, fromMinute: number): Promise<number> {
  const { edges } = await program.topology(fromMinute * minuteMs, Date.now() + minuteMs)
  return edges.reduce((sum, { tcp }) => sum + (tcp?.opened ?? 0), 0)
}
