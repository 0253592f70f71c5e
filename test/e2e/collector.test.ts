import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  createFlowColumns,
  decodeFlowBatch,
  Kind,
  Role,
  roleOf,
  State,
  stateOf,
} from '../../packages/shared/src/index.ts'
import { ensureStreams, type NatsLink } from '../../packages/shared/src/nats/index.ts'
import { Lab } from '../lab/lab.ts'
import { until } from '../lab/until.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { linkWith } from '../nats/bus-link.ts'
import { NatsServer } from '../nats/nats-server.ts'
import { removeFolder, scratchFolder } from '../nats/scratch-folder.ts'
import { gapsOf, type StreamContent, streamContent } from '../nats/stream-content.ts'
import { streamSettings } from '../nats/stream-settings.ts'
import { type CollectorProcess, startCollectorProcess } from './collector-process.ts'
import { dial, dialled, listen, startDial } from './traffic.ts'

const missing = whyNoLab()
const columns = createFlowColumns()

interface PortSums {
  first: number
  closed: number
  sent: number
  received: number
}

/** What the stream says of the connections to a port, by the node that tells it and the role of its end. */
function sumsOn(port: number, { batches }: StreamContent): Record<string, PortSums> {
  const sums: Record<string, PortSums> = {}
  for (const { data } of batches) {
    decodeFlowBatch(data, columns)
    const { u32, header } = columns
    for (let i = 0; i < columns.count; i++) {
      const role = roleOf(u32.kind[i])
      const own = role === Role.server ? u32.ports[i] >>> 16 : u32.ports[i] & 0xffff
      if (own !== port) continue
      const key = `${header.node} ${role === Role.server ? 'server' : 'client'}`
      sums[key] ??= { first: 0, closed: 0, sent: 0, received: 0 }
      sums[key].first += (u32.kind[i] & Kind.first) === 0 ? 0 : 1
      sums[key].closed += stateOf(u32.kind[i]) === State.closed ? 1 : 0
      sums[key].sent += u32.bytesSent[i]
      sums[key].received += u32.bytesReceived[i]
    }
  }
  return sums
}

describe.skipIf(missing !== '')(`skybraid collector ${missing}`, () => {
  let lab: Lab
  let server: NatsServer
  let link: NatsLink
  let folder: string
  const collectors: CollectorProcess[] = []

  beforeAll(async () => {
    await Lab.removeStale()
    lab = await Lab.up({ nodes: 2, pods: 2 })
    folder = scratchFolder()
    server = await NatsServer.start()
    link = await linkWith(['--nats', server.url], { spreadMs: 100 })
    await ensureStreams(link.jsm, 'local', streamSettings())
    for (const node of ['a', 'b']) collectors.push(await start(node))
  })
  afterAll(async () => {
    for (const collector of collectors) await collector.stop('SIGKILL')
    await link?.close()
    await server?.stop()
    if (folder !== undefined) removeFolder(folder)
    await lab?.down()
  })

  const start = async (node: string, ...more: string[]) => {
    const cgroup = await lab.nodeCgroup(node)
    const args = ['--nats', server.url, '--node', node, '--cgroup', cgroup, '--flush', '100ms', ...more]
    return startCollectorProcess(args)
  }

  const nothingQueued = async () => {
    for (const collector of collectors) {
      await until(
        'everything is published',
        async () => {
          const { records, bus } = await collector.status()
          return records.queued === 0 && bus.connected
        },
        { timeoutMs: 30_000, describe: async () => JSON.stringify(await collector.status()) },
      )
    }
  }

  /** Both ends of `count` connections, each sum exactly what the programs counted. */
  const whole = (count: number, up: number, down: number) => ({
    'a client': { first: count, closed: count, sent: up, received: down },
    'b server': { first: count, closed: count, sent: down, received: up },
  })

  const expectOnStream = async (port: number, expected: object) => {
    let content: StreamContent | undefined
    await until(
      `port ${port} on the stream`,
      async () => {
        content = await streamContent(link)
        return isDeepStrictEqual(sumsOn(port, content), expected)
      },
      {
        timeoutMs: 20_000,
        everyMs: 300,
        describe: () => JSON.stringify({ found: content && sumsOn(port, content), expected }),
      },
    )
    expect(gapsOf(content!.batches)).toEqual([])
  }

  it('publishes exactly what passed, as both ends saw it', async () => {
    const listener = await listen(lab, 'b1', 7401, ['recv:100', 'send:200'])
    const options = ['--count', '1000', '--concurrent', '20']
    const client = await dial(lab, 'a1', lab.addresses('b1').v4, 7401, ['send:100', 'recv'], options)
    expect(client).toMatchObject({ opened: 1_000, failed: 0, sent: 100_000, received: 200_000 })
    await listener.servedAll(1_000)
    await expectOnStream(7401, whole(1_000, 100_000, 200_000))
    for (const collector of collectors) {
      const { records, ring, bus } = await collector.status()
      expect(records).toMatchObject({ holds: true, lost: { spool_full: 0, ring_full: 0 } })
      expect(ring.holds).toBe(true)
      expect(bus).toMatchObject({ connected: true, disconnects: 0 })
      expect((await collector.get('/readyz')).status).toBe(200)
    }
  })

  it('loses nothing while the server is killed for some seconds', async () => {
    const listener = await listen(lab, 'b1', 7402, ['recv:10', 'send:20'])
    const options = ['--count', '2000', '--concurrent', '10']
    const dialling = await startDial(lab, 'a1', lab.addresses('b1').v4, 7402, ['send:10', 'recv'], options)
    dialling.endInput()
    await server.kill()
    expect(dialled((await dialling.ended).stdout)).toMatchObject({ opened: 2_000, failed: 0 })
    await listener.servedAll(2_000)
    await until('both notice it', async () =>
      (await Promise.all(collectors.map(each => each.get('/readyz')))).every(({ status }) => status === 503),
    )
    await new Promise(resolve => setTimeout(resolve, 2_000))
    await server.restart()
    await nothingQueued()
    await expectOnStream(7402, whole(2_000, 20_000, 40_000))
    for (const collector of collectors)
      expect((await collector.status()).records).toMatchObject({ holds: true, lost: { spool_full: 0 } })
  })

  it('ends under load with 0, after the last flush, with the mark of a clean stop in every partition', async () => {
    const listener = await listen(lab, 'b1', 7403, ['recv:10', 'send:20'])
    const options = ['--count', '3000', '--concurrent', '10']
    const dialling = await startDial(lab, 'a1', lab.addresses('b1').v4, 7403, ['send:10', 'recv'], options)
    dialling.endInput()
    await until('it is under way', () => listener.served().length > 100)
    const bootIds = await Promise.all(collectors.map(async each => (await each.status()).bootId))
    const codes = await Promise.all(collectors.map(each => each.stop('SIGTERM')))
    expect(codes, collectors.map(each => each.output()).join('\n')).toEqual([0, 0])
    await dialling.ended
    const { batches } = await streamContent(link)
    expect(gapsOf(batches)).toEqual([])
    for (const bootId of bootIds) {
      const stops = batches.filter(({ header }) => header.bootId === bootId && header.cleanStop)
      expect(stops.map(({ header }) => header.partition)).toEqual([0, 1, 2, 3])
      const { header: last } = stops[3]
      const published = batches
        .filter(({ header }) => header.bootId === bootId)
        .reduce((sum, { header }) => sum + header.recordCount, 0)
      expect(last.recordsEncoded).toBe(published + last.recordsMerged)
      // rows that came after the last reading of the ring belong to nobody's time
      expect(last.ringProduced).toBeGreaterThanOrEqual(last.ringConsumed)
      expect(last.losses).toEqual([])
    }
  })

  it('ends with 2 and the number of records when the bus is gone, and with 0 when there is a folder', async () => {
    const bare = await start('a', '--drain', '1s')
    const withFolder = await start('b', '--drain', '1s', '--spool-dir', folder)
    collectors.push(bare, withFolder)
    await server.kill()
    const listener = await listen(lab, 'b1', 7404, ['recv:10', 'send:20'])
    await dial(lab, 'a1', lab.addresses('b1').v4, 7404, ['send:10', 'recv'], ['--count', '50'])
    await listener.servedAll(50)
    await until('it is seen', async () => (await bare.status()).records.queued >= 50)
    await until('it is seen', async () => (await withFolder.status()).records.queued >= 50)
    const [left, kept] = await Promise.all([bare.stop(), withFolder.stop()])
    expect(left, bare.output()).toBe(2)
    expect(bare.output()).toMatch(
      /skybraid: \d+ records were left: the bus did not acknowledge them in time\./,
    )
    expect(kept, withFolder.output()).toBe(0)
    expect(withFolder.output()).toMatch(/\d+ records wait in the spool's folder for the next collector/)
    await server.restart()
    const next = await start('b', '--spool-dir', folder)
    collectors.push(next)
    await until('what was left is published', async () => (await next.status()).store?.bytes === 0, {
      describe: async () => JSON.stringify(await next.status()),
    })
    const content = await streamContent(link)
    const { first, closed, sent, received } = sumsOn(7404, content)['b server']
    expect({ first, closed, sent, received }).toEqual({ first: 50, closed: 50, sent: 1_000, received: 500 })
  })
})
