import {
  type BatchHeader,
  type BusMessage,
  createFlowColumns,
  createInProcessBus,
  decodeFlowBatch,
  encodeBody,
  lossPlaces,
  packKind,
} from '@skybraid/shared'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Collector, startCollector } from './collector.ts'
import { testConfig } from './config.testing.ts'
import { noCounters } from './counters.ts'
import type { CaptureCounters, OpenCaptureOptions } from './source/open-capture.ts'
import { writeFlush } from './write-flush.testing.ts'

const minuteMs = Date.UTC(2026, 0, 1)
const config = testConfig({ maxFlows: 100, spool: 1 << 20 })

function bodyOf(records: number): Uint8Array {
  const columns = createFlowColumns()
  columns.count = records
  columns.header.owners.push({ cgroup: '/x', podUid: '', containerId: '', unit: '', process: 'p', pid: 1 })
  for (let row = 0; row < records; row++) {
    columns.u32.kind[row] = packKind(1, 1, 1)
    columns.u32.bytesSent[row] = row + 1
  }
  return encodeBody(columns)
}

const frame = (partition: number, recordCount: number) => ({
  partition,
  recordCount,
  baseUnixMs: minuteMs,
  body: recordCount === 0 ? new Uint8Array(0) : bodyOf(recordCount),
})

function fakeSource() {
  let counters: CaptureCounters = noCounters
  let flush: (bytes: ArrayBuffer) => void = () => {}
  let seen: OpenCaptureOptions | undefined
  let last: ArrayBuffer | undefined
  const close = vi.fn(() => {
    if (last !== undefined) flush(last)
    last = undefined
  })
  return {
    close,
    options: () => seen,
    onClose: (bytes: ArrayBuffer) => {
      last = bytes
    },
    emit: (frames: ReturnType<typeof frame>[], change: Partial<CaptureCounters> = {}) => {
      counters = { ...counters, ...change }
      flush(writeFlush(frames))
    },
    count: (change: Partial<CaptureCounters>) => {
      counters = { ...counters, ...change }
    },
    raw: (bytes: ArrayBuffer) => flush(bytes),
    source: (options: OpenCaptureOptions) => {
      seen = options
      flush = options.onFlush
      return {
        hooks: [],
        capabilities: 5,
        counters: () => counters,
        setSampling: () => {},
        setPartitions: () => {},
        close,
      }
    },
  }
}

/** Its bytes are the bus's only until it has taken them. */
const copyOf = (message: BusMessage): BusMessage => ({ ...message, data: message.data.slice() })

const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() }
const running: Collector[] = []
afterEach(async () => {
  for (const collector of running.splice(0)) await collector.close()
  vi.clearAllMocks()
})

async function start(
  fake: ReturnType<typeof fakeSource>,
  change: Partial<Parameters<typeof startCollector>[0]> = {},
) {
  const bus = createInProcessBus()
  const received: { header: BatchHeader; bytesSent: number[]; message: BusMessage }[] = []
  const columns = createFlowColumns()
  bus.subscribe(message => {
    expect(decodeFlowBatch(message.data, columns)).toEqual({ ok: true })
    const bytesSent = [...columns.u32.bytesSent.subarray(0, columns.count)]
    received.push({ header: structuredClone(columns.header), bytesSent, message })
  })
  const collector = await startCollector({ config, bus, log, source: fake.source, drainMs: 100, ...change })
  running.push(collector)
  return { bus, received, collector }
}

describe('startCollector', () => {
  it('hands its options to the capture', async () => {
    const fake = fakeSource()
    await start(fake)
    expect(fake.options()).toMatchObject({
      cgroupPath: '/sys/fs/cgroup/x',
      flushMs: 500,
      partitions: 2,
      ringBytes: 1 << 20,
      maxFlows: 100,
      reportMs: 10_000,
      announceMs: 300_000,
      udp: true,
      taskFiles: false,
    })
  })

  it('publishes every frame as a complete batch', async () => {
    const fake = fakeSource()
    const { bus, received, collector } = await start(fake)
    fake.emit([frame(0, 2), frame(1, 1)], { ringProduced: 9, ringConsumed: 7, ringFull: 3, recordsMerged: 4 })
    fake.emit([frame(0, 1), frame(0, 0), frame(1, 0)])
    await bus.idle()
    expect(received.map(({ header, bytesSent }) => [header.partition, header.sequence, bytesSent])).toEqual([
      [0, 1, [1, 2]],
      [1, 1, [1]],
      [0, 2, [1]],
      [0, 3, []],
      [1, 2, []],
    ])
    expect(received.map(({ header }) => header.minuteComplete)).toEqual([false, false, false, true, true])
    expect(received[0].header).toMatchObject({
      node: 'node.a',
      cluster: 'local',
      bootId: collector.bootId,
      baseUnixMs: minuteMs,
      flushIntervalMs: 500,
      capabilities: 5,
      recordsEncoded: 7,
      recordsMerged: 4,
      ringProduced: 12,
      ringConsumed: 7,
      losses: [{ place: lossPlaces.ring_full, records: 3 }],
      owners: [{ cgroup: '/x', process: 'p' }],
    })
    expect(received[0].message.node).toBe('node_a')
  })

  it('tells losses by place and keeps both identities', async () => {
    const fake = fakeSource()
    const { bus, received, collector } = await start(fake)
    const losses = { ringFull: 1, storageRefused: 2, udpMapFull: 3, flowTableFull: 4 }
    fake.emit([frame(0, 3)], { ringProduced: 10, ringConsumed: 10, recordsMerged: 2, ...losses })
    await bus.idle()
    expect(received[0].header.losses).toEqual([
      { place: lossPlaces.ring_full, records: 1 },
      { place: lossPlaces.storage_refused, records: 5 },
      { place: lossPlaces.flow_table_full, records: 4 },
    ])
    await vi.waitFor(() => expect(collector.status().records.queued).toBe(0))
    expect(collector.status()).toMatchObject({
      ring: { produced: 11, consumed: 10, full: 1, waiting: 0, holds: true },
      records: { encoded: 5, published: 3, merged: 2, queued: 0, lost: { spool_full: 0 }, holds: true },
    })
  })

  it('keeps what the bus does not take, gives up the oldest at the limit, and counts it exactly', async () => {
    const fake = fakeSource()
    let down = true
    const published: BusMessage[] = []
    const bus = {
      publish: async (message: BusMessage) => {
        if (down) throw new Error('down')
        published.push(copyOf(message))
      },
    }
    const { collector } = await start(fake, { bus, drainMs: 5_000 })
    const bodyBytes = bodyOf(1_000).length
    const flushes = Math.ceil((3 * config.spool) / bodyBytes)
    for (let index = 0; index < flushes; index++) fake.emit([frame(0, 1_000)])
    const stuck = collector.status()
    expect(stuck.records.lost.spool_full).toBeGreaterThan(0)
    expect(stuck.spool.bytes).toBeLessThanOrEqual(config.spool)
    expect(stuck.records).toMatchObject({ encoded: flushes * 1_000, published: 0, holds: true })
    down = false
    fake.count({ recordsEncoded: flushes * 1_000 })
    await collector.close()
    const { records } = collector.status()
    expect(records).toMatchObject({ queued: 0, holds: true })
    const stops = config.partitions
    expect(records.published).toBe((published.length - stops) * 1_000)
    const columns = createFlowColumns()
    decodeFlowBatch(published.at(-1)!.data, columns)
    expect(columns.header).toMatchObject({ cleanStop: true, partition: 1, sequence: 1 })
    decodeFlowBatch(published.at(-stops)!.data, columns)
    expect(columns.header).toMatchObject({ cleanStop: true, partition: 0, sequence: published.length - 1 })
    expect(columns.header.losses).toEqual([
      { place: lossPlaces.spool_full, records: records.lost.spool_full },
    ])
    expect(log.error).not.toHaveBeenCalled()
  }, 30_000)

  it('publishes the last flush before close resolves, detaches once', async () => {
    const fake = fakeSource()
    const { received, collector } = await start(fake, { drainMs: 5_000 })
    fake.onClose(writeFlush([frame(1, 2)]))
    fake.count({ recordsEncoded: 2 })
    await Promise.all([collector.close(), collector.close()])
    expect(received.map(({ header }) => header.recordCount)).toEqual([2, 0, 0])
    expect(fake.close).toHaveBeenCalledTimes(1)
    expect(log.warn).not.toHaveBeenCalled()
    expect(log.error).not.toHaveBeenCalled()
  })

  it('says in every partition that it stops, after everything else and with its last figures', async () => {
    const fake = fakeSource()
    const { received, collector } = await start(fake, { drainMs: 5_000 })
    fake.emit([frame(0, 0), frame(1, 3)])
    fake.onClose(writeFlush([frame(1, 2)]))
    fake.count({ recordsEncoded: 9, recordsMerged: 4 })
    await collector.close()
    expect(received.map(({ header: h }) => [h.partition, h.sequence, h.recordCount, h.cleanStop])).toEqual([
      [0, 1, 0, false],
      [1, 1, 3, false],
      [1, 2, 2, false],
      [0, 2, 0, true],
      [1, 3, 0, true],
    ])
    for (const { header } of received.slice(-2)) {
      expect(header).toMatchObject({ recordsEncoded: 9, recordsMerged: 4, minuteComplete: false })
    }
    expect(log.error).not.toHaveBeenCalled()
  })

  it('does not say that it stopped when records are left behind', async () => {
    const fake = fakeSource()
    const taken: BusMessage[] = []
    let answering = true
    const publish = (message: BusMessage) => {
      taken.push(copyOf(message))
      return answering ? Promise.resolve() : new Promise<void>(() => {})
    }
    const { collector } = await start(fake, { bus: { publish }, drainMs: 20 })
    fake.emit([frame(0, 1)])
    await vi.waitFor(() => expect(collector.status().records.published).toBe(1))
    answering = false
    fake.emit([frame(0, 2)])
    fake.count({ recordsEncoded: 3 })
    await collector.close()
    const columns = createFlowColumns()
    for (const { data } of taken) {
      expect(decodeFlowBatch(data, columns)).toEqual({ ok: true })
      expect(columns.header.cleanStop).toBe(false)
    }
    expect(taken).toHaveLength(2)
  })

  it('does not wait for ever for a bus that never answers', async () => {
    const fake = fakeSource()
    const bus = { publish: () => new Promise<void>(() => {}) }
    const { collector } = await start(fake, { bus, drainMs: 20 })
    fake.emit([frame(0, 2)], { recordsEncoded: 2 })
    await collector.close()
    expect(log.warn).toHaveBeenCalledWith(
      { unacknowledged: 2, stored: 0 },
      expect.stringContaining('closed before'),
    )
    expect(collector.status().records).toMatchObject({ queued: 2, holds: true })
  })

  it('counts a flush it cannot read and goes on', async () => {
    const fake = fakeSource()
    const { bus, received, collector } = await start(fake)
    fake.raw(new ArrayBuffer(31))
    fake.emit([frame(0, 1)])
    await bus.idle()
    expect(received).toHaveLength(1)
    expect(collector.status().brokenFlushes).toBe(1)
    fake.count({ recordsEncoded: 1 })
  })

  it('says at the end if records were made and never handed over', async () => {
    const fake = fakeSource()
    const { collector } = await start(fake)
    fake.count({ recordsEncoded: 5, recordsMerged: 2 })
    await collector.close()
    expect(log.error).toHaveBeenCalledWith({ missing: 3 }, expect.any(String))
  })

  it('rejects with one sentence if the kernel cannot be observed', async () => {
    const source = () => {
      throw new Error('The kernel programs are not built.')
    }
    const bus = createInProcessBus()
    await expect(startCollector({ config, bus, log, source })).rejects.toMatchObject({
      code: 'SB_CAPTURE',
      message: 'The kernel programs are not built.',
    })
    const { cgroup: _, ...rest } = config
    const bare = { ...rest, cgroup: undefined }
    await expect(startCollector({ config: bare, bus, log, source })).rejects.toMatchObject({
      code: 'SB_CONFIG',
    })
  })
})
