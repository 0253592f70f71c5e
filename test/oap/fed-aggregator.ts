import { type Aggregator, startAggregator } from '../../packages/aggregator/src/aggregator.ts'
import { aggregatorConfigSchema } from '../../packages/aggregator/src/config.ts'
import { flowBatch, record, type TestRecord } from '../../packages/aggregator/src/join/flow-batch.testing.ts'
import type { TopologyAnswer } from '../../packages/aggregator/src/topology/answer.ts'
import { createConsole } from '../../packages/cli/src/console.ts'
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
} from '../../packages/shared/src/index.ts'
import { Truth } from './truth.ts'

const nodes = ['north', 'south'] as const
const recordsPerBatch = 1_000
const handshakeUs = 150
/** Of each connection: bytes and segments of one end. */
const sentByClient = { bytes: 100, segments: 5 } as const
const sentByServer = { bytes: 300, segments: 4 } as const
const request = { operation: 'GET /items/{id}', status: 200, flags: 0, bytes: 70, us: 20_000 } as const

/** An aggregator in this process that is fed as by collectors of two nodes, and asked over its API. */
export class FedAggregator {
  /** Connections by the minute they were in, each of them seen by both ends. */
  readonly published = new Map<number, number>()
  /** Requests on them, by minute. */
  readonly asked = new Map<number, number>()
  readonly startedMs = Date.now()
  readonly #aggregator: Aggregator
  readonly #bus: InProcessBus
  readonly #sent = { north: { batches: 0, records: 0 }, south: { batches: 0, records: 0 } }
  #connections = 0

  private constructor(aggregator: Aggregator, bus: InProcessBus) {
    this.#aggregator = aggregator
    this.#bus = bus
  }

  static async start(args: readonly string[]): Promise<FedAggregator> {
    const all = ['--listen', '127.0.0.1:0', '--request-rate', '0', ...args]
    const loaded = loadConfig(aggregatorConfigSchema, { args: all, env: {} })
    if (!loaded.ok) throw new Error(loaded.errors.join(' '))
    const bus = createInProcessBus()
    const { log } = createConsole({ write: () => undefined }, 'silent')
    return new FedAggregator(await startAggregator({ config: loaded.config, bus, log, version: '0' }), bus)
  }

  /** Connections in all. */
  get connections(): number {
    return this.#connections
  }

  /** Short connections of a program on one node to one on the other: 100 bytes there, 300 back, and requests on each. */
  async publish(client: string, server: string, count: number, requests = 0): Promise<void> {
    const atMs = Date.now()
    const minute = Math.floor(atMs / 60_000)
    this.published.set(minute, (this.published.get(minute) ?? 0) + count)
    this.asked.set(minute, (this.asked.get(minute) ?? 0) + count * requests)
    const both = Array.from({ length: count }, () =>
      endsOf(client, server, ++this.#connections, atMs, requests),
    )
    for (const [i, node] of nodes.entries())
      for (let at = 0; at < count; at += recordsPerBatch)
        await this.#send(
          node,
          both.slice(at, at + recordsPerBatch).map(ends => ends[i]!),
          atMs,
        )
  }

  async get<T>(path: string): Promise<T> {
    const answer = await fetch(`http://${formatHostPort(this.#aggregator.address)}${path}`)
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.status}`)
    return (await answer.json()) as T
  }

  /** From here on truth is what comes. */
  forget(): void {
    this.published.clear()
    this.asked.clear()
  }

  /** What OAP must show of the connections between the two programs, by minute. */
  truth(client: string, server: string): Truth {
    const truth = new Truth()
    const ends = [
      { service: `${client}.north`, pod: 'north' },
      { service: `${server}.south`, pod: 'south' },
    ] as const
    for (const [minute, count] of this.published) {
      const common = {
        opened: count,
        closed: count,
        retransmits: count,
        handshakeNs: count * handshakeUs * 1_000,
      }
      truth.add(minute, ...ends, {
        client: { ...common, ...sumsOf(sentByClient, sentByServer, count) },
        server: { ...common, ...sumsOf(sentByServer, sentByClient, count) },
      })
    }
    for (const [minute, count] of this.asked)
      for (const side of ['client', 'server'] as const)
        truth.addRequests(minute, ...ends, side, {
          endpoint: 'GET:/items/{id}',
          status: request.status,
          count,
          // the middle of a bucket that is 4.5 % wide
          durationMs: [(count * request.us * 0.95) / 1_000, (count * request.us * 1.05) / 1_000],
          requestBytes: count * request.bytes,
          responseBytes: count * request.bytes * 2,
        })
    return truth
  }

  async text(path: string): Promise<string> {
    return (await fetch(`http://${formatHostPort(this.#aggregator.address)}${path}`)).text()
  }

  /** Connections that the API shows since the start. */
  async opened(): Promise<number> {
    const { edges } = await this.get<TopologyAnswer>(
      `/topology?groupBy=process&from=${this.startedMs - 60_000}`,
    )
    return edges.reduce((sum, { tcp }) => sum + (tcp?.opened ?? 0), 0)
  }

  close(): Promise<void> {
    return this.#aggregator.close()
  }

  async #send(node: (typeof nodes)[number], records: readonly TestRecord[], atMs: number): Promise<void> {
    const sent = this.#sent[node]
    const head = {
      node,
      bootId: (node === 'north' ? '1' : '2').repeat(16),
      schemaVersion: 1,
      cluster: 'local',
    }
    const counted = {
      sequence: ++sent.batches,
      firstRecord: sent.records,
      recordsEncoded: sent.records + records.length,
    }
    sent.records += records.length
    const columns = flowBatch({ ...head, ...counted, sentUnixMs: atMs }, records)
    await this.#bus.publish({ node, partition: 0, data: encodeFlowBatch(columns) })
  }
}

type Sent = typeof sentByClient | typeof sentByServer

function sumsOf(sent: Sent, received: Sent, count: number) {
  return {
    bytesSent: sent.bytes * count,
    bytesReceived: received.bytes * count,
    packetsSent: sent.segments * count,
    packetsReceived: received.segments * count,
  }
}

function endsOf(
  client: string,
  server: string,
  id: number,
  atMs: number,
  requests: number,
): [TestRecord, TestRecord] {
  const from = `10.0.${(id >> 14) & 255}.1:${10_000 + (id & 16_383)}`
  const common = {
    state: State.closed,
    reason: EndReason.fin,
    flags: Kind.first,
    flowId: id,
    dialler: id,
    acceptor: 0x4000_0000 + id,
    handshakeUs,
    atMs,
    openedMs: atMs,
    retransmits: 1,
    retransmitsTotal: 1,
    said: requests > 0 ? [{ ...request, count: requests }] : [],
  }
  const amounts = (sent: Sent, received: Sent) => ({
    bytesSent: sent.bytes,
    bytesSentTotal: sent.bytes,
    bytesReceived: received.bytes,
    bytesReceivedTotal: received.bytes,
    segmentsSent: sent.segments,
    segmentsReceived: received.segments,
  })
  const to = '10.1.0.1:80'
  const [byClient, byServer] = [amounts(sentByClient, sentByServer), amounts(sentByServer, sentByClient)]
  return [
    record({ ...common, ...byClient, role: Role.client, local: from, remote: to, owner: client }),
    record({ ...common, ...byServer, role: Role.server, local: to, remote: from, owner: server }),
  ]
}
