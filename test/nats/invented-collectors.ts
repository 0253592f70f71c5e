import { setTimeout } from 'node:timers/promises'
import type { JetStreamPublishOptions } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import {
  flowBatch,
  record,
  type TestRecord,
  type TestSaid,
} from '../../packages/aggregator/src/join/flow-batch.testing.ts'
import { SaidFlag } from '../../packages/aggregator/src/topology/said-rows.ts'
import { EndReason, encodeFlowBatch, Kind, Role, State } from '../../packages/shared/src/index.ts'
import {
  compressFlowPayload,
  flowHeaders,
  flowMessageId,
  flowSubject,
  type NatsLink,
} from '../../packages/shared/src/nats/index.ts'

const minuteMs = 60_000
const nodes = ['north', 'south', 'west'] as const
/** What its programs dial is heard of late from the other end. */
const lateNode = 'west'
export const lateClient = 'client-2.west'
const firstStart = 1_000

interface Connection {
  readonly id: number
  readonly client: (typeof nodes)[number]
  readonly server: (typeof nodes)[number]
  readonly openedMs: number
  bytes: number
  told: Record<string, number>
  isOpen: boolean
}

/** Collectors of three nodes that invent connections with both ends, in real time, over all partitions. */
export interface InventedCollectors {
  /** Publishes what happened since the last time. */
  flush(): Promise<void>
  /** Publishes so many connections at once, which are over already, all in one partition. */
  burst(partition: number, count: number): Promise<void>
  /** Connections of which every end was published. */
  readonly opened: number
  /** Records of a node, in all partitions, that have a sequence number. */
  publishedBy(node: string): number
  stop(): Promise<void>
}

export interface InventedOptions {
  readonly everyMs?: number
  /** How long they wait for the bus to take something, before they try again. */
  readonly patienceMs?: number
  /** Requests of HTTP are read on the connections. */
  readonly says?: boolean
}

export function inventCollectors(
  link: NatsLink,
  cluster: string,
  partitions: number,
  { everyMs = 150, patienceMs = 20_000, says = false }: InventedOptions = {},
): InventedCollectors {
  const sequences = new Map<string, { sequence: number; records: number }>()
  const connections: Connection[] = []
  let opened = 0
  let isStopped = false
  let minute = Math.floor(Date.now() / minuteMs)
  let running = Promise.resolve()
  const timer = setInterval(() => {
    running = running.then(flush).catch(() => undefined)
  }, everyMs)

  /** Over all partitions, as a collector counts what it encoded. */
  function publishedBy(node: string): number {
    let records = 0
    for (let p = 0; p < partitions; p++) records += sequences.get(`${node} ${p}`)?.records ?? 0
    return records
  }

  async function publish(
    node: string,
    partition: number,
    records: readonly TestRecord[],
    minuteComplete = false,
    ofMinute = Math.floor(Date.now() / minuteMs),
  ): Promise<void> {
    const key = `${node} ${partition}`
    const own = sequences.get(key) ?? { sequence: 0, records: 0 }
    sequences.set(key, own)
    const bootId = `00000000000000a${nodes.indexOf(node as 'north')}`
    const head = { node, bootId, partition, sequence: ++own.sequence, recordCount: records.length }
    const columns = flowBatch(
      {
        ...head,
        firstRecord: own.records,
        sentUnixMs: Date.now(),
        baseUnixMs: ofMinute * minuteMs,
        recordsEncoded: publishedBy(node) + records.length,
        minuteComplete,
      },
      records,
    )
    own.records += records.length
    const payload = encodeFlowBatch(columns)
    const isRaw = own.sequence % 2 === 0
    const list = headers()
    for (const [name, value] of flowHeaders({ ...head, encoding: isRaw ? 'raw' : 'zstd' }))
      list.set(name, value)
    const subject = flowSubject(cluster, partition, node)
    const options = { headers: list, msgID: flowMessageId(head), timeout: patienceMs }
    await untilTaken(subject, isRaw ? payload : compressFlowPayload(payload), options)
  }

  /** Published again under the same id for as long as nobody took it. */
  async function untilTaken(subject: string, payload: Uint8Array, options: Partial<JetStreamPublishOptions>) {
    for (;;) {
      try {
        await link.js.publish(subject, payload, options)
        return
      } catch (error) {
        if (isStopped || link.connection.isClosed()) throw error
        await setTimeout(100)
      }
    }
  }

  function recordOf(each: Connection, side: 0 | 1, state: number, atMs: number): TestRecord {
    const total = each.bytes
    const key = `bytes${side}`
    const delta = total - (each.told[key] ?? 0)
    const isFirst = each.told[key] === undefined
    each.told[key] = total
    return record({
      role: side === 0 ? Role.client : Role.server,
      state,
      reason: state === State.closed ? EndReason.fin : EndReason.unspecified,
      flags: Kind.quiet | (isFirst ? Kind.first : 0),
      flowId: firstStart + each.id * 2 + side,
      dialler: 1_000_000 + each.id,
      acceptor: 2_000_000 + each.id,
      local: side === 0 ? `10.0.0.1:${10_000 + (each.id % 50_000)}` : '10.1.0.1:8080',
      remote: side === 0 ? '10.1.0.1:8080' : `10.0.0.1:${10_000 + (each.id % 50_000)}`,
      owner: side === 0 ? `client-${each.id % 3}` : `server-${each.id % 2}`,
      atMs,
      openedMs: each.openedMs,
      srttUs: 100 + (each.id % 50),
      bytesSent: side === 0 ? delta : 0,
      bytesReceived: side === 0 ? 0 : delta,
      bytesSentTotal: side === 0 ? total : 0,
      bytesReceivedTotal: side === 0 ? 0 : total,
      said: says ? saidOn(each.id) : [],
    })
  }

  function saidOn(id: number): TestSaid[] {
    if (id % 7 !== 0) return []
    const nth = Math.floor(id / 7)
    const operation = nth % 8 < 4 ? 'GET /items/{id}' : 'GET /items/all'
    const status = [200, 302, 404, 503][nth % 4]!
    const flags = status === 503 ? SaidFlag.error : 0
    return [{ operation, status, flags, count: 1 + (id % 3), bytes: 70, us: 900 }]
  }

  /** The server's end is heard of late, now and then. */
  function isLate({ id, client }: Connection): boolean {
    return client === lateNode && id % 11 < 2
  }

  function inventOne(openedMs: number): Connection {
    const id = ++opened
    const [client, server] = [nodes[id % 3]!, nodes[(id * 2 + 1) % 3]!]
    return { id, client, server, openedMs, bytes: 0, told: {}, isOpen: true }
  }

  async function publishBurst(partition: number, count: number): Promise<void> {
    const atMs = Date.now()
    const all = Array.from({ length: count }, () => ({ ...inventOne(atMs), bytes: 100, isOpen: false }))
    for (const node of nodes) {
      const records = all.flatMap(each => [
        ...(each.client === node ? [recordOf(each, 0, State.closed, atMs)] : []),
        ...(each.server === node ? [recordOf(each, 1, State.closed, atMs)] : []),
      ])
      for (let at = 0; at < records.length; at += 1_000) {
        const some = records.slice(at, at + 1_000).map(each => ({ ...each, handshakeUs: 150 }))
        await publish(node, partition, some, false, Math.floor(atMs / minuteMs))
      }
    }
  }

  async function flush(): Promise<void> {
    const atMs = Date.now()
    const now = Math.floor(atMs / minuteMs)
    if (now !== minute) {
      for (const node of nodes) for (let p = 0; p < partitions; p++) await publish(node, p, [], true, minute)
      minute = now
    }
    for (let i = 0; i < partitions * 2; i++) connections.push(inventOne(atMs))
    const batches = new Map<string, TestRecord[]>()
    const put = (node: string, id: number, each: TestRecord) => {
      const key = `${node} ${id % partitions}`
      batches.set(key, [...(batches.get(key) ?? []), each])
    }
    for (const each of connections) {
      each.bytes += 100 + (each.id % 7)
      const ends = connections.length > 40 && each.id < opened - 20 && each.id % 5 === atMs % 5
      const state = ends ? State.closed : State.open
      each.isOpen = !ends
      put(each.client, each.id, recordOf(each, 0, state, atMs))
      if (!isLate(each) || ends) put(each.server, each.id, recordOf(each, 1, state, atMs))
    }
    for (let i = connections.length - 1; i >= 0; i--) if (!connections[i]!.isOpen) connections.splice(i, 1)
    for (const [key, records] of batches) {
      const [node, partition] = key.split(' ') as [string, string]
      for (let at = 0; at < records.length; at += 500)
        await publish(node, Number(partition), records.slice(at, at + 500), false, now)
    }
  }

  return {
    flush,
    burst(partition, count) {
      const published = running.then(() => publishBurst(partition, count))
      running = published.catch(() => undefined)
      return published
    },
    get opened() {
      return opened
    },
    publishedBy,
    async stop() {
      isStopped = true
      clearInterval(timer)
      await running
    },
  }
}
