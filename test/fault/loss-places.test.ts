import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { build, Net, Stage, whyNot } from '../../bpf/tests/stage.ts'
import type { CollectorConfig } from '../../packages/collector/src/config.ts'
import { decodeFlowBatch } from '../../packages/shared/src/record/decode.ts'
import { createFlowColumns } from '../../packages/shared/src/record/flow-columns.ts'
import { until } from '../lab/until.ts'
import { Observer, type Way } from './observer.ts'

const skip = whyNot()
const udpFlows = 65_536
const columns = createFlowColumns()

/** The header and the number of records of a batch on its way. */
function read(message: Parameters<Way>[0]) {
  expect(decodeFlowBatch(message.data, columns)).toEqual({ ok: true })
  return columns.header
}

describe.skipIf(skip !== undefined)('what a collector loses on its way, by place', () => {
  let stage: Stage
  let observer: Observer

  beforeAll(() => build())
  beforeEach(() => {
    stage = new Stage()
  })
  afterEach(async () => {
    await observer?.collector.close()
    await stage.close()
  })

  const observe = async (change?: Partial<CollectorConfig>, way?: Way) => {
    observer = await Observer.start(stage.cgroup, change, way)
    return observer.collector
  }

  /** Short connections one after the other, each seen at both ends. */
  const shortConnections = async (count: number) => {
    const server = stage.peer('server')
    await server.run('tcp l 4', `bind l ${Net.server} 7401`, 'listen l 128')
    const echoed = server.ask(`echo l ${count}`, 60_000)
    const burst = await stage.peer('client').ask(`burst ${Net.server} 7401 ${count} 10`, 60_000)
    expect(burst.result).toBe(count)
    expect((await echoed).result).toBe(count)
  }

  /** Both identities on either side, after the end. */
  const expectBalance = (lost: Record<string, number>) => {
    const { ring, records } = observer.collector.status()
    expect(ring).toMatchObject({ waiting: 0, holds: true })
    expect(ring.produced).toBe(ring.consumed + ring.full)
    expect(records).toMatchObject({ queued: 0, holds: true })
    expect(records.encoded).toBe(records.published + records.merged + records.lost.spool_full!)
    const spool = records.lost.spool_full!
    const gap = lost.sequence_gap ?? 0
    const { node } = observer
    expect(node.identity.ring).toEqual({
      produced: ring.produced,
      consumed: ring.consumed,
      full: ring.full,
      holds: true,
    })
    expect(node.identity.records).toEqual({
      encoded: records.encoded,
      received: records.encoded - records.merged - spool - gap,
      merged: records.merged,
      sampledOut: 0,
      inFlight: 0,
      lost,
      holds: true,
    })
    const { identity } = observer.core.reader.ingestStatus(Date.now())
    expect(identity).toMatchObject({ applied: node.identity.records.received, lost: {}, holds: true })
  }

  it('loses nothing when there is room', async () => {
    const collector = await observe()
    await shortConnections(200)
    await collector.close()
    expect(collector.status().ring).toMatchObject({ produced: 400, consumed: 400, full: 0 })
    expectBalance({})
  })

  it('ring full', async () => {
    const collector = await observe({ ring: 4096, flush: 1_000 })
    await shortConnections(600)
    await collector.close()
    const { full, produced } = collector.status().ring
    expect(full).toBeGreaterThan(0)
    expect(produced).toBe(1_200)
    expectBalance({ ring_full: full })
  })

  it('socket storage refused, and no room for UDP flows', async () => {
    const collector = await observe()
    const places = ['client', 'server'] as const
    const sysctl = 'net.core.optmem_max'
    const refusable = stage.in('client', 'ls /proc/sys/net/core').includes('optmem_max')
    const before = refusable ? stage.in('client', `sysctl -n ${sysctl}`).trim() : ''
    if (refusable) for (const place of places) stage.in(place, `sysctl -qw ${sysctl}=0`)
    await shortConnections(20)
    if (refusable) for (const place of places) stage.in(place, `sysctl -qw ${sysctl}=${before}`)
    const client = stage.peer('client')
    await client.run('udp s 4')
    const sprayed = await client.ask(`spray s ${udpFlows + 500} 8`, 60_000)
    expect(sprayed.result).toBe(udpFlows + 500)
    await collector.close()
    // the acceptors; a dialler is in the table and needs no storage
    const refused = refusable ? 20 : 0
    expect(collector.status().flows).toMatchObject({ storageRefused: refused, udpMapFull: 500 })
    expectBalance({ storage_refused: refused + 500 })
  })

  it('table of open flows full', async () => {
    const collector = await observe({ flush: 100, report: 100, maxFlows: 10 })
    const server = stage.peer('server')
    const client = stage.peer('client')
    await server.run('tcp l 4', `bind l ${Net.server} 7402`, 'listen l 128')
    for (let i = 0; i < 30; i++) {
      await client.run(`tcp c${i} 4`, `connect c${i} ${Net.server} 7402`)
      await server.run(`accept a${i} l`)
    }
    // each end that finds no room counts once, however often it is read
    await until('both ends of all', () => collector.status().flows.flowTableFull === 50)
    for (let round = 0; round < 3; round++) {
      const { encoded } = collector.status().records
      for (let i = 0; i < 30; i++) {
        await client.run(`send c${i} 100`)
        await server.run(`receive a${i} 100`)
      }
      await until('all sockets to be read again', () => collector.status().records.encoded >= encoded + 10)
    }
    await collector.close()
    expect(collector.status().flows).toMatchObject({ flowTableFull: 50, openFlows: 10 })
    expectBalance({ flow_table_full: 50 })
  })

  it('spool full while the bus refuses, and nothing more once it takes batches again', async () => {
    const collector = await observe({ spool: 1 << 20 })
    observer.way = () => {
      throw new Error('the bus is away')
    }
    await shortConnections(7_000)
    const lost = await until('the spool to overflow', () => collector.status().records.lost.spool_full! > 0)
    expect(lost).toBe(true)
    expect(collector.status().records).toMatchObject({ published: 0, holds: true })
    observer.way = () => 1
    await collector.close()
    const { records } = collector.status()
    expect(records.published).toBeGreaterThan(0)
    expectBalance({ spool_full: records.lost.spool_full! })
  })

  it('batches lost on the way and batches that come twice', async () => {
    let seen = 0
    let dropped = 0
    let doubled = 0
    const collector = await observe({ flush: 100 }, message => {
      const { recordCount, cleanStop } = read(message)
      if (cleanStop || ++seen % 3 !== 0) {
        if (seen % 4 !== 0) return 1
        doubled += recordCount
        return 2
      }
      dropped += recordCount
      return 0
    })
    await shortConnections(1_500)
    await collector.close()
    expect(dropped).toBeGreaterThan(0)
    expect(doubled).toBeGreaterThan(0)
    expect(observer.core.reader.ingestStatus(Date.now()).identity.duplicates).toBe(doubled)
    expectBalance({ sequence_gap: dropped })
  })
})
