import { describe, expect, it } from 'vitest'
import { createEntityIndex } from '../../../resolve/entity-index.ts'
import { v4MappedWord } from '../../../resolve/entity-source.ts'
import { Counter } from '../../../topology/counters.ts'
import { createDeltaBook, deltaCounters, deltaLength, failedDelta } from '../../../topology/delta-book.ts'
import { createOpenMinute, type OpenMinute } from '../../../topology/open-minute.ts'
import { createRowPool, rowStride } from '../../../topology/row-pool.ts'
import { createEndNames } from './end-names.ts'
import { unpackPairs } from './packed-pairs.ts'
import { createPairBook } from './pair-book.ts'
import type { MinutePairs } from './pair-sums.ts'
import { Amount } from './pod-pair.ts'

const minute = 29_500_000
const nowMs = minute * 60_000 + 30_000
const tcp = 1

function setUp() {
  const index = createEntityIndex()
  const node = index.node('node-a')
  const program = (process: string) =>
    index.ofOwner(node, {
      process,
      unit: `${process}.service`,
      containerId: '',
      podUid: '',
      cgroup: '',
      pid: 1,
    })
  const address = (last: number) => index.ofAddress(node, 0, 0, v4MappedWord, (last << 24) | 0x0a, 0)
  const names = createEndNames({ index, cluster: '' })
  const book = createPairBook({ names })
  const add = (client: number, server: number, protocol: number, of: Float64Array) =>
    book.add({ client, server, protocol, dialled: server, dialledPort: 80 }, minute, of)
  return { index, node, program, address, add, book }
}

function delta(figures: Partial<Record<(typeof deltaCounters)[number] | 'failed', number>>): Float64Array {
  const out = new Float64Array(deltaLength)
  for (const [name, value] of Object.entries(figures))
    out[name === 'failed' ? failedDelta : deltaCounters.indexOf(name as (typeof deltaCounters)[number])] =
      value!
  return out
}

const pairsOf = (drained: readonly MinutePairs[]) =>
  drained.flatMap(({ unixMinute, pairs }) =>
    Array.from(unpackPairs(pairs), ({ role, local, remote, amounts }) => ({
      unixMinute,
      of: `${role === 0 ? 'client' : 'server'} ${local.service} → ${remote.service}`,
      opened: amounts[Amount.opened],
      bytesSent: amounts[Amount.bytesSent],
      failed: amounts[Amount.failed],
    })),
  )

describe('pair book', () => {
  it('tells each end’s figures of an edge once, under the names of both', () => {
    const { program, add, book } = setUp()
    const both = delta({
      clientOpened: 3,
      clientBytesSent: 70,
      serverAccepted: 3,
      serverBytesSent: 9,
      failed: 2,
    })
    add(program('web'), program('api'), tcp, both)
    add(program('web'), program('api'), tcp, delta({ clientBytesSent: 5 }))
    expect(pairsOf(book.drain(nowMs))).toEqual([
      {
        unixMinute: minute,
        of: 'client web.web.service → api.api.service',
        opened: 3,
        bytesSent: 75,
        failed: 2,
      },
      {
        unixMinute: minute,
        of: 'server api.api.service → web.web.service',
        opened: 3,
        bytesSent: 9,
        failed: 0,
      },
    ])
    expect(book.drain(nowMs)).toEqual([])
  })

  it('calls outside ends by DNS or external, never by an address', () => {
    const { index, node, program, address, add, book } = setUp()
    index.learnName(node, Uint8Array.of(10, 0, 0, 7), 'api.example.org', nowMs - 60_000)
    add(program('web'), address(7), tcp, delta({ clientOpened: 1 }))
    add(program('web'), address(8), tcp, delta({ clientOpened: 1 }))
    add(program('web'), address(9), tcp, delta({ clientOpened: 1 }))
    expect(pairsOf(book.drain(nowMs)).map(({ of, opened }) => [of, opened])).toEqual([
      ['client web.web.service → api.example.org', 1],
      ['client web.web.service → external', 2],
    ])
  })

  it('never takes back what was sent: as much less goes to the right name, and it is counted', () => {
    const { program, address, add, book } = setUp()
    const web = program('web')
    add(web, address(8), tcp, delta({ clientOpened: 4, clientBytesSent: 100 }))
    book.drain(nowMs)
    // the other half of three of them comes late
    add(web, address(8), tcp, delta({ clientOpened: -3, clientBytesSent: -75 }))
    add(web, program('api'), tcp, delta({ clientOpened: 3, clientBytesSent: 95, serverAccepted: 3 }))
    expect(pairsOf(book.drain(nowMs))).toEqual([
      {
        unixMinute: minute,
        of: 'client web.web.service → api.api.service',
        opened: 0,
        bytesSent: 20,
        failed: 0,
      },
      {
        unixMinute: minute,
        of: 'server api.api.service → web.web.service',
        opened: 3,
        bytesSent: 0,
        failed: 0,
      },
    ])
    expect(book.counts).toMatchObject({ movedLate: 3, overstated: 0 })
  })

  it('takes 40,000 pairs of an interval, whichever their minutes, and counts what further ones did', () => {
    const { program, add, book } = setUp()
    const clients = Array.from({ length: 201 }, (_, i) => program(`client-${i}`))
    const servers = Array.from({ length: 200 }, (_, i) => program(`server-${i}`))
    const both = delta({ clientOpened: 2, clientClosed: 1, serverAccepted: 2 })
    for (const client of clients) for (const server of servers) add(client, server, tcp, both)
    // known pairs go on
    add(clients[0]!, servers[0]!, tcp, both)
    const drained = book.drain(nowMs)
    expect(drained.map(({ pairs }) => pairs.count)).toEqual([2 * 40_000])
    expect(book.counts.tooManyPairs).toBe(200 * 5)
    // the next interval has room again
    add(clients[200]!, servers[0]!, tcp, both)
    expect(pairsOf(book.drain(nowMs)).map(({ opened }) => opened)).toEqual([2, 2])
    expect(book.counts.tooManyPairs).toBe(200 * 5)
  })

  it('counts what OAP has no place for', () => {
    const { program, add, book } = setUp()
    add(program('web'), program('web'), tcp, delta({ clientOpened: 2, serverAccepted: 2 }))
    add(program('web'), program('dns'), 2, delta({ clientBytesSent: 2 }))
    add(program('web'), 999_999, tcp, delta({ clientOpened: 5 }))
    expect(book.drain(nowMs)).toEqual([])
    expect(book.counts).toMatchObject({ sameService: 4, udp: 1, unnamed: 5 })
  })
})

describe('delta book', () => {
  function rowsOf() {
    const pool = createRowPool(100)
    const open: OpenMinute = createOpenMinute(minute, 16, pool.latencies)
    const add = (edge: number) => {
      const row = pool.take()
      open.edges.push(edge)
      open.rows.push(row)
      return (name: keyof typeof Counter, n: number) => {
        pool.counters[row * rowStride + Counter[name]] += n
      }
    }
    return { add, rows: () => ({ minute: open, counters: pool.counters }) }
  }

  function taken(
    book: ReturnType<typeof createDeltaBook>,
    work: (onDelta: Parameters<typeof book.take>[1]) => void,
  ) {
    const seen: [number, number, number][] = []
    work((edge, _minute, d) => seen.push([edge, d[0]!, d[failedDelta]!]))
    return seen
  }

  it('tells what rows grew by, each time and once', () => {
    const book = createDeltaBook(() => false)
    const { add, rows } = rowsOf()
    const first = add(5)
    first('clientOpened', 2)
    first('failedRefused', 1)
    expect(taken(book, on => book.take([rows()], on))).toEqual([[5, 2, 1]])
    add(6)('clientOpened', 7)
    first('failedTimedOut', 3)
    expect(taken(book, on => book.take([rows()], on))).toEqual([
      [5, 0, 3],
      [6, 7, 0],
    ])
    expect(taken(book, on => book.take([rows()], on))).toEqual([])
    first('clientOpened', 1)
    expect(taken(book, on => book.finish(rows(), on))).toEqual([[5, 1, 0]])
  })

  it('waits with edges that lack an end, and tells nothing of what moved away meanwhile', () => {
    const book = createDeltaBook(edge => edge === 5)
    const { add, rows } = rowsOf()
    const oneSided = add(5)
    oneSided('clientOpened', 10)
    expect(taken(book, on => book.take([rows()], on))).toEqual([])
    book.mark([rows()])
    oneSided('clientOpened', -4)
    const joined = add(6)
    joined('clientOpened', 4)
    expect(taken(book, on => book.take([rows()], on))).toEqual([
      [5, 6, 0],
      [6, 4, 0],
    ])
    oneSided('clientOpened', 2)
    expect(taken(book, on => book.finish(rows(), on))).toEqual([[5, 2, 0]])
  })
})
