import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { headers } from '@nats-io/transport-node'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeFlowBatch, type FlowColumns } from '../../packages/shared/src/index.ts'
import {
  compressFlowPayload,
  flowHeaders,
  flowMessageId,
  flowSubject,
  type NatsLink,
} from '../../packages/shared/src/nats/index.ts'
import { batchSeed, columnsFrom } from '../../packages/shared/src/record/batch.testing.ts'
import { until } from '../lab/until.ts'
import { findPython, type Python } from '../otlp/find-python.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import type { NatsServer } from './nats-server.ts'

const script = fileURLToPath(new URL('consumer.py', import.meta.url))

const python = findPython()
const skipped = typeof python === 'string' ? `, skipped: ${python}` : ''

const sumsOf = {
  bytes_sent: 'bytesSent',
  bytes_received: 'bytesReceived',
  segments_sent: 'segmentsSent',
  retransmitted_segments: 'retransmittedSegments',
} as const
const fieldNumbers = { bytesSent: 46, bytesReceived: 47, segmentsSent: 48, retransmittedSegments: 52 }

/** Batches of every shape, from two nodes; every third record is a sample. */
function batches(count: number): FlowColumns[] {
  return fc.sample(batchSeed, { numRuns: count, seed: 40 }).map((seed, index) => {
    const columns = columnsFrom(seed)
    const named = { cluster: 'prod', node: `n${index % 2}`, partition: index % 4, sequence: index + 1 }
    Object.assign(columns.header, named)
    for (let row = 0; row < columns.count; row += 3) columns.u32.kind[row]! |= (row % 16) << 19
    return columns
  })
}

/** As texts: the sums exceed what a double holds. */
function expectedSums(list: readonly FlowColumns[]): Record<string, Record<string, string>> {
  const sums = (columns: readonly FlowColumns[]) => ({
    records: String(columns.reduce((sum, { count }) => sum + count, 0)),
    ...Object.fromEntries(
      Object.entries(sumsOf).map(([name, column]) => [name, String(sumOf(columns, column))]),
    ),
  })
  const byNode = Object.groupBy(list, columns => columns.header.node)
  return Object.fromEntries(Object.entries(byNode).map(([node, columns]) => [node, sums(columns ?? [])]))
}

function sumOf(list: readonly FlowColumns[], column: keyof typeof fieldNumbers): bigint {
  let sum = 0n
  for (const columns of list) {
    for (let row = 0; row < columns.count; row++) sum += scaled(columns, column, row)
  }
  return sum
}

function scaled({ u32, wideCount }: FlowColumns, column: keyof typeof fieldNumbers, row: number): bigint {
  let value = BigInt(u32[column][row]!)
  for (let wide = 0; wide < wideCount; wide++) {
    if (u32.wideAt[wide] === ((row << 8) | fieldNumbers[column])) value += BigInt(u32.wideHigh[wide]!) << 32n
  }
  return value << BigInt((u32.kind[row]! >>> 19) & 15)
}

function publish(link: NatsLink, columns: FlowColumns, encoding: 'raw' | 'zstd'): void {
  const { node, bootId, partition, sequence } = columns.header
  const head = { node, bootId, partition, sequence, recordCount: columns.count, encoding }
  const list = headers()
  for (const [name, value] of flowHeaders(head)) list.set(name, value)
  list.set('Nats-Msg-Id', flowMessageId(head))
  const batch = encodeFlowBatch(columns)
  link.connection.publish(
    flowSubject('prod', partition, node),
    encoding === 'raw' ? batch : compressFlowPayload(batch),
    { headers: list },
  )
}

/** Starts the consumer and waits until it listens; `output` is what it prints before it ends. */
async function startConsumer(server: NatsServer, count: number): Promise<{ output: Promise<string> }> {
  const { path, modules } = python as Python
  const args = [script, server.url, 'prod', String(count)]
  const child = spawn(path, args, { env: { PYTHONPATH: modules }, stdio: ['ignore', 'pipe', 'pipe'] })
  afterTest(() => child.kill('SIGKILL'))
  const parts = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    parts.out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    parts.err += chunk.toString()
  })
  const output = new Promise<string>((resolve, reject) =>
    child.once('close', code => (code === 0 ? resolve(parts.out) : reject(new Error(parts.err)))),
  )
  await Promise.race([until('it listens', () => listens(server), { timeoutMs: 120_000 }), output])
  return { output }
}

async function listens(server: NatsServer): Promise<boolean> {
  const { connections } = await server.monitor<{ connections: { subscriptions_list?: string[] }[] }>(
    'connz?subs=1',
  )
  return connections.some(client => client.subscriptions_list?.includes('skybraid.v1.prod.flow.>'))
}

describe.skipIf(typeof python === 'string')(`a consumer in another language${skipped}`, () => {
  it('adds up what docs/bus.md lets it read: raw and compressed, wide and sampled, each batch once', async () => {
    const server = await serverForTest()
    const link = await linkForTest(linkWith(['--nats', server.url]))
    const list = batches(60)
    const { output } = await startConsumer(server, list.length + 2)
    for (const [index, columns] of list.entries()) publish(link, columns, index % 3 === 0 ? 'raw' : 'zstd')
    publish(link, list[7]!, 'raw')
    publish(link, list[8]!, 'zstd')
    await link.connection.flush()
    const withTexts = (await output).replaceAll(/: (\d+)/g, ': "$1"')
    expect(JSON.parse(withTexts)).toEqual(expectedSums(list))
  })
})
