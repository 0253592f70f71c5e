import { Kind, Role } from '@skybraid/shared'
import { openNativeJoin } from '../native/open-native-join.ts'
import { epochMs, flowBatch, record, type TestRecord } from './flow-batch.testing.ts'
import { createJoin } from './join.ts'
import { ReferenceBook, ReferenceEntities } from './reference-book.testing.ts'

export const nowMs = epochMs + 5_000

interface WorldOptions {
  readonly capacity?: number
  readonly way?: Way
}

/** How records are booked: what the product does with its library and without it, and the general way. */
export const ways = ['through the library', 'in blocks', 'record by record'] as const
export type Way = (typeof ways)[number]

/** The library is built before the tests run. */
export function optionsOf(way: Way) {
  const openNative = way === 'through the library' ? openNativeJoin() : undefined
  if (way === 'through the library' && openNative === undefined) throw new Error('native/ is not built')
  return { oneByOne: way === 'record by record', openNative }
}

/** A join with the simplest book and entities there are, and what a test asks of them. */
export function createJoinWorld({ capacity = 1_000, way = 'in blocks' }: WorldOptions = {}) {
  const entities = new ReferenceEntities()
  const book = new ReferenceBook(entities)
  const options = { hashSeed: 3, capacity, endedFlows: 100, ...optionsOf(way) }
  const join = createJoin({ book, entities, names: entities, ...options })
  /** One batch of one node. */
  const send = (
    node: string,
    records: Partial<TestRecord> | readonly Partial<TestRecord>[],
    atNowMs = nowMs,
    boot = 1,
  ) => {
    const origin = { node: entities.node(node), boot, contiguous: true }
    const columns = flowBatch({ node }, [records].flat().map(record))
    return { ...join.apply(columns, 0, origin, atNowMs) }
  }
  /** A counter or sample, of all edges and minutes. */
  const sum = (name: string) => {
    let total = 0
    for (const minutes of Object.values(book.booked()))
      for (const values of Object.values(minutes)) total += values[name] ?? 0
    return total
  }
  return { book, join, send, sum, edges: () => Object.keys(book.booked()) }
}

/** The two ends of one connection as they open. */
export const client: Partial<TestRecord> = { role: Role.client, flowId: 1, owner: 'curl', flags: Kind.first }
export const server: Partial<TestRecord> = {
  role: Role.server,
  flowId: 2,
  owner: 'nginx',
  local: '10.0.0.2:80',
  remote: '10.0.0.1:1000',
  flags: Kind.first,
}
