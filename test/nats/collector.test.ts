import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openFileStore } from '../../packages/collector/src/program.ts'
import { ensureStreams, flowStream, type NatsLink } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { lossyProxy } from './lossy-proxy.ts'
import type { NatsServer } from './nats-server.ts'
import { permissionsTemplate } from './permissions-template.ts'
import { removeFolder, scratchFolder } from './scratch-folder.ts'
import {
  quietLog,
  type ScriptedCollector,
  type ScriptOptions,
  scriptedCollector,
} from './scripted-collector.ts'
import { gapsOf, streamContent } from './stream-content.ts'
import { streamSettings } from './stream-settings.ts'

const soon = { spreadMs: 200 }

interface Running extends ScriptedCollector {
  readonly server: NatsServer
  readonly link: NatsLink
}

async function running(options: ScriptOptions = {}, server?: NatsServer): Promise<Running> {
  const there = server ?? (await serverForTest())
  const link = await linkForTest(linkWith(['--nats', there.url], soon))
  await ensureStreams(link.jsm, 'local', streamSettings())
  const scripted = await scriptedCollector(options)
  scripted.bus.use(link)
  return { ...scripted, server: there, link }
}

const published = ({ collector }: ScriptedCollector) =>
  until('everything is published', () => collector.status().records.queued === 0, {
    timeoutMs: 120_000,
    describe: () => JSON.stringify(collector.status()),
  })

/** Nothing lost, nothing twice: the stream holds what was sent, and the collector says the same. */
async function expectAll({ collector, sent, link }: Running): Promise<void> {
  const content = await streamContent(link)
  expect(gapsOf(content.batches)).toEqual([])
  expect(content).toMatchObject({ records: sent.records, bytesSent: sent.bytes })
  expect(collector.status().records).toMatchObject({
    encoded: sent.records,
    published: sent.records,
    queued: 0,
    lost: { spool_full: 0 },
    holds: true,
  })
}

/** Flushes until `isOver`, every 20 ms. */
async function flushWhile(scripted: ScriptedCollector, isOver: () => boolean): Promise<void> {
  for (let n = 0; !isOver() && n < 2_000; n++) {
    scripted.flush()
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

const during = (ms: number) => {
  const begun = performance.now()
  return () => performance.now() - begun > ms
}

describe('a collector on the bus', () => {
  it('publishes batches that tell what they are, compressed and not', async () => {
    const one = await running()
    one.flush(300)
    await published(one)
    await expectAll(one)
    const { stored } = await streamContent(one.link)
    expect(stored.map(({ encoding }) => encoding)).toEqual(['zstd', 'zstd'])
    const { batchBytes, payloadBytes, acknowledged } = one.bus.status()
    expect(acknowledged).toBe(2)
    expect(payloadBytes).toBeLessThan(batchBytes / 2)
    const other = await running({ encoding: 'raw' }, one.server)
    other.flush()
    await published(other)
    const all = await streamContent(one.link)
    expect(all.stored.slice(2).map(({ encoding }) => encoding)).toEqual(['raw', 'raw'])
    expect(all.stored[2].data.length + all.stored[3].data.length).toBe(other.bus.status().payloadBytes)
  })

  it('does not compress a few records', async () => {
    const one = await running()
    one.flush(1)
    await published(one)
    await expectAll(one)
    const { stored } = await streamContent(one.link)
    expect(stored.map(({ encoding }) => encoding)).toEqual(['raw', 'raw'])
    const { batchBytes, payloadBytes } = one.bus.status()
    expect(payloadBytes).toBe(batchBytes)
  })

  it('captures before there is a bus, and publishes when it comes', async () => {
    const scripted = await scriptedCollector()
    for (let n = 0; n < 20; n++) scripted.flush()
    expect(scripted.bus.status()).toMatchObject({ connected: false, acknowledged: 0 })
    await until('it was tried', () => scripted.bus.status().refusals.not_connected > 0)
    const server = await serverForTest()
    const link = await linkForTest(linkWith(['--nats', server.url], soon))
    await ensureStreams(link.jsm, 'local', streamSettings())
    scripted.bus.use(link)
    await published(scripted)
    await expectAll({ ...scripted, server, link })
  })

  it('loses nothing while the server is killed for some seconds', async () => {
    const one = await running()
    await flushWhile(one, during(300))
    await one.server.kill()
    await flushWhile(one, during(3_000))
    await one.server.restart()
    await flushWhile(one, () => one.link.state().connected)
    await published(one)
    await expectAll(one)
    expect(one.bus.status()).toMatchObject({ connected: true, disconnects: 1 })
  })

  it('loses nothing while the server hangs, and publishes no batch in two forms', async () => {
    const one = await running({ ackTimeoutMs: 700 })
    await flushWhile(one, during(300))
    one.server.pause()
    await flushWhile(one, during(3_000))
    one.server.resume()
    await published(one)
    await expectAll(one)
    expect(one.bus.status().refusals.timeout).toBeGreaterThan(0)
  })

  it('waits while the stream is full and takes nothing new, and says so', async () => {
    const server = await serverForTest()
    const link = await linkForTest(linkWith(['--nats', server.url], soon))
    const name = flowStream('local')
    const small = { name, subjects: ['skybraid.v1.local.flow.>'], max_bytes: 4_096, discard: 'new' as const }
    await link.jsm.streams.add(small)
    const scripted = await scriptedCollector()
    scripted.bus.use(link)
    for (let n = 0; n < 40; n++) scripted.flush()
    await until('it is refused', () => scripted.bus.status().refusals.stream_full > 0)
    expect(scripted.bus.status().lastRefusal).toMatchObject({ kind: 'stream_full' })
    expect(scripted.collector.status().records).toMatchObject({ lost: { spool_full: 0 }, holds: true })
    await link.jsm.streams.update(name, { max_bytes: 64 << 20 })
    await published(scripted)
    await expectAll({ ...scripted, server, link })
    expect(scripted.bus.status().lastRefusal).toBeUndefined()
  })

  it('waits for a stream that is not there yet, and refuses one that is not its own', async () => {
    const server = await serverForTest()
    const link = await linkForTest(linkWith(['--nats', server.url], soon))
    const scripted = await scriptedCollector()
    scripted.bus.use(link)
    scripted.flush()
    await until('it is refused', () => scripted.bus.status().refusals.no_stream > 0)
    await link.jsm.streams.add({ name: 'OTHER', subjects: ['skybraid.v1.local.flow.>'] })
    await until('it is refused', () => scripted.bus.status().refusals.wrong_stream > 0)
    expect((await link.jsm.streams.info('OTHER')).state.messages).toBe(0)
    await link.jsm.streams.delete('OTHER')
    await ensureStreams(link.jsm, 'local', streamSettings())
    await published(scripted)
    await expectAll({ ...scripted, server, link })
  })

  it('is refused by the server under another node’s subject, and counts it', async () => {
    const server = await serverForTest({ config: permissionsTemplate() })
    const login = (user: string) => {
      const file = join(server.folder, user)
      writeFileSync(file, `change-${user}`)
      const args = [
        '--nats-user',
        user,
        '--nats-password-file',
        file,
        '--nats-inbox-prefix',
        `_INBOX_${user}`,
      ]
      return linkForTest(linkWith(['--nats', server.url, ...args], soon))
    }
    await ensureStreams((await login('aggregator')).jsm, 'prod', streamSettings())
    const link = await login('worker-a')
    const on = (node: string) => scriptedCollector({ cluster: 'prod', config: { node, cluster: 'prod' } })
    const own = await on('worker-a')
    const stranger = await on('worker-b')
    for (const scripted of [own, stranger]) {
      scripted.bus.use(link)
      scripted.flush()
    }
    await published(own)
    await until('it is refused', () => stranger.bus.status().refusals.permission > 0)
    expect(stranger.bus.status().lastRefusal?.kind).toBe('permission')
    expect(stranger.bus.status().permissionViolations).toBeGreaterThan(0)
    expect(stranger.collector.status().records).toMatchObject({ published: 0, queued: 100, holds: true })
    expect(link.state().connected).toBe(true)
    const content = await streamContent(await login('admin'), 'prod')
    expect(content).toMatchObject({ records: 100, bytesSent: 100 })
    expect(content.batches.map(({ header }) => header.node)).toEqual(['worker-a', 'worker-a'])
  })

  it('sends nothing that is larger than the server takes', async () => {
    const server = await serverForTest({ config: 'max_payload: 2KB' })
    const one = await running({ encoding: 'raw' }, server)
    one.flush(400)
    await until('it is refused', () => one.bus.status().refusals.too_large > 0)
    const { in_bytes: received } = await server.monitor<{ in_bytes: number }>('varz')
    expect(received).toBeLessThan(10_000)
    expect(one.link.state().connected).toBe(true)
    await server.reload('max_payload: 1MB')
    // it says so to those who connect
    await server.kill()
    await server.restart()
    await published(one)
    await expectAll(one)
  })

  it.each([
    ['the server tells them apart by their ids', 120_000],
    ['they are stored twice, the same bytes under the same sequence, where the server forgot the ids', 100],
  ])('publishes batches again whose acknowledgements were lost: %s', async (_, windowMs) => {
    const server = await serverForTest()
    const proxy = await lossyProxy(server.port)
    const direct = await linkForTest(linkWith(['--nats', server.url], soon))
    const stream = flowStream('local')
    const subjects = ['skybraid.v1.local.flow.>']
    await direct.jsm.streams.add({ name: stream, subjects, duplicate_window: windowMs * 1e6 })
    const link = await linkForTest(linkWith(['--nats', proxy.url], soon))
    const scripted = await scriptedCollector({ ackTimeoutMs: 400 })
    scripted.bus.use(link)
    scripted.flush()
    await published(scripted)
    const { duplicates } = scripted.bus.status()
    proxy.swallowAnswers()
    for (let n = 0; n < 4; n++) scripted.flush()
    const stored = async () => (await direct.jsm.streams.info(stream)).state.messages
    await until('the stream has them', async () => (await stored()) >= 10)
    await until('nobody was told', () => scripted.bus.status().refusals.timeout > 0)
    expect(scripted.bus.status().acknowledged).toBe(2)
    proxy.cut()
    await published(scripted)
    await expectAll({ ...scripted, server, link: direct })
    if (windowMs > 1_000) {
      expect(await stored()).toBe(10)
      expect(scripted.bus.status().duplicates - duplicates).toBe(8)
    } else {
      expect(await stored()).toBeGreaterThan(10)
    }
  })

  it('leaves what it could not publish in its folder, and the next collector of the node publishes exactly that', async () => {
    const directory = scratchFolder()
    afterTest(() => removeFolder(directory))
    const server = await serverForTest()
    const boots = ['00000000000000b1', '00000000000000b2'] as const
    const withStore = (bootId: string): ScriptOptions => {
      const place = { directory, capacityBytes: 64 << 20, cluster: 'local', node: 'node.a', bootId }
      return { collector: { bootId, store: openFileStore({ ...place, log: quietLog }) } }
    }
    const first = await running(withStore(boots[0]), server)
    first.flush()
    await published(first)
    await server.kill()
    await until('it is noticed', () => !first.link.state().connected)
    for (let n = 0; n < 30; n++) first.flush()
    const left = await first.collector.close()
    expect(left).toEqual({ unacknowledged: 0, stored: 30 * 100 })
    await server.restart()
    const second = await running(withStore(boots[1]), server)
    second.flush()
    await until(
      'all of it is published',
      () => second.collector.status().store?.publishedFormerBatches === 62,
    )
    await published(second)
    const content = await streamContent(second.link)
    expect(gapsOf(content.batches)).toEqual([])
    expect(content.records).toBe(first.sent.records + second.sent.records)
    expect(content.bytesSent).toBe(first.sent.bytes + second.sent.bytes)
    const stops = content.batches.filter(({ header }) => header.cleanStop).map(({ header }) => header)
    expect(stops.map(({ bootId, partition }) => [bootId, partition])).toEqual([
      [boots[0], 0],
      [boots[0], 1],
    ])
    expect(second.collector.status()).toMatchObject({
      records: { encoded: 100, published: 100, queued: 0, holds: true },
      store: { bytes: 0, formerBatches: 0, publishedFormerRecords: 3_000 },
    })
  })
})
