import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeAccessLog, OapModel } from '../oap-model.testing.ts'
import { type EncodeCounts, encodeInterval, encodeLimits, noCounts, type OapInterval } from './access-log.ts'
import { type EndName, fitName, isAddress, nameLimits } from './end-name.ts'
import { messagesOf } from './framed-messages.ts'
import { type HttpRequests, requestCount } from './http-requests.ts'
import { packPairs } from './packed-pairs.testing.ts'
import { Amount, amountCount, type PodPair, type Role } from './pod-pair.ts'

const nowMs = Date.parse('2026-03-01T12:00:30Z')
const nowMinute = Math.floor(nowMs / 60_000)

/** Names as anything may bring them: empty, addresses, too long, cut in the middle of a character. */
const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('web.shop', 'api.shop', 'db.shop', 'api-1', 'external') },
  fc.constantFrom(
    '',
    ' ',
    'Unknown',
    '10.1.2.3',
    '[fd00::1]:80',
    'fe80::1',
    '1.2.3.4:80',
    'a::b',
    'x'.repeat(71),
  ),
  fc.string({ unit: 'binary', maxLength: 80 }),
)
const end: fc.Arbitrary<EndName> = fc.record({ service: name, pod: name, properties: fc.constant([]) })
const amount = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 5_000 }) },
  fc.constantFrom(0, 2 ** 31, 5e9, 7e12),
  { weight: 1, arbitrary: fc.constantFrom(-1, 0.5, Number.NaN, 2 ** 60) },
)
const events = fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 40 }) }, fc.constant(2_500))
const pair: fc.Arbitrary<PodPair> = fc
  .record({
    role: fc.constantFrom<Role>(0, 1),
    local: end,
    remote: end,
    amounts: fc.array(amount, { minLength: amountCount, maxLength: amountCount }),
    opened: events,
    failed: events,
    closed: events,
  })
  .map(({ opened, failed, closed, ...rest }) => {
    const amounts = Float64Array.from(rest.amounts)
    amounts[Amount.opened] = opened
    amounts[Amount.failed] = rest.role === 0 ? failed : 0
    amounts[Amount.closed] = closed
    return { ...rest, amounts }
  })
const size = fc.oneof(fc.nat({ max: 100_000 }), fc.constantFrom(-3, Number.NaN))
const requests: fc.Arbitrary<HttpRequests> = fc.record({
  role: fc.constantFrom<Role>(0, 1),
  local: end,
  remote: end,
  method: fc.constantFrom('GET', 'POST', 'PURGE', 'toString', ''),
  path: fc.oneof(fc.webPath(), fc.constantFrom('', '?q=secret', `/${'ä'.repeat(200)}`)),
  status: fc.constantFrom(0, 99, 100, 200, 404, 503, 599, 600, 200.5),
  version: fc.constantFrom(1 as const, 2 as const),
  latencies: fc.array(fc.tuple(fc.oneof(fc.nat({ max: 1e9 }), fc.constantFrom(-1)), fc.nat({ max: 20 })), {
    maxLength: 4,
  }),
  requestHeaderBytes: size,
  requestBodyBytes: size,
  responseHeaderBytes: size,
  responseBodyBytes: size,
})
const minute = fc.oneof(
  { weight: 5, arbitrary: fc.constant(nowMinute) },
  fc.constantFrom(0, -1, nowMinute - 31, nowMinute - 30, nowMinute + 3, nowMinute + 4, Number.NaN, 0.5),
)

function encode(interval: OapInterval): { messages: Uint8Array[]; counts: EncodeCounts } {
  const counts = noCounts()
  const options = { node: 'node-a', cluster: '', nowMs }
  return { messages: [...messagesOf(encodeInterval(interval, options, counts))], counts }
}

/** Messages of an interval of one connection. */
function sentAt(unixMinute: number): number {
  const amounts = new Float64Array(amountCount)
  amounts[Amount.opened] = 1
  const [local, remote] = ['web.shop', 'api.shop'].map(service => ({ service, pod: '', properties: [] }))
  return encode(intervalOf(unixMinute, [{ role: 0, local: local!, remote: remote!, amounts }], [])).messages
    .length
}

function logsIn(message: Uint8Array): number {
  const { kernelLogs = [], protocolLog } = decodeAccessLog(message)
  return kernelLogs.length + (protocolLog === undefined ? 0 : 1)
}

function readBy(model: OapModel, messages: readonly Uint8Array[]): void {
  const read = model.stream()
  for (const message of messages) read(decodeAccessLog(message))
}

/** Packing takes whole amounts below 2^53; what else there is goes past it here. */
function intervalOf(
  unixMinute: number,
  pairs: readonly PodPair[],
  http: readonly HttpRequests[],
): OapInterval {
  const packable = pairs.filter(p => p.amounts.every(n => Number.isSafeInteger(n) && n >= 0))
  return { unixMinute, pairs: packPairs(packable), http }
}

describe('encodeInterval', () => {
  it('writes nothing that OAP cannot bear, whatever comes in', () => {
    fc.assert(
      fc.property(
        minute,
        fc.array(pair, { maxLength: 6 }),
        fc.array(requests, { maxLength: 4 }),
        (unixMinute, pairs, http) => {
          const { messages, counts } = encode(intervalOf(unixMinute, pairs, http))
          const model = new OapModel()
          readBy(model, messages)
          expect(model.broken).toEqual([])
          expect(Math.max(0, ...messages.map(logsIn))).toBeLessThanOrEqual(2_000)
          expect(Math.max(0, ...messages.map(message => message.length))).toBeLessThan(64 * 1024)
          expect(counts.messages).toBe(messages.length)
          expect(counts.logs).toBe(model.logs)
          for (const key of model.series.keys()) expect(key.endsWith(` @ ${unixMinute}`)).toBe(true)
          for (const value of model.series.values()) expect(value).toBeGreaterThanOrEqual(0)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('refuses everything of minutes that OAP has no table for, and nothing of others', () => {
    fc.assert(
      fc.property(
        fc.oneof(minute, fc.integer({ min: nowMinute - 60, max: nowMinute + 60 })),
        fc.array(pair, { maxLength: 3 }),
        fc.array(requests, { maxLength: 2 }),
        (unixMinute, pairs, http) => {
          const interval = intervalOf(unixMinute, pairs, http)
          const { messages, counts } = encode(interval)
          const isFine =
            Number.isInteger(unixMinute) && nowMinute - 30 <= unixMinute && unixMinute <= nowMinute + 3
          const refused = { minute_out_of_range: interval.pairs.count + http.length }
          if (isFine) expect(counts.refused).not.toHaveProperty('minute_out_of_range')
          else
            expect({ messages, counts }).toEqual({ messages: [], counts: { messages: 0, logs: 0, refused } })
        },
      ),
    )
    for (const minutes of [-30, 3]) expect(sentAt(nowMinute + minutes)).toBe(1)
    for (const minutes of [-31, 4]) expect(sentAt(nowMinute + minutes)).toBe(0)
  })

  it('sums to exactly what came in, or counts what it left out', () => {
    const fine: EndName[] = ['web.shop', 'api.shop'].map(service => ({ service, pod: 'p-1', properties: [] }))
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 4 }), list => {
        const pairs = list
          .filter(p => p.amounts.every(n => Number.isSafeInteger(n) && n >= 0))
          .map(p => ({ ...p, local: fine[p.role]!, remote: fine[1 - p.role]! }))
        const { messages, counts } = encode(intervalOf(nowMinute, pairs, []))
        const model = new OapModel()
        readBy(model, messages)
        for (const [role, service] of [
          [0, 'web.shop'],
          [1, 'api.shop'],
        ] as const) {
          const sum = (what: number) =>
            pairs.filter(p => p.role === role).reduce((n, p) => n + p.amounts[what]!, 0)
          const seen = (metric: string) =>
            model.series.get(`kubernetes_service_${metric} @ ${service} @ ${nowMinute}`) ?? 0
          expect(seen('write_package_size')).toBe(sum(Amount.bytesSent))
          expect(seen('write_package_cpm')).toBe(sum(Amount.packetsSent))
          expect(seen('write_retrains_package_cpm')).toBe(sum(Amount.retransmits))
          expect(seen('read_package_size')).toBe(sum(Amount.bytesReceived))
          expect(seen('read_package_cpm')).toBe(sum(Amount.packetsReceived))
        }
        const count = (metric: string) =>
          ['web.shop', 'api.shop'].reduce(
            (n, service) =>
              n + (model.series.get(`kubernetes_service_${metric} @ ${service} @ ${nowMinute}`) ?? 0),
            0,
          )
        const events = count('connect_cpm') + count('accept_cpm') + count('close_cpm')
        const wanted = pairs.reduce(
          (n, p) => n + p.amounts[Amount.opened]! + p.amounts[Amount.failed]! + p.amounts[Amount.closed]!,
          0,
        )
        expect(events + (counts.refused.too_many_events ?? 0)).toBe(wanted)
        for (const p of pairs) {
          if (p.amounts[Amount.opened] === 0 || pairs.length > 1) continue
          const totalUs = Math.min(p.amounts[Amount.handshakeUs]!, Math.floor(Number.MAX_SAFE_INTEGER / 1000))
          expect(count(p.role === 0 ? 'connect_duration' : 'accept_duration')).toBe(totalUs * 1000)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('sends each request of a group once, with its bytes shared out exactly', () => {
    fc.assert(
      fc.property(requests, one => {
        const usable = {
          ...one,
          local: { service: 'a', pod: 'p', properties: [] },
          remote: { service: 'b', pod: '', properties: [] },
        }
        const { messages, counts } = encode(intervalOf(nowMinute, [], [usable]))
        if (counts.refused.bad_request) return
        expect(messages.length).toBe(requestCount(usable))
        const model = new OapModel()
        readBy(model, messages)
        if (messages.length === 0) return
        const side = usable.role === 0 ? 'client' : 'server'
        const call = usable.role === 0 ? 'a > b' : 'b > a'
        const of = (metric: string) =>
          model.series.get(`kubernetes_service_relation_${side}_${metric} @ ${call} @ ${nowMinute}`)
        expect(of('http_call_cpm')).toBe(messages.length)
        expect(of('http_req_body_size')).toBe(usable.requestBodyBytes)
        expect(of('http_resp_header_size')).toBe(usable.responseHeaderBytes)
        expect([...model.endpoints].every(e => !e.includes('secret'))).toBe(true)
      }),
    )
  })

  it('packs at least 500 connections into a message where there are that many', () => {
    const amounts = new Float64Array(amountCount)
    amounts[Amount.opened] = 10_000
    amounts[Amount.handshakeUs] = 1_234_567
    const ends = ['web.shop', 'api.shop'].map(service => ({ service, pod: '', properties: [] }))
    const { messages } = encode(
      intervalOf(nowMinute, [{ role: 0, local: ends[0]!, remote: ends[1]!, amounts }], []),
    )
    expect(messages.length).toBe(5)
    expect(Math.max(...messages.map(m => m.length))).toBeLessThan(64 * 1024)
  })
})

describe('encodeInterval at its limits', () => {
  it('counts the events of a pair beyond the limit', () => {
    const amounts = new Float64Array(amountCount)
    amounts[Amount.opened] = encodeLimits.events + 7
    const ends = ['web.shop', 'api.shop'].map(service => ({ service, pod: '', properties: [] }))
    const pairs = [{ role: 0 as const, local: ends[0]!, remote: ends[1]!, amounts }]
    const { counts } = encode(intervalOf(nowMinute, pairs, []))
    expect(counts).toMatchObject({ logs: encodeLimits.events, refused: { too_many_events: 7 } })
  })

  it('splits packets that were read where OAP would take them for a negative number', () => {
    const amounts = new Float64Array(amountCount)
    amounts[Amount.packetsReceived] = 5e9
    amounts[Amount.bytesReceived] = 7e12
    const ends = ['web.shop', 'api.shop'].map(service => ({ service, pod: '', properties: [] }))
    const { messages } = encode(
      intervalOf(nowMinute, [{ role: 1, local: ends[0]!, remote: ends[1]!, amounts }], []),
    )
    const model = new OapModel()
    readBy(model, messages)
    expect(model.series.get(`kubernetes_service_read_package_cpm @ web.shop @ ${nowMinute}`)).toBe(5e9)
    expect(model.series.get(`kubernetes_service_read_package_size @ web.shop @ ${nowMinute}`)).toBe(7e12)
  })

  it('keeps to the logs of a message with packets of which the parts alone are more', () => {
    const amounts = new Float64Array(amountCount)
    amounts[Amount.packetsReceived] = 7e12
    amounts[Amount.bytesSent] = 1
    amounts[Amount.opened] = 3_000
    const ends = ['web.shop', 'api.shop'].map(service => ({ service, pod: '', properties: [] }))
    const { messages, counts } = encode(
      intervalOf(nowMinute, [{ role: 1, local: ends[0]!, remote: ends[1]!, amounts }], []),
    )
    expect(messages.map(logsIn)).toEqual([2_000, 2_000, 2_000, 261])
    expect(counts.logs).toBe(1 + Math.ceil(7e12 / (2 ** 31 - 1)) + 3_000)
    const model = new OapModel()
    readBy(model, messages)
    expect(model.series.get(`kubernetes_service_read_package_cpm @ web.shop @ ${nowMinute}`)).toBe(7e12)
  })
})

describe('fitName', () => {
  it('fits, keeps what fits as it is, and never makes one name of two', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 120 }),
      fc.constantFrom('x'.repeat(70), 'x'.repeat(71)),
    )
    fc.assert(
      fc.property(text, text, (a, b) => {
        const [fitA, fitB] = [fitName(a, nameLimits.service), fitName(b, nameLimits.service)]
        expect(fitA.length).toBeLessThanOrEqual(nameLimits.service)
        expect(fitA.isWellFormed()).toBe(true)
        expect(fitA === fitB).toBe(a === b)
      }),
    )
    expect(fitName('web.shop', 70)).toBe('web.shop')
    const long = 'x'.repeat(71)
    expect(fitName(long, 70)).not.toBe(fitName(`${long}y`, 70))
    expect(fitName(fitName(long, 70), 70)).not.toBe(fitName(long, 70))
  })

  it('knows addresses however they are written', () => {
    for (const text of ['1.2.3.4', '1.2.3.4:80', 'fd00::1', '[fd00::1]:80', '::ffff:1.2.3.4', 'fe80::1%eth0'])
      expect(isAddress(text), text).toBe(true)
    for (const text of ['web.shop', '1.2.3', 'api.example.org', 'beef', ''])
      expect(isAddress(text), text).toBe(false)
  })
})
