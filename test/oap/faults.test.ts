import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sum } from '../e2e/traffic.ts'
import { until } from '../lab/until.ts'
import { CutLink } from './cut-link.ts'
import { eventually } from './eventually.ts'
import { FedAggregator } from './fed-aggregator.ts'
import { Oap } from './oap.ts'
import { oapObstacle } from './oap-jars.ts'
import { OapReader } from './oap-reader.ts'
import { allSeries, expectSeries } from './shown.ts'
import type { Truth } from './truth.ts'
import { expectWholeOfTwo } from './two-aggregators.ts'

const missing = oapObstacle() ?? ''
/** Only bounds a hang. */
const patience = { timeoutMs: 240_000 }

interface OapSays {
  readonly connected: boolean
  readonly queue: { readonly intervals: number }
  readonly sent: { readonly intervals: number }
  readonly unknown: { readonly intervals: number; readonly logs: number }
  readonly http: { readonly factor: number }
}

/** An aggregator that is fed connections between two programs which nobody else has, and asked over its API. */
class Fed {
  readonly aggregator: FedAggregator
  readonly #pair: readonly [client: string, server: string]

  private constructor(aggregator: FedAggregator, name: string) {
    this.aggregator = aggregator
    this.#pair = [`${name}-client`, `${name}-server`]
  }

  static async start(name: string, address: string): Promise<Fed> {
    return new Fed(await FedAggregator.start(['--oap', address]), name)
  }

  get truth(): Truth {
    return this.aggregator.truth(...this.#pair)
  }

  async says(): Promise<OapSays> {
    return (await this.aggregator.get<{ oap: OapSays }>('/status')).oap
  }

  publish(connections: number, requests = 0): Promise<void> {
    return this.aggregator.publish(...this.#pair, connections, requests)
  }

  /** What it was fed it shows at once, and it is fed and asked every second. */
  async goesOnFor(forMs: number): Promise<void> {
    for (const endMs = performance.now() + forMs; performance.now() < endMs; await seconds(1)) {
      await this.publish(20, 2)
      expect(await this.aggregator.opened()).toBe(this.aggregator.connections)
    }
  }

  async untilSent(intervals = 1): Promise<void> {
    const isSent = async () => {
      const { sent, queue } = await this.says()
      return sent.intervals >= intervals && queue.intervals === 0
    }
    await until('all that was taken is sent', isSent, {
      ...patience,
      describe: async () => JSON.stringify(await this.says()),
    })
  }
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

const seconds = (n: number) => new Promise(go => setTimeout(go, n * 1_000))

describe.skipIf(missing !== '')(`a real OAP in trouble ${missing}`, () => {
  let oap: Oap

  beforeAll(async () => {
    oap = await Oap.start()
  }, 900_000)

  afterAll(() => oap?.stop())

  /** Every series of what it was fed, in its minute; what was in flight when a stream broke may lack, and nothing else. */
  async function expectShown(fed: Fed): Promise<void> {
    const { truth } = fed
    const reader = new OapReader(oap)
    const minutes = [...truth.minutes]
    const shown = () => allSeries(reader, truth, Math.min(...minutes) - 1, Math.max(...minutes) + 1)
    await eventually(async () => {
      const { queue, unknown, http } = await fed.says()
      expect([queue.intervals, http.factor]).toEqual([0, 1])
      const found = await shown()
      if (unknown.intervals === 0) expectSeries(truth, found)
      else expectAllBut(unknown.logs, truth, found)
    }).catch((error: Error) => {
      // what OAP said OK to and then lost, it tells nobody else
      throw new Error(`${error.message}; OAP's errors:\n${oap.errors()}`, { cause: error })
    })
  }

  it('stopped for 20 s: it is fed and answers on, and what waited arrives afterwards, once', async () => {
    const fed = await Fed.start('stopped', oap.address)
    try {
      await fed.publish(20, 2)
      await fed.untilSent()
      oap.pause()
      const { sent } = await fed.says()
      await fed.goesOnFor(20_000)
      expect((await fed.says()).sent).toEqual(sent)
      oap.resume()
      await fed.publish(20, 2)
      await expectShown(fed)
      expect((await fed.says()).unknown.intervals).toBeLessThanOrEqual(1)
    } finally {
      oap.resume()
      await fed.aggregator.close()
    }
  }, 900_000)

  describe('on the way to it', () => {
    let cut: Promise<void>

    /** Takes more than two minutes, in which the aggregators are tested, too. */
    async function behindCutLink(): Promise<void> {
      const link = await CutLink.to(oap.ports.grpc)
      const fed = await Fed.start('cut', link.address)
      try {
        await fed.publish(20, 2)
        await fed.untilSent()
        // an interval is on its way, of which a part has arrived
        const before = link.passed
        link.limit(20_000)
        await fed.publish(10_000)
        await until('a part has passed', () => link.passed > before + 50_000, patience)
        link.cut()
        const { sent } = await fed.says()
        await fed.goesOnFor(120_000)
        const { sent: now, queue, unknown } = await fed.says()
        expect([now.intervals, unknown.intervals]).toEqual([sent.intervals, 1])
        expect(queue.intervals).toBeGreaterThanOrEqual(10)
        link.limit(Number.POSITIVE_INFINITY)
        link.mend()
        await fed.publish(20, 2)
        await expectShown(fed)
        expect((await fed.says()).unknown.intervals).toBe(1)
      } finally {
        await fed.aggregator.close()
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

    it('a link that is cut for two minutes: it is fed and answers on, and everything but what was in flight arrives afterwards, once', async () => {
      await cut
    }, 900_000)
  })

  it('so slow that it hardly reads: what comes meanwhile is read and answered as ever, and arrives afterwards, once', async () => {
    const fed = await Fed.start('slow', oap.address)
    const says = () => fed.says()
    const stop = slowedDown(oap)
    try {
      // OAP reads a tenth of what it can: this is more than it takes until the next interval, or else there is more
      let count = 20_000
      let sent = 0
      await fed.publish(count)
      await until(
        'intervals wait, though OAP is there',
        async () => {
          await fed.publish(10)
          const { connected, queue, sent: now } = await says()
          if (connected && queue.intervals > 0) return true
          if (now.intervals > sent && count < 160_000) {
            count *= 2
            await fed.publish(count)
          }
          sent = now.intervals
          return false
        },
        { ...patience, everyMs: 200, describe: async () => JSON.stringify(await says()) },
      )
      await fed.goesOnFor(3_000)
      expect(await says()).toMatchObject({ unknown: { intervals: 0 } })
      await stop()
      await expectShown(fed)
      expect(await says()).toMatchObject({ queue: { intervals: 0 }, unknown: { intervals: 0 } })
    } finally {
      await stop()
      await fed.aggregator.close()
    }
  }, 900_000)

  it('killed and started again: it is fed and answers on; OAP has forgotten what it had, and gets everything since', async () => {
    const fed = await Fed.start('killed', oap.address)
    try {
      await fed.publish(20, 2)
      await expectShown(fed)
      await fed.untilSent()
      await oap.kill()
      fed.aggregator.forget()
      await fed.goesOnFor(10_000)
      await Promise.all([oap.restart(), fed.goesOnFor(10_000)])
      await fed.publish(20, 2)
      await expectShown(fed)
      expect((await fed.says()).unknown.intervals).toBe(0)
    } finally {
      await fed.aggregator.close()
    }
  }, 900_000)
})

/**
 * No series shows more than there was, and of the connections that were dialled, accepted and closed at most as many lack
 * as logs were in doubt. Of amounts as much may lack as belongs to so many connections.
 */
function expectAllBut(logs: number, truth: Truth, found: ReadonlyMap<string, number>): void {
  const lacking = [...truth.series].map(([key, figure]) => [key, figure - (found.get(key) ?? 0)] as const)
  const tooMuch = lacking.filter(([, lacks]) => lacks < 0)
  const unexpected = [...found.keys()].filter(key => !truth.series.has(key) && !truth.bands.has(key))
  expect([tooMuch, unexpected]).toEqual([[], []])
  const events = /^kubernetes_service_(connect|accept|close)_cpm @/
  expect(sum(lacking.filter(([key]) => events.test(key)).map(([, lacks]) => lacks))).toBeLessThanOrEqual(logs)
  // what is in doubt is of one minute, all others are whole
  const minutes = new Set(lacking.filter(([, lacks]) => lacks > 0).map(([key]) => key.split(' @ ')[2]))
  expect(minutes.size).toBeLessThanOrEqual(1)
  for (const [key, [, most]] of truth.bands) expect(found.get(key) ?? 0, key).toBeLessThanOrEqual(most)
}
