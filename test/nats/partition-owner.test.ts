import { describe, expect, it } from 'vitest'
import {
  createPartitionOwner,
  type PartitionOwnerOptions,
} from '../../packages/aggregator/src/bus/partition-owner.ts'
import { createRollupAppender } from '../../packages/aggregator/src/bus/rollup-appender.ts'
import { createPartitionedCore } from '../../packages/aggregator/src/core.ts'
import type { PartitionCore } from '../../packages/aggregator/src/partition/partition-core.ts'
import { encodeClaim, rollupWords } from '../../packages/aggregator/src/partition/round-bytes.ts'
import { decodeRollup } from '../../packages/aggregator/src/partition/round-decode.ts'
import type { PartitionLayout } from '../../packages/shared/src/index.ts'
import { ensureStreams, rollupStream } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { inventCollectors } from './invented-collectors.ts'
import { lossyProxy } from './lossy-proxy.ts'
import { quietLog } from './scripted-collector.ts'
import { streamSettings } from './stream-settings.ts'

const cluster = 'local'
const minuteMs = 60_000
/** A minute waits at most so long for batches, and a little. */
const graceMs = 31_000
const layout: PartitionLayout = [{ epoch: 1, partitions: 1, first: 0, fromMinute: 0 }]

function minuteOf(ms: number): number {
  return Math.floor(ms / minuteMs)
}

/**
 * An owner of partition 0 behind a proxy that can keep answers from it. Of ROLLUP it reads what the test hands to it, and
 * its clock goes on when the test says so.
 */
async function owning() {
  const server = await serverForTest()
  const proxy = await lossyProxy(server.port)
  const direct = await linkForTest(linkWith(['--nats', server.url]))
  await ensureStreams(direct.jsm, cluster, streamSettings())
  const collectors = inventCollectors(direct, cluster, 1, { everyMs: 3_600_000 })
  afterTest(() => collectors.stop())
  const link = await linkForTest(linkWith(['--nats', proxy.url], { spreadMs: 500 }))
  const startMs = Date.now()
  const shared = createPartitionedCore({
    startMs,
    joinCapacity: 1_000,
    maxEdges: 1_000,
    retentionMs: 3_600_000,
  })
  let booked: PartitionCore | undefined
  const stopping = new AbortController()
  afterTest(() => stopping.abort())
  const owner = createPartitionOwner({
    link,
    cluster,
    partition: 0,
    owner: 'one',
    core: {
      ...shared,
      open(partition, start) {
        booked = shared.open(partition, start)
        return booked
      },
    },
    log: quietLog as unknown as PartitionOwnerOptions['log'],
    readAgainMs: 6 * minuteMs,
    silentMs: 90_000,
    stop: stopping.signal,
    layout: () => layout,
    strays: () => [],
  })
  let followed = 0
  /** Hands on what was appended since the last time. */
  async function followOn(): Promise<string[]> {
    const kinds: string[] = []
    const { state } = await direct.jsm.streams.info(rollupStream(cluster))
    for (let seq = followed + 1; seq <= state.last_seq; seq++) {
      const message = await direct.jsm.streams.getMessage(rollupStream(cluster), { seq })
      const { data, subject, timestamp } = message!
      owner.follow({
        data,
        subject,
        sequence: seq,
        unixMs: Date.parse(timestamp),
        stream: '',
        header: () => undefined,
      })
      const read = decodeRollup(new Uint8Array(data))
      kinds.push(typeof read === 'string' ? read : `${read.kind} of ${read.owner}`)
    }
    followed = state.last_seq
    return kinds
  }
  const lastRollup = async () => (await direct.jsm.streams.info(rollupStream(cluster))).state.last_seq
  let flushedMs: number
  do {
    flushedMs = Date.now()
    await collectors.flush()
  } while (minuteOf(Date.now()) !== minuteOf(flushedMs))
  await owner.claim()
  await until('it is up to date', () => owner.phase === 'owning' && (booked?.figures().applied ?? 0) > 0, {
    timeoutMs: 60_000,
  })
  await followOn()
  return {
    owner,
    proxy,
    followOn,
    lastRollup,
    other: createRollupAppender(direct, cluster, 0, stopping.signal, () => false),
    minute: minuteOf(flushedMs),
    /** Lets time pass until a minute is closed. */
    close(minute: number) {
      // never back to before what was read already, when nothing would happen
      booked!.tick(Math.max((minute + 1) * minuteMs + graceMs, flushedMs + 2_000))
      shared.tidy(flushedMs)
    },
    /** The last minute of what was appended last. */
    async storedThrough() {
      const { data } = (await direct.jsm.streams.getMessage(rollupStream(cluster), {
        seq: await lastRollup(),
      }))!
      const read = decodeRollup(new Uint8Array(data))
      return typeof read === 'string' ? read : read.closedThrough
    },
    edges: () =>
      shared.topology.topology(
        { fromMs: startMs - 2 * minuteMs, toMs: startMs + 2 * minuteMs, groupBy: 'process', limit: 100 },
        Date.now() + 3 * minuteMs,
      ).edges.length,
  }
}

describe('a partition that is taken by somebody else', { timeout: 240_000 }, () => {
  it('keeps the minutes of a round that was stored although its acknowledgement never came', async () => {
    const { owner, proxy, followOn, lastRollup, other, minute, close, storedThrough, edges } = await owning()
    const isStored = (through: number) =>
      until(`${through} is stored`, async () => (await storedThrough()) === through, { timeoutMs: 60_000 })
    close(minute - 1)
    await isStored(minute - 1)
    await followOn()
    const before = await lastRollup()
    proxy.swallowAnswers()
    close(minute)
    expect(edges()).toBeGreaterThan(0)
    await isStored(minute)
    expect(await followOn()).toEqual(['chunk of one'])
    expect(owner.phase).toBe('owning')
    other.noteRead(await lastRollup())
    expect(await other.append(encodeClaim(0, 'two'))).toBe('appended')
    expect(await followOn()).toEqual(['claim of two'])
    expect(owner.phase).toBe('following')
    expect(edges()).toBeGreaterThan(0)
    proxy.cut()
    await owner.close()
    expect(await lastRollup()).toBe(before + 2)
  })

  it('is given up although what the other one appended cannot be read', async () => {
    const { owner, followOn, lastRollup, other } = await owning()
    other.noteRead(await lastRollup())
    const claim = encodeClaim(0, 'two')
    new DataView(claim.buffer).setUint32(rollupWords.version * 4, 1_000, true)
    expect(await other.append(claim)).toBe('appended')
    expect(await followOn()).toEqual(['unknown_version'])
    expect(owner.phase).toBe('following')
    expect(owner.status().refusedMessages).toBe(1)
    await owner.close()
  })
})
