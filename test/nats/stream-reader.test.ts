import { describe, expect, it } from 'vitest'
import { readStream, type StreamReader } from '../../packages/aggregator/src/bus/stream-reader.ts'
import {
  ensureStreams,
  flowFilter,
  flowStream,
  flowSubject,
  type NatsLink,
} from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { lossyProxy } from './lossy-proxy.ts'
import { streamSettings } from './stream-settings.ts'

const cluster = 'local'
const messageBytes = 40_000
const patient = { timeout: 60_000 }

/** Acknowledged by the stream; the first four bytes are the number. */
async function fill(link: NatsLink, from: number, to: number): Promise<void> {
  const inParallel = 16
  for (let number = from; number <= to; number += inParallel) {
    const numbers = Array.from({ length: Math.min(inParallel, to - number + 1) }, (_, i) => number + i)
    await Promise.all(
      numbers.map(each => link.js.publish(flowSubject(cluster, 0, 'n1'), messageOf(each), patient)),
    )
  }
}

function messageOf(number: number): Uint8Array {
  const bytes = Buffer.alloc(messageBytes)
  bytes.writeUInt32LE(number)
  return bytes
}

async function setUp(...settings: string[]) {
  const server = await serverForTest()
  const publisher = await linkForTest(linkWith(['--nats', server.url], { spreadMs: 200 }))
  await ensureStreams(publisher.jsm, cluster, streamSettings(...settings))
  return { server, publisher }
}

/** Reads the whole stream; `seen` is told of each number as it comes. */
function readNumbers(link: NatsLink, seen: (number: number, reader: StreamReader) => void = () => undefined) {
  const numbers: number[] = []
  const news: [what: 'trimmed' | 'replaced', known: number, first: number][] = []
  const reader = readStream({
    link,
    stream: flowStream(cluster),
    filters: () => [flowFilter(cluster)],
    start: {},
    onMessage({ data }) {
      const number = Buffer.from(data.buffer, data.byteOffset).readUInt32LE()
      numbers.push(number)
      seen(number, reader)
    },
    onIdle: () => undefined,
    onTrouble: () => undefined,
    onTrimmed: (known, first) => news.push(['trimmed', known, first]),
    onReplaced: (known, first) => news.push(['replaced', known, first]),
  })
  afterTest(() => reader.stop())
  return { numbers, news, reader }
}

const countUp = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe('readStream', { timeout: 300_000 }, () => {
  it('stops at once with much left to read, and takes nothing any more', async () => {
    const { publisher } = await setUp()
    await fill(publisher, 1, 300)
    const stopped = Promise.withResolvers<void>()
    const { numbers } = readNumbers(publisher, (number, { stop }) => {
      if (number === 20) stop().then(stopped.resolve, stopped.reject)
    })
    await stopped.promise
    expect(numbers).toEqual(countUp(1, 20))
  })

  it('lets no time pass for a process that stood still, since it has not read what came meanwhile', async () => {
    const { publisher } = await setUp()
    await fill(publisher, 1, 1)
    const { numbers, reader } = readNumbers(publisher)
    await until('it is read', () => numbers.length === 1 && reader.nowMs() !== undefined)
    const before = reader.nowMs()!
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500)
    expect(reader.nowMs()).toBe(before)
    await until('time passes again', () => reader.nowMs()! > before)
  })

  it('goes on with what is there when the stream lost what it wanted', async () => {
    const { server, publisher } = await setUp('--flow-max-bytes', '1MiB')
    const proxy = await lossyProxy(server.port)
    const link = await linkForTest(linkWith(['--nats', proxy.url], { spreadMs: 200 }))
    await fill(publisher, 1, 5)
    const { numbers, news } = readNumbers(link)
    await until('what is there is read', () => numbers.length === 5)
    // nothing comes through while the limit takes away what was not read
    proxy.swallowAnswers()
    await fill(publisher, 6, 105)
    const { state } = await publisher.jsm.streams.info(flowStream(cluster))
    expect(state.first_seq).toBeGreaterThan(6)
    proxy.cut()
    await until('the newest is read', () => numbers.at(-1) === 105)
    expect(numbers).toEqual([...countUp(1, 5), ...countUp(state.first_seq, 105)])
    await fill(publisher, 106, 106)
    await until('and what comes then', () => numbers.at(-1) === 106)
    expect(news).toEqual([['trimmed', 5, state.first_seq]])
  })

  it('goes on at its position soon after the server was killed in the middle, and killed again: nothing twice, nothing missed', async () => {
    const { server, publisher } = await setUp()
    const link = await linkForTest(linkWith(['--nats', server.url], { spreadMs: 200 }))
    // several times what one pull brings, so that there is something left to read at each kill
    const [before, after] = [1_000, 50]
    await fill(publisher, 1, before)
    let killAt = 100
    const { numbers, news } = readNumbers(link, number => {
      if (number < killAt) return
      killAt = Number.POSITIVE_INFINITY
      server.signal('SIGKILL')
    })
    for (let kill = 1; kill <= 2; kill++) {
      await until('the server is killed', () => !server.isRunning)
      await until('it is noticed', () => !link.state().connected)
      const known = numbers.length
      expect(known).toBeLessThan(before)
      if (kill < 2) killAt = known + 50
      await server.restart()
      await until('more is read', () => numbers.length > known)
    }
    await until('the publisher is back', () => publisher.state().connected)
    await fill(publisher, before + 1, before + after)
    await until('all is read', () => numbers.at(-1) === before + after, {
      describe: () => `${numbers.length} read`,
    })
    expect(numbers).toEqual(countUp(1, before + after))
    expect(news).toEqual([])
  })

  it('reads all of a stream that was deleted and made anew, and says so', async () => {
    const { publisher } = await setUp()
    await fill(publisher, 1, 40)
    const { numbers, news } = readNumbers(publisher)
    await until('all is read', () => numbers.length === 40)
    await publisher.jsm.streams.delete(flowStream(cluster))
    await ensureStreams(publisher.jsm, cluster, streamSettings())
    await fill(publisher, 41, 60)
    await until('all of the new one is read', () => numbers.at(-1) === 60)
    expect(numbers).toEqual(countUp(1, 60))
    expect(news).toEqual([['replaced', 40, expect.any(Number)]])
  })

  it('reads all of what a server with a stream in memory has after it was killed', async () => {
    const { server, publisher } = await setUp('--stream-storage', 'memory')
    await fill(publisher, 1, 40)
    const link = await linkForTest(linkWith(['--nats', server.url], { spreadMs: 200 }))
    const { numbers, news } = readNumbers(link)
    await until('all is read', () => numbers.length === 40)
    await server.kill()
    await server.restart()
    await until('the publisher is back', () => publisher.state().connected)
    await ensureStreams(publisher.jsm, cluster, streamSettings('--stream-storage', 'memory'))
    await fill(publisher, 41, 60)
    await until('all of the new one is read', () => numbers.at(-1) === 60)
    expect(numbers).toEqual(countUp(1, 60))
    expect(news).toEqual([['replaced', 40, expect.any(Number)]])
  })
})
