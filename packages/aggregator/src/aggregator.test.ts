import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createInProcessBus,
  EndReason,
  encodeFlowBatch,
  formatHostPort,
  type InProcessBus,
  Kind,
  loadConfig,
  Role,
  State,
} from '@skybraid/shared'
import pino from 'pino'
import type { Static, TSchema } from 'typebox'
import Value from 'typebox/value'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Aggregator, startAggregator } from './aggregator.ts'
import { flowListSchema } from './api/schema/flow-schema.ts'
import { statusSchema } from './api/schema/status-schema.ts'
import { edgeListSchema, topologySchema } from './api/schema/topology-schema.ts'
import { aggregatorConfigSchema } from './config.ts'
import { flowBatch, record, type TestRecord } from './join/flow-batch.testing.ts'

// servers and sockets: generous, because test machines are shared
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const eventually = { timeout: 5000, interval: 20 }

function config(...args: string[]) {
  const loaded = loadConfig(aggregatorConfigSchema, {
    args: args.includes('--listen') ? args : ['--listen', '127.0.0.1:0', ...args],
    env: {},
  })
  if (!loaded.ok) throw new Error(loaded.errors.join(' '))
  return loaded.config
}

async function start(...args: string[]) {
  const bus = createInProcessBus()
  const log = pino({ level: 'silent' })
  const aggregator = await startAggregator({ config: config(...args), bus, log, version: '1.2.3' })
  closers.push(() => aggregator.close())
  return { bus, aggregator, url: `http://${formatHostPort(aggregator.address)}` }
}

async function getJson<S extends TSchema>(url: string, schema: S): Promise<Static<S>> {
  const answer = await fetch(url)
  expect(answer.status).toBe(200)
  const value = (await answer.json()) as Static<S>
  expect(Value.Errors(schema, value)).toEqual([])
  return value
}

function publish(bus: InProcessBus, node: string, records: readonly TestRecord[]) {
  const columns = flowBatch(
    {
      node,
      bootId: `${node === 'n1' ? '1' : '2'}`.repeat(16),
      schemaVersion: 1,
      cluster: 'local',
      sequence: sequenceOf(node),
      firstRecord: recordsBefore(node),
      recordsEncoded: recordsBefore(node) + records.length,
      sentUnixMs: Date.now(),
    },
    records,
  )
  counts.get(node)!.records += records.length
  return bus.publish({ node, partition: 0, data: encodeFlowBatch(columns) })
}

const counts = new Map<string, { sequence: number; records: number }>()
function sequenceOf(node: string): number {
  const count = counts.get(node) ?? { sequence: 0, records: 0 }
  counts.set(node, count)
  return ++count.sequence
}
function recordsBefore(node: string): number {
  return counts.get(node)!.records
}

/** Both ends of one connection that carried `bytes` and ended with FIN, `port` telling connections apart. */
function conversation(port: number, bytes: number): [TestRecord, TestRecord] {
  const atMs = Date.now()
  const common = {
    dialler: 1000 + port,
    acceptor: 2000 + port,
    state: State.closed,
    reason: EndReason.fin,
    flags: Kind.first | Kind.quiet,
    atMs,
    openedMs: atMs - 50,
    flowId: port,
    handshakeUs: 120,
    srttUs: 300,
    minRttUs: 100,
    segmentsSent: 10,
    segmentsReceived: 10,
    dataSent: 5,
    dataReceived: 5,
    dataSentTotal: 5,
    dataReceivedTotal: 5,
  }
  const client = record({
    ...common,
    role: Role.client,
    local: `10.0.0.1:${port}`,
    remote: '10.0.0.2:80',
    owner: 'curl',
    bytesSent: bytes,
    bytesSentTotal: bytes,
    bytesReceived: 7,
    bytesReceivedTotal: 7,
  })
  const server = record({
    ...common,
    role: Role.server,
    local: '10.0.0.2:80',
    remote: `10.0.0.1:${port}`,
    owner: 'nginx',
    bytesSent: 7,
    bytesSentTotal: 7,
    bytesReceived: bytes,
    bytesReceivedTotal: bytes,
  })
  return [client, server]
}

async function talk(bus: InProcessBus, port: number, bytes: number) {
  counts.clear()
  await talkMore(bus, port, bytes)
}

async function talkMore(bus: InProcessBus, port: number, bytes: number) {
  const [client, server] = conversation(port, bytes)
  await publish(bus, 'n1', [client])
  await publish(bus, 'n2', [server])
}

describe('startAggregator', () => {
  it('answers what both ends reported, everywhere, and its answers are what the schemas say', async () => {
    const { bus, url } = await start()
    const before = await getJson(`${url}/topology`, topologySchema)
    expect(before.edges).toEqual([])
    await talk(bus, 40_000, 12_345)
    const answer = await getJson(`${url}/topology?window=2m&include=detail`, topologySchema)
    expect(answer.edges).toHaveLength(1)
    expect(answer.edges[0]).toMatchObject({
      protocol: 'tcp',
      port: 80,
      observed: 'both',
      tcp: {
        opened: 1,
        openedJoined: 1,
        client: { opened: 1, bytesSent: 12_345, bytesReceived: 7 },
        server: { opened: 1, bytesSent: 7, bytesReceived: 12_345 },
        loss: { clientToServer: { segmentsLost: 0, segmentsCompared: 5 } },
      },
    })
    expect(answer.completeness).toMatchObject({ collectors: { expected: 2, reporting: 2 }, lostRecords: 0 })
    for (const groupBy of ['process', 'container', 'unit', 'host']) {
      const grouped = await getJson(`${url}/topology?groupBy=${groupBy}`, topologySchema)
      expect(grouped.groupBy).toBe(groupBy)
      expect(grouped.edges).toHaveLength(1)
    }
    const edges = await getJson(`${url}/edges?match=curl&sort=-bytes`, edgeListSchema)
    expect(edges.total).toBe(1)
    const flows = await getJson(`${url}/flows?port=40000`, flowListSchema)
    expect(flows.flows).toHaveLength(1)
    expect(flows.flows[0]).toMatchObject({ state: 'closed', observed: 'both' })
    const status = await getJson(`${url}/status`, statusSchema)
    expect(status.ingest.nodes.map((node: { node: string }) => node.node).sort()).toEqual(['n1', 'n2'])
    expect(status.ingest.identity).toMatchObject({ received: 2, applied: 2, holds: true })
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toContain('skybraid_aggregator_records_total{result="applied"} 2')
  })

  it('gives a new tag when a batch changes the answer, 304 when nothing did', async () => {
    const { bus, url } = await start()
    await talk(bus, 40_001, 1)
    const first = await fetch(`${url}/topology`)
    const etag = first.headers.get('etag') ?? ''
    const ask = () => fetch(`${url}/topology`, { headers: { 'if-none-match': etag } })
    // unless the minute turns between the two requests, nothing changed
    await vi.waitFor(async () => {
      const fresh = (await fetch(`${url}/topology`)).headers.get('etag') ?? ''
      expect((await fetch(`${url}/topology`, { headers: { 'if-none-match': fresh } })).status).toBe(304)
    }, eventually)
    await talkMore(bus, 40_002, 1)
    expect((await ask()).status).toBe(200)
  })

  it('sends what changed to live clients at once', async () => {
    const { bus, url } = await start()
    const aborter = new AbortController()
    closers.push(() => aborter.abort())
    const stream = await fetch(`${url}/topology/stream`, { signal: aborter.signal })
    let text = ''
    const reading = (async () => {
      for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) text += chunk
    })().catch(() => undefined)
    await vi.waitFor(() => expect(text).toContain('event: snapshot'), eventually)
    await talk(bus, 40_003, 4321)
    const sentAt = performance.now()
    await vi.waitFor(() => expect(text).toContain('event: patch'), eventually)
    expect(performance.now() - sentAt).toBeLessThan(3000)
    expect(text).toContain('"bytesSent":4321')
    aborter.abort()
    await reading
  })

  it('counts what it cannot read and says so in every answer about that time', async () => {
    const { bus, url } = await start()
    await talk(bus, 40_004, 1)
    await bus.publish({ node: 'n1', partition: 0, data: new Uint8Array([1, 2, 3]) })
    await vi.waitFor(async () => {
      const { completeness } = await getJson(`${url}/topology`, topologySchema)
      expect(completeness).toMatchObject({ lostRecords: 1, lost: { malformed: 1 } })
    }, eventually)
    const { ingest } = await getJson(`${url}/status`, statusSchema)
    expect(ingest.identity).toMatchObject({ lost: { malformed: 1 }, holds: true })
  })

  it('keeps windows over a restart in its data folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'skybraid-data-'))
    closers.push(() => rmSync(folder, { recursive: true }))
    const first = await start('--data-dir', folder)
    await talk(first.bus, 40_005, 777)
    const before = await getJson(`${first.url}/topology`, topologySchema)
    await first.aggregator.close()
    const second = await start('--data-dir', folder)
    const after = await getJson(`${second.url}/topology?window=10m`, topologySchema)
    expect(after.edges).toEqual(before.edges)
    expect(after.nodes).toEqual(before.nodes)
    await expect(start('--data-dir', '/dev/null/nowhere')).rejects.toMatchObject({ code: 'SB_CONFIG' })
  })

  it('refuses messages once it is closed, so that their sender keeps them', async () => {
    const { bus, aggregator, url } = await start()
    const closing = aggregator.close()
    expect(aggregator.close()).toBe(closing)
    await closing
    await expect(bus.publish({ node: 'n1', partition: 0, data: new Uint8Array() })).rejects.toMatchObject({
      code: 'SB_BUS_SUBSCRIBER',
    })
    await expect(fetch(`${url}/livez`)).rejects.toThrow()
  })

  it('says in one sentence why it cannot listen', async () => {
    await expect(start('--listen', '0.0.0.0:0')).rejects.toMatchObject({
      code: 'SB_CONFIG',
      message: expect.stringMatching(/--api-token-file/),
    })
    const taken = createServer()
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
    closers.push(() => taken.close())
    const { port } = taken.address() as { port: number }
    const failure: Aggregator | Error = await start('--listen', `127.0.0.1:${port}`).then(
      ({ aggregator }) => aggregator,
      error => error,
    )
    expect(failure).toMatchObject({
      code: 'SB_LISTEN',
      message: expect.stringMatching(/is taken by another program/),
    })
  })

  it('answers other machines without a token when that is wanted', async () => {
    const { aggregator, url } = await start('--insecure', '--listen', '0.0.0.0:0')
    const remote = url.replace('0.0.0.0', '127.0.0.1')
    expect(aggregator.address.host).toBe('0.0.0.0')
    expect((await fetch(`${remote}/livez`)).status).toBe(200)
  })
})
