import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EndName } from '../../packages/aggregator/src/export/oap/interval/end-name.ts'
import { createIntervalQueue } from '../../packages/aggregator/src/export/oap/interval/interval-queue.ts'
import { packPairs } from '../../packages/aggregator/src/export/oap/interval/packed-pairs.testing.ts'
import { Amount, amountCount } from '../../packages/aggregator/src/export/oap/interval/pod-pair.ts'
import { type OapSender, startOapSender } from '../../packages/aggregator/src/export/oap/oap-sender.ts'
import { type OapConfig, oapConfigSchema } from '../../packages/aggregator/src/export/oap/options.ts'
import { createConsole } from '../../packages/cli/src/console.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { sum } from '../e2e/traffic.ts'
import { until } from '../lab/until.ts'
import { CutLink } from './cut-link.ts'
import { eventually } from './eventually.ts'
import { FedAggregator } from './fed-aggregator.ts'
import { Oap } from './oap.ts'
import { oapObstacle } from './oap-jars.ts'
import { OapReader, oapEntity } from './oap-reader.ts'
import { expectWholeOfTwo } from './two-aggregators.ts'

const missing = oapObstacle() ?? ''
const pairsPerInterval = 200
/** Only bounds a hang. */
const patience = { timeoutMs: 240_000 }

/** A sender of its own for each test, whose client service is known to nobody else. */
class Source {
  readonly sender: OapSender
  readonly #queue = createIntervalQueue({ maxAgeMs: 15 * 60_000, maxBytes: 1e8 })
  readonly #name: string
  readonly #minute = Math.floor(Date.now() / 60_000)
  pushed = 0
  /** Numbers of intervals, as it became known what became of them. */
  readonly settled: number[] = []

  constructor(name: string, address: string) {
    this.#name = name
    const loaded = loadConfig(oapConfigSchema, { args: ['--oap', address], env: {} })
    if (loaded.help || !loaded.ok) throw new Error('options')
    this.sender = startOapSender({
      config: loaded.config as OapConfig,
      node: 'node-a',
      queue: this.#queue,
      log: createConsole({ write: () => undefined }, 'silent').log,
      nowMs: Date.now,
      random: Math.random,
      announcements: () => [],
    })
  }

  /** An interval of 200 pods with one connection and 1,000 bytes each; all of the same minute. */
  push(): void {
    const amounts = new Float64Array(amountCount)
    amounts[Amount.opened] = 1
    amounts[Amount.bytesSent] = 1_000
    const remote: EndName = { service: `${this.#name}-server`, pod: 'server-0', properties: [] }
    const pairs = Array.from({ length: pairsPerInterval }, (_, i) => ({
      role: 0 as const,
      local: { service: this.#name, pod: `pod-${i}`, properties: [] },
      remote,
      amounts,
    }))
    const number = this.pushed++
    this.#queue.push({
      unixMinute: this.#minute,
      takenMs: Date.now(),
      pairs: packPairs(pairs),
      http: [],
      settled: () => this.settled.push(number),
    })
    this.sender.wake()
  }

  get left(): number {
    return this.#queue.counts().intervals
  }

  /** Connections and bytes that OAP shows. */
  async seen(oap: Oap): Promise<readonly [connections: number, bytes: number]> {
    const series = await new OapReader(oap).series(oapEntity(this.#name), this.#minute - 1, this.#minute + 1)
    const of = (metric: string) =>
      series.get(`kubernetes_service_${metric} @ ${this.#name} @ ${this.#minute}`) ?? 0
    return [of('connect_cpm'), of('write_package_size')]
  }
}

interface OapSays {
  readonly connected: boolean
  readonly queue: { readonly intervals: number }
  readonly sent: { readonly intervals: number }
  readonly unknown: { readonly intervals: number }
}

/** Keeps it from running nine tenths of the time, until what it answers with is called. */
function slowedDown(oap: Oap): () => Promise<void> {
  const [runsMs, stopsMs] = [30, 270]
  let isOver = false
  const slowed = (async () => {
    while (!isOver) {
      oap.pause()
      await seconds(stopsMs / 1000)
      oap.resume()
      await seconds(runsMs / 1000)
    }
  })()
  return () => {
    isOver = true
    return slowed
  }
}

const figuresOf = (intervals: number) => [intervals * pairsPerInterval, intervals * pairsPerInterval * 1_000]
const seconds = (n: number) => new Promise(go => setTimeout(go, n * 1_000))

describe.skipIf(missing !== '')(`a real OAP in trouble ${missing}`, () => {
  let oap: Oap

  beforeAll(async () => {
    oap = await Oap.start()
  }, 900_000)

  afterAll(() => oap?.stop())

  /** Everything is sent, and OAP shows what was sent and at most what is counted as unknown beside it. */
  async function expectExact(source: Source): Promise<void> {
    const { sender } = source
    await until(
      'it is known what became of everything',
      () => {
        const { intervals, unknownIntervals } = sender.counts
        return intervals + unknownIntervals === source.pushed && source.left === 0
      },
      { timeoutMs: 240_000, describe: () => JSON.stringify([sender.counts, sender.state()]) },
    )
    expect(sender.counts.unknownIntervals).toBeLessThanOrEqual(1)
    expect(source.settled).toEqual(Array.from({ length: source.pushed }, (_, i) => i))
    await eventually(async () => {
      const [connections, bytes] = await source.seen(oap)
      const [least] = figuresOf(sender.counts.intervals)
      const [most] = figuresOf(source.pushed)
      expect(connections).toBeGreaterThanOrEqual(least!)
      expect(connections).toBeLessThanOrEqual(most!)
      // a message that was read was read as a whole
      expect(bytes).toBe(connections * 1_000)
      if (sender.counts.unknownIntervals === 0) expect(connections).toBe(least)
    }).catch((error: Error) => {
      // what OAP said OK to and then lost, it tells nobody else
      throw new Error(`${error.message}; OAP's errors:\n${oap.errors()}`, { cause: error })
    })
    await sender.close(0)
  }

  /** Every connection that it was fed, in its minute, and its bytes. */
  async function expectShown(fed: FedAggregator): Promise<void> {
    const reader = new OapReader(oap)
    const [client, server] = ['slow-client.north', 'slow-server.south']
    const minutes = [...fed.published.keys()]
    const truth = Object.fromEntries(
      [...fed.published].flatMap(([minute, count]) => [
        [`kubernetes_service_connect_cpm @ ${client} @ ${minute}`, count],
        [`kubernetes_service_connect_success_cpm @ ${client} @ ${minute}`, count],
        [`kubernetes_service_accept_cpm @ ${server} @ ${minute}`, count],
        ...[client, server].flatMap((service, i) => {
          const [sent, received] = i === 0 ? [100, 300] : [300, 100]
          return [
            [`kubernetes_service_close_cpm @ ${service} @ ${minute}`, count] as const,
            [`kubernetes_service_write_package_size @ ${service} @ ${minute}`, count * sent] as const,
            [`kubernetes_service_read_package_size @ ${service} @ ${minute}`, count * received] as const,
          ]
        }),
      ]),
    )
    await eventually(async () => {
      const found: [string, number][] = []
      for (const service of [client, server])
        found.push(
          ...(await reader.series(oapEntity(service), Math.min(...minutes) - 1, Math.max(...minutes) + 1)),
        )
      const known = found.filter(([key]) => !/_(write|read)_cpm @|_duration @/.test(key))
      expect(Object.fromEntries(known)).toEqual(truth)
    })
  }

  it('stopped for 15 s: what waited arrives afterwards, once', async () => {
    const source = new Source('stopped.fault', oap.address)
    source.push()
    await until('the first is sent', () => source.sender.counts.intervals === 1, patience)
    oap.pause()
    for (let i = 0; i < 5; i++) {
      source.push()
      await seconds(3)
    }
    oap.resume()
    source.push()
    await expectExact(source)
  }, 900_000)

  describe('on the way to it', () => {
    let cut: Promise<void>

    /** Takes more than two minutes, in which the aggregators are tested, too. */
    async function behindCutLink(): Promise<void> {
      const link = await CutLink.to(oap.ports.grpc)
      const source = new Source('cut.fault', link.address)
      try {
        source.push()
        await until('the first is sent', () => source.sender.counts.intervals === 1, patience)
        link.cut()
        for (let i = 0; i < 12; i++) {
          source.push()
          await seconds(10)
        }
        expect(source.sender.state().lastError).toBeDefined()
        link.mend()
        source.push()
        await expectExact(source)
      } finally {
        await source.sender.close(0)
        link.close()
      }
    }

    beforeAll(() => {
      cut = behindCutLink()
      cut.catch(() => undefined) // seen by its test
    })

    it('two aggregators, one whose link is full and one that is killed in the middle of a minute: sums are those of the whole stream', async () => {
      await expectWholeOfTwo(oap)
    }, 900_000)

    it('a link that is cut for two minutes: everything but what was in flight arrives afterwards, in order, once', async () => {
      await cut
    }, 900_000)
  })

  it('so slow that it hardly reads: what comes meanwhile is read and answered as ever, and arrives afterwards, once', async () => {
    const fed = await FedAggregator.start(['--oap', oap.address])
    const says = async () => (await fed.get<{ oap: OapSays }>('/status')).oap
    const stop = slowedDown(oap)
    try {
      // OAP reads a tenth of what it can: this is more than it takes until the next interval, or else there is more
      let count = 20_000
      let sent = 0
      await fed.publish('slow-client', 'slow-server', count)
      await until(
        'intervals wait, though OAP is there',
        async () => {
          await fed.publish('slow-client', 'slow-server', 10)
          const { connected, queue, sent: now } = await says()
          if (connected && queue.intervals > 0) return true
          if (now.intervals > sent && count < 160_000) {
            count *= 2
            await fed.publish('slow-client', 'slow-server', count)
          }
          sent = now.intervals
          return false
        },
        { ...patience, everyMs: 200, describe: async () => JSON.stringify(await says()) },
      )
      const published = sum([...fed.published.values()])
      expect(published).toBeGreaterThan(20_000)
      expect(await fed.opened()).toBe(published)
      expect(await says()).toMatchObject({ unknown: { intervals: 0 } })
      await stop()
      await expectShown(fed)
      expect(await says()).toMatchObject({ queue: { intervals: 0 }, unknown: { intervals: 0 } })
    } finally {
      await stop()
      await fed.close()
    }
  }, 900_000)

  it('killed and started again: it has forgotten what it had, and gets what comes later', async () => {
    const source = new Source('killed.fault', oap.address)
    source.push()
    await until('the first is sent', () => source.sender.counts.intervals === 1, patience)
    await oap.kill()
    source.push()
    await until('it is missed', () => source.sender.state().failures > 0, patience)
    await oap.restart()
    source.push()
    await until('all are sent', () => source.sender.counts.intervals === 3, patience)
    await eventually(async () => expect(await source.seen(oap)).toEqual(figuresOf(2)))
    await source.sender.close(0)
  }, 900_000)
})
