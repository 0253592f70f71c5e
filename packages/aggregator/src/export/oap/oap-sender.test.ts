import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { status } from '@grpc/grpc-js'
import { loadConfig } from '@skybraid/shared'
import pino from 'pino'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { FakeOap, type FakeOapOptions } from './fake-oap.testing.ts'
import type { EndName } from './interval/end-name.ts'
import { createFigureBook } from './interval/figure-book.ts'
import { createIntervalQueue } from './interval/interval-queue.ts'
import { packPairs } from './interval/packed-pairs.testing.ts'
import { noPairs } from './interval/packed-pairs.ts'
import { createPodBook } from './interval/pod-book.ts'
import { Amount, amountCount } from './interval/pod-pair.ts'
import type { Trouble } from './interval/retry-delay.ts'
import { type OapAnswer, OapCode } from './oap-connection.ts'
import { explain, type OapSender, startOapSender } from './oap-sender.ts'
import { type OapConfig, oapConfigSchema } from './options.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function fakeOap(options: FakeOapOptions = {}): Promise<FakeOap> {
  const fake = await FakeOap.start(options)
  closers.push(() => fake.stop())
  return fake
}

const end = (service: string): EndName => ({ service, pod: 'node-a', properties: [['node', 'node-a']] })
const log = pino({ level: 'silent' })

/** One point of OpenTelemetry. */
function figuresOfOne(unixMinute: number) {
  const book = createFigureBook()
  const operation = { role: 0, protocol: 'dns', name: 'A', status: 0, isError: false, count: 5 } as const
  const none = { latencies: [], requestBytes: 0, responseBytes: 0 }
  book.addOperation(end('web'), end('dns'), unixMinute, { ...operation, ...none })
  return book.drain().get(unixMinute)!
}

const limits = { maxAgeMs: 15 * 60_000, maxBytes: 1e6 }

/** Only bounds a hang. */
const patience = { timeout: 25_000 }
const minutesMs = 10 * 60_000

/** `waitsMs` instead of the real pauses; those that were asked for are in `waits`. */
function sendTo(addresses: readonly string[], args: readonly string[] = [], waitsMs = 20) {
  const loaded = loadConfig(oapConfigSchema, {
    args: [...addresses.flatMap(a => ['--oap', a]), ...args],
    env: {},
  })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const queue = createIntervalQueue(limits)
  const pods = createPodBook()
  const waits: [failures: number, trouble: Trouble][] = []
  const sender: OapSender = startOapSender({
    config: loaded.config as OapConfig,
    node: 'node-a',
    queue,
    log,
    nowMs: Date.now,
    random: () => 0,
    announcements: () => pods.due(Date.now(), 100),
    retryDelayMs(failures, trouble) {
      waits.push([failures, trouble])
      return waitsMs
    },
  })
  closers.push(() => sender.close(0))
  /** An interval of so many pairs with one connection each, and so many that OAP could not bear. */
  const push = (pairs: number, unixMinute = Math.floor(Date.now() / 60_000), bad = 0) => {
    const amounts = new Float64Array(amountCount)
    amounts[Amount.opened] = 1
    const ends = Array.from({ length: pairs }, (_, i) => end(`client-${i}`))
    ends.push(...Array.from({ length: bad }, () => end('')))
    const packed = packPairs(ends.map(local => ({ role: 0, local, remote: end('server'), amounts })))
    pods.see(packed.ends, Date.now())
    queue.push({ unixMinute, takenMs: Date.now(), pairs: packed, http: [] })
    sender.wake()
  }
  return { sender, queue, push, waits }
}

describe('sender', () => {
  it('sends each interval as one stream, once, and tells OAP of the pods', async () => {
    const fake = await fakeOap()
    const { sender, push } = sendTo([fake.address])
    push(5)
    push(3)
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(2), patience)
    expect(fake).toMatchObject({ streams: 2, messages: 8 })
    expect(fake.model.broken).toEqual([])
    expect(fake.model.services.size).toBe(5)
    expect(sender.counts).toMatchObject({ messages: 8, logs: 8, unknownIntervals: 0 })
    await vi.waitFor(() => expect(sender.counts.announced).toBe(6), patience)
    expect(fake.announced).toContain('server | node-a')
    expect(fake.attributes.get('client-0 | node-a')).toEqual({ node: 'node-a' })
  })

  it('never sends an interval again that was in flight, and counts it as unknown', async () => {
    const fake = await fakeOap()
    const { sender, push } = sendTo([fake.address])
    fake.breakAfter = { messages: 2, code: status.UNAVAILABLE }
    push(50)
    await vi.waitFor(() => expect(sender.counts.unknownIntervals).toBe(1), patience)
    push(4)
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(1), patience)
    expect(fake.messages).toBeLessThan(54)
    expect(sender.counts).toMatchObject({ messages: 4, logs: 4 })
    expect(sender.counts.unknownLogs).toBe(50)
  })

  it('risks one interval at a time, with longer and longer pauses, where only empty streams are taken', async () => {
    const fake = await fakeOap()
    const { sender, queue, push, waits } = sendTo([fake.address])
    fake.breakAfter = { messages: 1, code: status.UNAVAILABLE, always: true }
    for (let i = 0; i < 4; i++) push(2)
    await vi.waitFor(() => expect(waits.length).toBe(4), patience)
    expect(waits).toEqual([1, 2, 3, 4].map(failures => [failures, 'brief']))
    expect(sender.counts).toMatchObject({ intervals: 0, unknownIntervals: 4 })
    expect(sender.state().failures).toBe(4)
    fake.breakAfter = undefined
    push(2)
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(1), patience)
    expect(sender.state()).toMatchObject({ connectedTo: fake.address, failures: 0 })

    const slow = sendTo([fake.address], [], minutesMs)
    fake.breakAfter = { messages: 1, code: status.UNAVAILABLE, always: true }
    for (let i = 0; i < 4; i++) slow.push(2)
    await vi.waitFor(() => expect(slow.waits.length).toBe(1), patience)
    expect(slow.sender.counts.unknownIntervals).toBe(1)
    expect(slow.queue.counts()).toMatchObject({ intervals: 3 })
    expect(queue.counts()).toMatchObject({ intervals: 0, droppedIntervals: 0 })
  })

  it('sends once, too, where streams with messages are denied though empty ones are not, and pauses long', async () => {
    const fake = await fakeOap()
    const { sender, queue, push, waits } = sendTo([fake.address])
    fake.breakAfter = { messages: 1, code: status.PERMISSION_DENIED, always: true }
    for (let i = 0; i < 3; i++) push(1)
    await vi.waitFor(() => expect(waits.length).toBe(3), patience)
    expect(waits).toEqual([1, 2, 3].map(failures => [failures, 'lasting']))
    fake.breakAfter = undefined
    push(1)
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(1), patience)
    expect(sender.counts).toMatchObject({ messages: 1, unknownIntervals: 3, unknownLogs: 3 })
    // a proxy that denies in the middle may have let the first ones through
    expect(fake.messages).toBe(4)
    expect(queue.counts()).toMatchObject({ intervals: 0, droppedIntervals: 0 })
  })

  it('counts what it refused, of intervals that broke as well', async () => {
    const fake = await fakeOap()
    const { sender, push } = sendTo([fake.address])
    push(2, undefined, 3)
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(1), patience)
    expect(sender.counts.refused).toEqual({ no_name: 3 })
    fake.breakAfter = { messages: 1, code: status.UNAVAILABLE }
    push(2, undefined, 4)
    await vi.waitFor(() => expect(sender.counts.unknownIntervals).toBe(1), patience)
    expect(sender.counts.refused).toEqual({ no_name: 7 })
  })

  it('goes on after an interval that cannot be written, and counts it', async () => {
    const fake = await fakeOap()
    const { sender, queue, push, waits } = sendTo([fake.address])
    const settled = vi.fn()
    const [local, remote] = [end('client'), end('server')]
    const pairs = packPairs([{ role: 0, local, remote, amounts: new Float64Array(amountCount).fill(1) }])
    const unixMinute = Math.floor(Date.now() / 60_000)
    queue.push({ unixMinute, takenMs: Date.now(), pairs: { ...pairs, ends: [] }, http: [], settled })
    push(2)
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(1), patience)
    expect(sender.counts).toMatchObject({ messages: 2, unknownIntervals: 1 })
    expect(sender.state().lastError).toMatch(/this is a bug/)
    expect(settled).toHaveBeenCalledTimes(1)
    expect(waits).toEqual([[1, 'brief']])
    expect(fake.model.broken).toEqual([])
  })

  it('counts points of metrics as dropped where nobody takes any', async () => {
    const fake = await fakeOap()
    const { sender, queue } = sendTo([fake.address])
    const unixMinute = Math.floor(Date.now() / 60_000)
    const figures = figuresOfOne(unixMinute)
    queue.push({ unixMinute, takenMs: Date.now(), pairs: noPairs, http: [], figures })
    sender.wake()
    await vi.waitFor(() => expect(sender.counts.droppedMetricPoints).toBe(1), patience)
    expect(sender.counts.unknownMetricPoints).toBe(0)
    expect(sender.state().lastError).toMatch(/takes no OpenTelemetry metrics/)
  })

  it('calls it a bug where OAP cuts the stream at a message that is too long, and sends it once', async () => {
    const fake = await fakeOap({ maxMessageBytes: 20 })
    const { sender, queue, push, waits } = sendTo([fake.address])
    push(3)
    await vi.waitFor(() => expect(waits).toEqual([[1, 'brief']]), patience)
    expect(sender.state().lastError).toMatch(/too large; this is a bug: Call cancelled/)
    expect(sender.counts).toMatchObject({ intervals: 0, unknownIntervals: 1, unknownLogs: 3 })
    expect(queue.counts()).toMatchObject({ intervals: 0, droppedIntervals: 0 })
  })

  it('counts an interval that was refused altogether as refused, not as sent', async () => {
    const fake = await fakeOap()
    const { sender, push } = sendTo([fake.address])
    push(3, 1)
    await vi.waitFor(() => expect(sender.counts.refused).toEqual({ minute_out_of_range: 3 }), patience)
    push(2)
    await vi.waitFor(() => expect(sender.counts.messages).toBe(2), patience)
    expect(sender.counts).toMatchObject({ intervals: 1, unknownIntervals: 0 })
  })

  it('sends no metrics of a minute that OAP has no tables for', async () => {
    const fake = await fakeOap({ hasMetrics: true })
    const { sender, push, queue } = sendTo([fake.address])
    const nowMinute = Math.floor(Date.now() / 60_000)
    for (const unixMinute of [nowMinute - 40, nowMinute]) {
      queue.push({
        unixMinute,
        takenMs: Date.now(),
        pairs: noPairs,
        http: [],
        figures: figuresOfOne(unixMinute),
      })
      push(1, unixMinute)
    }
    await vi.waitFor(() => expect(sender.counts.messages).toBe(1), patience)
    expect(fake.metricsRequests).toHaveLength(1)
    expect([...fake.points.values()]).toEqual([5])
    expect(sender.counts).toMatchObject({
      metricPoints: 1,
      unknownMetricPoints: 0,
      refused: { minute_out_of_range: 2 },
    })
  })

  it('counts everything of a large interval as unknown, what was not encoded yet as well', async () => {
    const fake = await fakeOap()
    const { sender, push } = sendTo([fake.address])
    fake.breakAfter = { messages: 1, code: status.UNAVAILABLE }
    push(20_000)
    await vi.waitFor(() => expect(sender.counts.unknownIntervals).toBe(1), patience)
    expect(sender.counts.unknownLogs).toBe(20_000)
  })

  it('keeps what it has while OAP is away, and tries the next address', async () => {
    const gone = await FakeOap.start()
    gone.stop()
    const { sender, queue, push } = sendTo([gone.address], [], 200)
    push(2)
    await vi.waitFor(() => expect(sender.state().failures).toBeGreaterThan(0), patience)
    expect(queue.counts().intervals).toBe(1)
    const fake = await FakeOap.start({ port: gone.port })
    closers.push(() => fake.stop())
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(1), patience)
    expect(sender.state()).toMatchObject({ connectedTo: fake.address, failures: 0 })

    const other = sendTo([gone.address.replace(/\d+$/, '1'), fake.address])
    other.push(1)
    await vi.waitFor(() => expect(other.sender.counts.intervals).toBe(1), patience)
  })

  it('asks for the token of a file, waits slowly where it is wrong, and loses nothing', async () => {
    const fake = await fakeOap({ token: 'secret' })
    const folder = mkdtempSync(join(tmpdir(), 'skybraid-oap-'))
    closers.push(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'token')
    writeFileSync(file, 'wrong\n')
    const { sender, queue, push, waits } = sendTo([fake.address], ['--oap-token-file', file])
    push(1)
    push(2)
    await vi.waitFor(() => expect(waits.length).toBeGreaterThan(2), patience)
    expect(sender.state().lastError).toMatch(/token/)
    expect(waits.slice(0, 3)).toEqual([1, 2, 3].map(failures => [failures, 'lasting']))
    expect(queue.counts()).toMatchObject({ intervals: 2, droppedIntervals: 0 })
    writeFileSync(file, 'secret\n')
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(2), patience)
    expect(sender.counts).toMatchObject({ messages: 3, unknownIntervals: 0, refused: {} })
    expect(fake.messages).toBe(3)
    expect(queue.counts()).toMatchObject({ intervals: 0, droppedIntervals: 0 })
  })

  it('tries again, slowly, while a file of the options cannot be used, and says which', async () => {
    const fake = await fakeOap()
    const folder = mkdtempSync(join(tmpdir(), 'skybraid-oap-'))
    closers.push(() => rmSync(folder, { recursive: true }))
    const [ca, cert, key] = ['ca', 'cert', 'key'].map(name => join(folder, name))
    for (const file of [cert!, key!]) writeFileSync(file, 'half of it')
    const files = ['--oap-ca-file', ca!, '--oap-cert-file', cert!, '--oap-key-file', key!]
    const { sender, queue, push, waits } = sendTo([fake.address], files)
    push(2)
    await vi.waitFor(() => expect(sender.state().lastError).toContain(`${ca} cannot be read`), patience)
    await vi.waitFor(() => expect(waits.length).toBeGreaterThan(2), patience)
    expect(waits.slice(0, 3)).toEqual([1, 2, 3].map(failures => [failures, 'lasting']))
    writeFileSync(ca!, rootCertificates[0]!)
    await vi.waitFor(() => expect(sender.state().lastError).toMatch(/cert, .*key cannot be used/), patience)
    expect(queue.counts()).toMatchObject({ intervals: 1, droppedIntervals: 0 })
    expect(sender.state().connectedTo).toBeUndefined()
    const before = waits.length
    await vi.waitFor(() => expect(waits.length).toBeGreaterThan(before), patience)
  })

  it('tells a token file that cannot be read from a token that OAP does not accept', async () => {
    const fake = await fakeOap({ token: 'secret' })
    const folder = mkdtempSync(join(tmpdir(), 'skybraid-oap-'))
    closers.push(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'token')
    const { sender, push, waits } = sendTo([fake.address], ['--oap-token-file', file])
    push(1)
    const says = (text: RegExp) =>
      vi.waitFor(() => expect(sender.state().lastError?.replace(fake.address, 'OAP')).toMatch(text), patience)
    await says(/^OAP: --oap-token-file .*token cannot be read/)
    writeFileSync(file, 'two\nlines\n')
    await says(/^OAP: --oap-token-file .*token holds more than one line/)
    writeFileSync(file, 'wrong\n')
    await says(/^OAP: OAP does not accept the token/)
    expect(waits.every(([, trouble]) => trouble === 'lasting')).toBe(true)
    writeFileSync(file, 'secret\n')
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(1), patience)
  })

  it('says so where this OAP has no receiver', async () => {
    const fake = await fakeOap({ hasReceiver: false })
    const { sender, push } = sendTo([fake.address])
    push(1)
    await vi.waitFor(() => expect(sender.state().lastError).toMatch(/receiver-ebpf/), patience)
  })

  it('sends what waits before it ends, and does not wait for an OAP that is away', async () => {
    const fake = await fakeOap()
    const { sender, push } = sendTo([fake.address])
    for (let i = 0; i < 5; i++) push(3)
    await sender.close(patience.timeout)
    expect(sender.counts.intervals).toBe(5)
    const gone = sendTo(['127.0.0.1:1'], [], minutesMs)
    gone.push(1)
    await vi.waitFor(() => expect(gone.waits.length).toBe(1), patience)
    const begun = performance.now()
    // neither until the pause is over nor as long as it may take
    await gone.sender.close(minutesMs)
    expect(performance.now() - begun).toBeLessThan(patience.timeout)
    expect(gone.queue.counts().intervals).toBe(1)
  })

  it('leaves no timer behind that would keep the process', async () => {
    const { sender } = sendTo(['127.0.0.1:1'])
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      await sender.close(5_000)
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('what an answer means', () => {
  const answer = (code: number, isStalled = false): OapAnswer => ({
    code,
    details: 'as told',
    isStalled,
    messages: 1,
  })

  it('is that a message was too large where OAP cut the stream, and that it took nothing where we did', () => {
    expect(explain(answer(OapCode.cancelled))).toMatch(/OAP cut the stream.*too large.*as told/)
    expect(explain(answer(OapCode.cancelled, true))).toBe('OAP took nothing for 30 s')
  })

  it('is what OAP says, or the number of the code', () => {
    expect(explain(answer(status.UNAVAILABLE))).toBe('as told')
    expect(explain({ ...answer(status.INTERNAL), details: '' })).toBe('gRPC code 13')
  })
})

describe('queue', () => {
  it('drops the oldest, and counts them, when they are too old or too many', () => {
    const queue = createIntervalQueue({ maxAgeMs: 60_000, maxBytes: 2_000 })
    const amounts = new Float64Array(amountCount)
    const pairs = packPairs(
      Array.from({ length: 40 }, (_, i) => ({
        role: 0 as const,
        local: end(`c${i}`),
        remote: end('s'),
        amounts,
      })),
    )
    const push = (takenMs: number) => queue.push({ unixMinute: 1, takenMs, pairs, http: [] })
    push(0)
    push(61_000)
    expect(queue.counts()).toMatchObject({ intervals: 1, droppedIntervals: 1, droppedPairs: 40 })
    push(62_000)
    push(63_000)
    expect(queue.counts().droppedIntervals).toBe(3)
    expect(queue.shift(63_000)?.takenMs).toBe(63_000)
    expect(queue.counts()).toMatchObject({ intervals: 0, bytes: 0 })
  })
})
