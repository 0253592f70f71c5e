import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  createFlowColumns,
  decodeFlowBatch,
  Kind,
  Role,
  roleOf,
  State,
  samplingOf,
  stateOf,
} from '../../packages/shared/src/index.ts'
import { ensureStreams, type NatsLink } from '../../packages/shared/src/nats/index.ts'
import { foldStream } from '../fault/stream-fold.ts'
import { Lab } from '../lab/lab.ts'
import { until } from '../lab/until.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { linkWith } from '../nats/bus-link.ts'
import { NatsServer } from '../nats/nats-server.ts'
import { removeFolder, scratchFolder } from '../nats/scratch-folder.ts'
import { streamContent } from '../nats/stream-content.ts'
import { streamSettings } from '../nats/stream-settings.ts'
import { type CollectorProcess, startCollectorProcess } from './collector-process.ts'
import { dial, listen } from './traffic.ts'

const missing = whyNoLab()
const columns = createFlowColumns()
const made = 400
const port = 7411
const deafPort = 7412
const wholePort = 7413

interface Seen {
  /** First records at either end, by the dialler's number. */
  readonly ends: { readonly client: Set<number>; readonly server: Set<number> }
  /** Exponents of the rates that records say. */
  readonly exponents: Set<number>
  failures: number
}

function isSame(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  return a.size === b.size && [...a].every(each => b.has(each))
}

describe.skipIf(missing !== '')(`sampling, from a file that changes ${missing}`, () => {
  let lab: Lab
  let server: NatsServer
  let link: NatsLink
  let folder: string
  let file: string
  const collectors: CollectorProcess[] = []

  const configure = (sampling: string) => writeFileSync(file, JSON.stringify({ sampling }))

  beforeAll(async () => {
    await Lab.removeStale()
    lab = await Lab.up({ nodes: 2, pods: 2 })
    folder = scratchFolder()
    file = join(folder, 'collector.json')
    configure('1/4')
    server = await NatsServer.start()
    link = await linkWith(['--nats', server.url], { spreadMs: 100 })
    await ensureStreams(link.jsm, 'local', streamSettings())
    for (const node of ['a', 'b']) {
      const cgroup = await lab.nodeCgroup(node)
      const args = ['--nats', server.url, '--node', node, '--cgroup', cgroup, '--flush', '100ms']
      collectors.push(await startCollectorProcess([...args, '--config', file]))
    }
  })
  afterAll(async () => {
    for (const collector of collectors) await collector.stop('SIGKILL')
    await link?.close()
    await server?.stop()
    if (folder !== undefined) removeFolder(folder)
    await lab?.down()
  })

  /** What the stream says of the connections to a port. */
  async function seenOn(of: number): Promise<Seen> {
    const seen: Seen = { ends: { client: new Set(), server: new Set() }, exponents: new Set(), failures: 0 }
    for (const { data } of (await streamContent(link)).batches) {
      decodeFlowBatch(data, columns)
      const { u32 } = columns
      for (let i = 0; i < columns.count; i++) {
        const kind = u32.kind[i]!
        const isServer = roleOf(kind) === Role.server
        if ((isServer ? u32.ports[i]! >>> 16 : u32.ports[i]! & 0xffff) !== of) continue
        if (stateOf(kind) === State.failed) seen.failures++
        else if ((kind & Kind.first) !== 0) {
          seen.ends[isServer ? 'server' : 'client'].add(u32.diallerIsn[i]!)
          seen.exponents.add(samplingOf(kind))
        }
      }
    }
    return seen
  }

  async function connect(to: number, count: number): Promise<void> {
    const listener = await listen(lab, 'b1', to, ['recv:10', 'send:20'])
    const options = ['--count', String(count), '--concurrent', '10']
    const client = await dial(lab, 'a1', lab.addresses('b1').v4, to, ['send:10', 'recv'], options)
    expect(client).toMatchObject({ opened: count, failed: 0 })
    await listener.servedAll(count)
  }

  /** Both ends of the same connections, once nothing comes any more. */
  async function bothEnds(of: number): Promise<Seen> {
    let [before, seen] = [-1, await seenOn(of)]
    await until(
      'both ends of the same connections',
      async () => {
        before = seen.ends.client.size
        seen = await seenOn(of)
        const { client, server: other } = seen.ends
        return client.size > 0 && client.size === before && isSame(client, other)
      },
      { timeoutMs: 30_000, everyMs: 1_000, describe: () => JSON.stringify([before, seen.ends.server.size]) },
    )
    return seen
  }

  it('chooses the same connections at both ends, never leaves out a failure, and marks totals', async () => {
    await connect(port, made)
    const refused = ['--count', '20']
    expect(await dial(lab, 'a1', lab.addresses('b1').v4, deafPort, [], refused)).toMatchObject({ failed: 20 })
    const { ends, exponents } = await bothEnds(port)
    expect([...exponents]).toEqual([2])
    // a quarter of 400, within five standard deviations
    expect(Math.abs(ends.client.size - made / 4)).toBeLessThan(5 * Math.sqrt((made * 3) / 16))
    await until('every failure is there', async () => (await seenOn(deafPort)).failures === 20)

    const { core } = await foldStream(server.url, 'local', Date.now() - 600_000)
    const range = { fromMs: Date.now() - 600_000, toMs: Date.now() + 60_000 }
    const { edges } = core.reader.topology({ ...range, groupBy: 'process', limit: 100 }, Date.now())
    const [chosen, failed] = [port, deafPort].map(each => edges.find(edge => edge.port === each)!)
    expect(chosen).toMatchObject({ sampled: true, observed: 'both' })
    expect(chosen!.tcp).toMatchObject({ opened: 4 * ends.client.size, openedJoined: 4 * ends.client.size })
    expect(failed!.tcp!.failures.refused).toBe(20)
    for (const collector of collectors) {
      const { records } = await collector.status()
      expect(records).toMatchObject({ holds: true })
      expect(records.sampledOut).toBeGreaterThan(0)
    }
  })

  it('takes another rate from the file at SIGHUP, without a restart', async () => {
    const boots = await Promise.all(collectors.map(async each => (await each.status()).bootId))
    configure('all')
    for (const collector of collectors) collector.signal('SIGHUP')
    await until('both record all', async () => {
      const states = await Promise.all(collectors.map(each => each.status()))
      return states.every(({ sampling }) => sampling.oneIn === 1)
    })
    await connect(wholePort, 100)
    const { ends, exponents } = await bothEnds(wholePort)
    expect([ends.client.size, [...exponents]]).toEqual([100, [0]])
    expect(await Promise.all(collectors.map(async each => (await each.status()).bootId))).toEqual(boots)
  })
})
