import { expect, it } from 'vitest'
import { createExportNotes } from '../../packages/aggregator/src/bus/export-notes.ts'
import {
  createPartitionExports,
  type PartitionExports,
} from '../../packages/aggregator/src/bus/partition-exports.ts'
import { noPairs } from '../../packages/aggregator/src/export/oap/interval/packed-pairs.ts'
import { noneOverstated } from '../../packages/aggregator/src/export/otlp/series-ledger.ts'
import { exportBucket, type NatsLink } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from './bus-link.ts'
import { linkForTest, serverForTest } from './cleanup.ts'
import { lossyProxy } from './lossy-proxy.ts'
import { streamSettings } from './stream-settings.ts'

const cluster = 'local'
const clock = { nowMs: () => 1, advance: () => undefined }

async function busForTest(): Promise<NatsLink> {
  const server = await serverForTest()
  return linkForTest(linkWith(['--nats', server.url]))
}

/** Exports of a process, of whose partitions there is a minute more at each take. */
function exportsOf(link: NatsLink, owner: string) {
  const notes = createExportNotes(link, cluster, streamSettings(), owner)
  let minute = 0
  let drains = 0
  const exports = createPartitionExports({
    topology: { markDeltas: () => undefined, takeDeltas: () => undefined },
    notes,
    bookOf: () => ({
      drain() {
        drains++
        return [{ unixMinute: minute++, pairs: noPairs, requests: [], figures: [] }]
      },
      pass: () => undefined,
      owed: noneOverstated,
    }),
    overstated: noneOverstated(),
    nowMs: Date.now,
    takeNow: async () => undefined,
  })
  const minutesTaken = async () => (await exports.source.take()).minutes.length
  return { exports, notes, minutesTaken, drains: () => drains }
}

async function beginAt(exports: PartitionExports, partition: number, sequence: number): Promise<void> {
  await exports.begin(partition, clock)
  exports.caughtUp(partition)
  exports.before(partition, sequence)
}

const dropBucket = (link: NatsLink) => link.jsm.streams.delete(`KV_${exportBucket(cluster)}`)

it('goes on in a bucket that is made anew, whoever makes it', async () => {
  const link = await busForTest()
  const { exports, minutesTaken } = exportsOf(link, 'one')
  await beginAt(exports, 0, 5)
  expect(await minutesTaken()).toBe(1)
  await dropBucket(link)
  expect(await minutesTaken()).toBe(1)
  await dropBucket(link)
  const other = exportsOf(link, 'other')
  await beginAt(other.exports, 1, 5)
  expect(await minutesTaken()).toBe(1)
  expect(await other.minutesTaken()).toBe(1)
  expect(exports.status()).toMatchObject({ unknownBefore: 0, without: [], unnoted: 0 })
  // what was noted there counts as it did before
  const next = exportsOf(link, 'next')
  await next.exports.begin(0, clock)
  expect(next.exports.status()).toMatchObject({ unknownBefore: 3, without: [] })
}, 120_000)

it('tries for notes again once the partition is known to be its own, and throws away, counted, what came meanwhile', async () => {
  const link = await busForTest()
  const { exports, minutesTaken, drains } = exportsOf(link, 'one')
  await beginAt(exports, 0, 5)
  expect(await minutesTaken()).toBe(1)
  // somebody else believed to have it
  const other = exportsOf(link, 'other')
  await other.exports.begin(0, clock)
  expect(other.exports.status().unknownBefore).toBe(1)
  expect(await minutesTaken()).toBe(0)
  expect(exports.status()).toMatchObject({ without: [0], unnoted: 0 })
  const before = drains()
  expect([await minutesTaken(), await minutesTaken()]).toEqual([0, 0])
  expect(drains()).toBe(before + 2)
  expect(exports.status()).toMatchObject({ without: [0], unnoted: 2 })
  exports.owned(0)
  await until('it has notes again', () => exports.status().without.length === 0)
  expect(await minutesTaken()).toBe(1)
  expect(exports.status()).toMatchObject({ unknownBefore: 0, unnoted: 3 })
}, 120_000)

it('settles takes of its own time alone, and of that all', async () => {
  const link = await busForTest()
  const one = exportsOf(link, 'one')
  await beginAt(one.exports, 0, 5)
  const early = await one.exports.source.take()
  // the same process once more, without anybody between
  one.exports.lose(0)
  await beginAt(one.exports, 0, 6)
  const later = await one.exports.source.take()
  early.settled()
  await one.notes.flush()
  const other = exportsOf(link, 'other')
  await other.exports.begin(0, clock)
  expect(other.exports.status().unknownBefore).toBe(1)
  // and with somebody between
  one.exports.lose(0)
  await beginAt(one.exports, 0, 7)
  const last = await one.exports.source.take()
  later.settled()
  await one.notes.flush()
  const next = exportsOf(link, 'next')
  await next.exports.begin(0, clock)
  expect([last.minutes.length, next.exports.status().unknownBefore]).toEqual([1, 1])
}, 120_000)

it('counts what a former owner left once, though it is not heard at first whether its notes were taken over', async () => {
  const server = await serverForTest()
  const one = exportsOf(await linkForTest(linkWith(['--nats', server.url])), 'one')
  await beginAt(one.exports, 0, 5)
  expect(await one.minutesTaken()).toBe(1)
  const proxy = await lossyProxy(server.port)
  const next = exportsOf(await linkForTest(linkWith(['--nats', proxy.url], { spreadMs: 200 })), 'next')
  proxy.swallowAnswersTo('"owner":"next"')
  await next.exports.begin(0, clock)
  expect(next.exports.status()).toMatchObject({ unknownBefore: 0, without: [0] })
  proxy.cut()
  next.exports.owned(0)
  await until('it has notes', () => next.exports.status().without.length === 0)
  expect(next.exports.status().unknownBefore).toBe(1)
}, 120_000)
