import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { exportConfigSchema } from '../../packages/aggregator/src/config.ts'
import { createCore } from '../../packages/aggregator/src/core.ts'
import { booksForExports, type ExportConfig } from '../../packages/aggregator/src/export/export-books.ts'
import { openExports, ownSource } from '../../packages/aggregator/src/export/open-exports.ts'
import {
  epochMs,
  flowBatch,
  minuteMs,
  record,
  type TestRecord,
  type TestSaid,
} from '../../packages/aggregator/src/join/flow-batch.testing.ts'
import type { SaidBlockName, SaidView, TopologyEdge } from '../../packages/aggregator/src/topology/answer.ts'
import { createConsole } from '../../packages/cli/src/console.ts'
import {
  EndReason,
  encodeFlowBatch,
  Kind,
  L7Protocol,
  loadConfig,
  Role,
  State,
} from '../../packages/shared/src/index.ts'
import { findPython } from './find-python.ts'
import { type Received, startReceiver } from './receiver.ts'

const python = findPython()
const skipped = typeof python === 'string' ? `, skipped: ${python}` : ''
const secret = 'Bearer planted-secret-4711'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function setUp(...more: string[]) {
  const receiver = await startReceiver((python as { path: string }).path)
  cleanups.push(() => receiver.stop())
  const folder = mkdtempSync(join(tmpdir(), 'skybraid-otlp-'))
  cleanups.push(() => rmSync(folder, { recursive: true }))
  const headers = join(folder, 'headers')
  writeFileSync(headers, `Authorization: ${secret}\n`)
  const args = ['--otlp', receiver.url, '--otlp-headers-file', headers, ...more]
  const loaded = loadConfig(exportConfigSchema, { args, env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const config = loaded.config as ExportConfig
  const books = booksForExports(config, false)!
  const clock = { nowMs: epochMs }
  const core = createCore({
    startMs: epochMs,
    joinCapacity: 10_000,
    maxEdges: 1_000,
    retentionMs: 3_600_000,
    onDelta: books.onDelta,
    onFinal: books.onFinal,
    onSaid: books.onSaid,
  })
  const lines: string[] = []
  const exports = openExports(config, books, own => ownSource(own, core.topology, () => clock.nowMs), {
    log: createConsole({ write: line => void lines.push(line) }, 'debug').log,
    nowMs: () => clock.nowMs,
    version: '0',
  })!
  cleanups.push(() => exports.close())
  const sequences = new Map<string, { batches: number; records: number }>()
  function send(node: string, records: readonly Partial<TestRecord>[]): void {
    const before = sequences.get(node) ?? { batches: 0, records: 0 }
    const header = {
      node,
      sequence: before.batches + 1,
      firstRecord: before.records,
      sentUnixMs: clock.nowMs,
    }
    sequences.set(node, { batches: before.batches + 1, records: before.records + records.length })
    const data = encodeFlowBatch(flowBatch(header, records.map(record)))
    core.accept({ node, partition: 0, data }, clock.nowMs)
  }
  return { receiver, core, exports, clock, send, lines }
}

const protocols = ['http1', 'http2', 'grpc', 'dns', 'postgres', 'mysql', 'redis', 'mqtt', 'tls'] as const
const names: Record<(typeof protocols)[number], string> = {
  http1: 'GET /users/{id}',
  http2: 'POST /orders',
  grpc: 'shop.v1.Cart/AddItem',
  dns: 'AAAA orders.shop.svc.cluster.local',
  postgres: 'SELECT shop.orders',
  mysql: 'INSERT carts',
  redis: 'CONFIG GET',
  mqtt: 'PUBLISH sensors/{id}',
  tls: 'shop.example h2',
}

/** A small world, the same each time: so many connections a minute, each with both ends, of all protocols. */
function* minuteOf(
  minute: number,
  isWide: boolean,
): Generator<{ client: Partial<TestRecord>; server: Partial<TestRecord> }> {
  for (let i = 0; i < 36; i++) {
    const protocol = protocols[i % protocols.length]!
    const operation = names[protocol] + (isWide ? `-${minute}-${i}` : '')
    const said = (extraUs: number): TestSaid[] => [
      {
        operation,
        status: protocol.startsWith('http') ? 200 : 0,
        flags: 0,
        count: 3 + i,
        bytes: 100 + i,
        us: 400 * (i + 1) + extraUs,
        protocol: L7Protocol[protocol],
        host: 'shop:80',
      },
      {
        operation,
        status: protocol.startsWith('http') ? 503 : 2,
        flags: 1,
        count: 1 + (i % 3),
        bytes: 10,
        us: 90_000 + extraUs,
        protocol: L7Protocol[protocol],
        host: 'shop:80',
      },
      {
        operation,
        status: 0xffff_ffff,
        flags: 2,
        count: 1,
        bytes: 5,
        us: 0,
        protocol: L7Protocol[protocol],
        host: 'shop:80',
      },
    ]
    const id = minute * 100 + i + 1
    const atMs = epochMs + minute * minuteMs + 2_000 + 1_000 * i
    const common: Partial<TestRecord> = {
      atMs,
      openedMs: atMs - 1_000,
      flowId: id,
      dialler: 10_000 + id,
      acceptor: 20_000 + id,
      state: State.closed,
      reason: i % 5 === 0 ? EndReason.rstSent : EndReason.fin,
      flags: Kind.first | (L7Protocol[protocol] << Kind.l7Shift),
      handshakeUs: 200 + i,
      srttUs: 150 + 10 * i,
      bytesSent: 1_000 + i,
      bytesReceived: 2_000 + i,
      segmentsSent: 10,
      segmentsReceived: 12,
      retransmits: i % 4,
    }
    const [local, remote] = [`10.0.0.${1 + (i % 3)}:${1_000 + id}`, '10.0.1.2:80']
    yield {
      client: { ...common, local, remote, owner: `client-${i % 3}`, said: said(300) },
      server: {
        ...common,
        role: Role.server,
        local: remote,
        remote: local,
        owner: `server-${i % 2}`,
        bytesSent: 2_000 + i,
        bytesReceived: 1_000 + i,
        said: said(0),
      },
    }
  }
}

async function run(minutes: number, isWide = false) {
  const world = await setUp(...(isWide ? ['--otlp-series', '1000'] : []))
  const { core, exports, clock, send } = world
  for (let minute = 0; minute < minutes; minute++) {
    for (const { client, server } of minuteOf(minute, isWide)) {
      clock.nowMs = client.atMs!
      send('north', [client])
      send('south', [server])
      core.tick(clock.nowMs)
      if (clock.nowMs % 10_000 === 0) await exports.takeNow(0)
    }
  }
  clock.nowMs = epochMs + minutes * minuteMs + 45_000
  core.tick(clock.nowMs)
  core.topology.flush(clock.nowMs)
  await exports.takeNow(0)
  // closing gives it five seconds for what is left
  await vi.waitFor(() => expect(exports.otlpStatus!().queued.requests).toBe(0), {
    timeout: 40_000,
    interval: 50,
  })
  await exports.close()
  const query = {
    fromMs: epochMs,
    toMs: epochMs + (minutes + 1) * minuteMs,
    groupBy: 'process',
    limit: 1_000,
    detail: true,
  } as const
  return { ...world, answer: core.reader.topology(query, clock.nowMs) }
}

/** What was received of one end's view, added up. */
function total(points: readonly Received[], metric: string, where: Record<string, string> = {}): number {
  return points
    .filter(one => one.metric === metric)
    .filter(one => Object.entries(where).every(([key, value]) => one.attributes[key] === value))
    .reduce((sum, { value }) => sum + value, 0)
}

function ofPair(points: readonly Received[], local: string, peer: string, side: string): Received[] {
  return points.filter(
    ({ resource, attributes }) =>
      resource['service.name'] === local &&
      attributes['service.peer.name'] === peer &&
      attributes['skybraid.side'] === side,
  )
}

const blockNames: readonly SaidBlockName[] = ['http', 'grpc', 'dns', 'sql', 'redis', 'tls', 'mqtt', 'other']

/** All that an edge says was said, as one end saw it. */
function viewsOf(edge: TopologyEdge, side: 'client' | 'server'): SaidView[] {
  return blockNames.flatMap(name => edge[name]?.[side] ?? [])
}

const sum = <T>(list: readonly T[], of: (each: T) => number) => list.reduce((all, each) => all + of(each), 0)

describe.skipIf(typeof python === 'string')(`a receiver of OpenTelemetry that is not ours${skipped}`, () => {
  it('gets what /topology says, of each pair and end, whatever the intervals', async () => {
    const { receiver, answer, exports } = await run(3)
    const points = receiver.points()
    const nameOf = new Map(answer.nodes.map(({ id, name }) => [id, name]))
    expect(answer.edges.length).toBe(6)
    for (const edge of answer.edges) {
      const [client, server] = [nameOf.get(edge.source)!, nameOf.get(edge.target)!]
      for (const side of ['client', 'server'] as const) {
        const own =
          side === 'client' ? ofPair(points, client, server, side) : ofPair(points, server, client, side)
        const views = viewsOf(edge, side)
        expect(views.length).toBeGreaterThan(2)
        expect(total(own, 'skybraid.operations')).toBe(sum(views, ({ requests }) => requests))
        expect(total(own, 'skybraid.operations', { 'skybraid.outcome': 'error' })).toBe(
          sum(views, ({ errors }) => errors),
        )
        expect(total(own, 'skybraid.operations', { 'skybraid.outcome': 'unanswered' })).toBe(
          sum(views, ({ unknown }) => unknown),
        )
        expect(total(own, 'skybraid.operation.request.size')).toBe(
          sum(views, ({ requestBytes }) => requestBytes),
        )
        expect(total(own, 'skybraid.operation.response.size')).toBe(
          sum(views, ({ responseBytes }) => responseBytes),
        )
        expect(total(own, 'skybraid.operation.time')).toBe(sum(views, ({ timeUs }) => timeUs))
        const durations = own.filter(
          ({ metric, scale }) => scale !== undefined && !metric.startsWith('skybraid.tcp.'),
        )
        expect(sum(durations, ({ value }) => value)).toBe(
          sum(views, ({ firstByteUs }) => firstByteUs?.count ?? 0),
        )
        const tcp = edge.tcp![side]!
        const [sent, received] = [
          { 'network.io.direction': 'transmit' },
          { 'network.io.direction': 'receive' },
        ]
        expect(total(own, 'skybraid.tcp.io', sent)).toBe(tcp.bytesSent)
        expect(total(own, 'skybraid.tcp.io', received)).toBe(tcp.bytesReceived)
        expect(total(own, 'skybraid.tcp.retransmits')).toBe(tcp.retransmits)
        expect(total(own, 'skybraid.tcp.rtt')).toBe(tcp.rttUs?.count ?? 0)
        expect(total(own, 'skybraid.tcp.handshake.duration')).toBe(tcp.handshakeUs?.count ?? 0)
        expect(total(own, 'skybraid.tcp.connections.opened')).toBe(edge.tcp!.opened)
      }
    }
    expect(exports.otlpStatus!()).toMatchObject({
      isConnected: true,
      points: { sent: points.length, refused: 0, unknown: 0, dropped: 0 },
      queued: { points: 0 },
      series: { folded: 0 },
      overstated: { requests: 0, connections: 0 },
      owed: { requests: 0, connections: 0 },
      unnamed: 0,
    })
  })

  it('gets the conventions’ names, spans that follow each other, and buckets that hold what was measured', async () => {
    const { receiver } = await run(2)
    const points = receiver.points()
    expect([...new Set(points.map(({ metric }) => metric))].sort()).toEqual([
      'db.client.operation.duration',
      'dns.lookup.duration',
      'http.client.request.duration',
      'http.server.request.duration',
      'rpc.client.call.duration',
      'rpc.server.call.duration',
      'skybraid.operation.duration',
      'skybraid.operation.request.size',
      'skybraid.operation.response.size',
      'skybraid.operation.time',
      'skybraid.operations',
      'skybraid.tcp.connection.duration',
      'skybraid.tcp.connections.closed',
      'skybraid.tcp.connections.opened',
      'skybraid.tcp.connections.reset',
      'skybraid.tcp.handshake.duration',
      'skybraid.tcp.io',
      'skybraid.tcp.packets',
      'skybraid.tcp.retransmits',
      'skybraid.tcp.rtt',
    ])
    expect(new Set(points.map(({ temporality }) => temporality))).toEqual(
      new Set(['AGGREGATION_TEMPORALITY_DELTA']),
    )
    const ends = new Map<bigint, bigint>()
    for (const { startNs, endNs } of points) {
      expect(endNs).toBeGreaterThan(startNs)
      expect(ends.get(startNs) ?? endNs).toBe(endNs)
      ends.set(startNs, endNs)
    }
    const starts = [...ends.keys()].sort((a, b) => Number(a - b))
    for (let i = 1; i < starts.length; i++)
      expect(starts[i]).toBeGreaterThanOrEqual(ends.get(starts[i - 1]!)!)
    const failed = points.filter(
      ({ metric, attributes }) =>
        metric === 'http.server.request.duration' && attributes['http.response.status_code'] === '503',
    )
    expect(failed[0]!.attributes).toMatchObject({
      'http.request.method': expect.stringMatching(/GET|POST/),
      'http.route': expect.stringMatching(/^\/(users\/\{id\}|orders)$/),
      'error.type': '503',
      'skybraid.side': 'server',
    })
    for (const { buckets, scale, value, sum: seconds } of failed) {
      expect(scale).toBe(3)
      expect(sum([...buckets.values()], count => count)).toBe(value)
      expect(seconds! / value).toBeCloseTo(0.09, 9)
      // off by half a bucket at most, for a second is no power of the buckets' base
      for (const [bucket, count] of buckets) {
        if (count === 0) continue
        expect(2 ** ((bucket - 0.5) / 8)).toBeLessThan(0.09)
        expect(2 ** ((bucket + 1.5) / 8)).toBeGreaterThanOrEqual(0.09)
      }
    }
    const statements = points.filter(({ metric }) => metric === 'db.client.operation.duration')
    expect(statements.map(({ attributes }) => attributes)).toContainEqual(
      expect.objectContaining({
        'db.system.name': 'postgresql',
        'db.operation.name': 'SELECT',
        'db.query.summary': 'SELECT shop.orders',
        'db.response.status_code': '00002',
        'error.type': '00002',
      }),
    )
  })

  it('is sent the headers of a file, of which nothing is logged or shown', async () => {
    const { receiver, lines, exports } = await run(1)
    expect(receiver.told.length).toBeGreaterThan(2)
    for (const { path, type, authorization } of receiver.told)
      expect({ path, type, authorization }).toEqual({
        path: '/v1/metrics',
        type: 'application/x-protobuf',
        authorization: secret,
      })
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.join('') + JSON.stringify(exports.otlpStatus!())).not.toContain('planted-secret')
  })

  it('gets {other} beyond the limit, and every request all the same', async () => {
    const { receiver, answer, exports } = await run(4, true)
    const points = receiver.points()
    const all = sum(answer.edges, edge =>
      sum([...viewsOf(edge, 'client'), ...viewsOf(edge, 'server')], ({ requests }) => requests),
    )
    expect(total(points, 'skybraid.operations')).toBe(all)
    const { series } = exports.otlpStatus!()
    expect(series.folded).toBeGreaterThan(0)
    const sets = new Set(
      points
        .filter(({ metric }) => metric === 'skybraid.operations')
        .map(({ resource, attributes }) => JSON.stringify([resource, attributes])),
    )
    expect(sets.size).toBeLessThanOrEqual(series.limit)
    expect([...sets].some(set => set.includes('{other}'))).toBe(true)
  })
})
